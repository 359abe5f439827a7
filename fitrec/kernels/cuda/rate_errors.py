"""Drives ``rate_errors.cu``: what a gradient fit of rates compares, and its learning signals, on the device."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device

BLOCK = 256


class _Smoothing(NamedTuple):
    matrix: Any
    span: Any
    n_time: np.int32


class _Neurons(NamedTuple):
    trained: Any
    place: Any
    n: np.int32
    n_trained: np.int32
    width: np.int32


class RateKernels:
    """The kernels, for one network and one smoothing; arrays lie on the device, and nothing waits.

    Parameters
    ----------
    trained : (trained,) int
    n, width : int
        Neurons, without and with padding.
    smoothing, transposed : (matrix, span)
        On the host; as of `kernels.cpu.rate_errors`.
    bin_s : float

    """

    def __init__(
        self,
        device: Device,
        trained: NDArray[np.integer],
        n: int,
        width: int,
        smoothing: tuple[NDArray[np.float64], NDArray[np.int32]],
        transposed: tuple[NDArray[np.float64], NDArray[np.int32]],
        bin_s: float,
    ) -> None:
        self._device, self._n_time, self._bin_s = device, len(smoothing[0]), np.float64(bin_s)
        self._neurons = _neurons(device, trained, n, width)
        self._smoothing, self._transposed = (
            _Smoothing(device.asarray(matrix), device.asarray(span), np.int32(len(matrix)))
            for matrix, span in (smoothing, transposed)
        )

    def means(self, counts: Any, trials: int) -> Any:
        """Spikes per trial, float32, of sums of counts, int64."""
        mean = self._device.xp.empty(counts.shape, np.float32)
        self._start("rate_means", counts.size, (counts, mean, np.int64(counts.size), np.float64(trials)))
        return mean

    def blend(self, a: Any, weight_a: float, b: Any, weight_b: float) -> Any:
        """Weighted sum of two arrays in float32."""
        out = self._device.xp.empty(a.shape, np.float32)
        self._start("rate_blend", a.size, (a, np.float32(weight_a), b, np.float32(weight_b), out, np.int64(a.size)))
        return out

    def totals(self, mean: Any) -> Any:
        """(neuron,) float64: sums over time."""
        n = int(self._neurons.n)
        out = self._device.xp.empty(n, np.float64)
        self._start("rate_totals", n, (mean, out, np.int32(self._n_time), np.int32(n)))
        return out

    def smoothed(self, mean: Any) -> Any:
        """(time, trained) float64 in Hz; see `kernels.cpu.rate_errors.smoothed`."""
        out = self._device.xp.empty((self._n_time, int(self._neurons.n_trained)), np.float64)
        args = (mean, pack(self._neurons), pack(self._smoothing), self._bin_s, out)
        self._start("rate_smoothed", out.size, args)
        return out

    def slopes(self, smooth: Any, target: Any, *, is_poisson: bool, scale: float, floor_hz: float) -> Any:
        """(time, trained) float64; see `kernels.cpu.rate_errors.slopes`."""
        out = self._device.xp.empty(smooth.shape, np.float64)
        numbers = (np.int64(out.size), np.int32(is_poisson), np.float64(scale), self._bin_s, np.float64(floor_hz))
        self._start("rate_slopes", out.size, (smooth, target, out, *numbers))
        return out

    def signals(self, by_rate: Any, pull: Any, trials: int) -> Any:
        """(time, padded) float32; see `kernels.cpu.rate_errors.signals`."""
        out = self._device.xp.zeros((self._n_time, int(self._neurons.width)), np.float32)
        args = (by_rate, pack(self._neurons), pack(self._transposed), self._bin_s, pull, np.float64(trials), out)
        self._start("rate_signals", out.size, args)
        return out

    def _start(self, kernel: str, threads: int, args: tuple[Any, ...]) -> None:
        if threads:
            self._device.launch("rate_errors", kernel, -(-threads // BLOCK), BLOCK, args)


class OnlineKernels:
    """The kernel for rates observed at one time; parameters as those of `RateKernels`."""

    def __init__(self, device: Device, trained: NDArray[np.integer], n: int, width: int) -> None:
        self._device, self._neurons = device, _neurons(device, trained, n, width)

    def slopes(
        self, observed: Any, target: Any, *, is_poisson: bool, scale: float, bin_s: float, floor_hz: float, per_unit: float
    ) -> Any:
        """Return derivatives by rates, both (padded,) float32 and rates in units of `per_unit` Hz; target (trained,) in Hz."""
        n = int(self._neurons.n)
        out = self._device.xp.zeros(int(self._neurons.width), np.float32)
        numbers = (np.int32(is_poisson), *map(np.float64, (scale, bin_s, floor_hz, per_unit)))
        args = (observed, pack(self._neurons), target, *numbers, out)
        self._device.launch("rate_errors", "rate_online", -(-n // BLOCK), BLOCK, args)
        return out


def _neurons(device: Device, trained: NDArray[np.integer], n: int, width: int) -> _Neurons:
    place = np.full(n, -1, np.int32)
    place[trained] = np.arange(len(trained))
    on_device = device.asarray(trained.astype(np.int32)), device.asarray(place)
    return _Neurons(*on_device, *map(np.int32, (n, len(trained), width)))
