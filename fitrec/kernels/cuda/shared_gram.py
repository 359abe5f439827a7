"""Drives ``shared_gram.cu``: one Gram matrix of all presynaptic traces on a device, and the regressions on its blocks."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.ridge import Regressions
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device, reserving
from fitrec.kernels.cuda.feed_forward_columns import DeviceColumns
from fitrec.kernels.cuda.ridge import HostCopies, device_regressions, solver_scratch

BLOCK = 256
TILE = 64
_WHAT, _REMEDY = "the Gram matrix of ridge", "use train.ridge.gram: gathered"


class _Samples(NamedTuple):
    values: Any
    index: Any
    per_trial: np.int64
    per_sample: np.int64
    per_column: np.int64
    n: np.int32


def gram_bytes(n_conditions: int, n_bins: int, n_pool: int, n_ff: int) -> int:
    """Device memory of the sums, and of what is made of them while they are solved."""
    return 8 * n_pool**2 + n_conditions * n_pool * (24 * n_bins + 8 * n_ff)


class DeviceGram:
    """Sums over trials on a device; the twin of `learn.host_gram.HostGram`.

    Parameters
    ----------
    pool : (pool,) int32
        Neurons of the pool, among all whose traces `add` is given.

    Raises
    ------
    DeviceError
        If the device has too little memory.

    """

    on_device = True

    def __init__(
        self, device: Device, n_conditions: int, n_bins: int, pool: NDArray[np.int32], n_ff: int, pool_size: int
    ) -> None:
        self._device, self._n_ff, self._pool_size = device, n_ff, pool_size
        stride, ff = (-(-n // WIDTH) * WIDTH for n in (len(pool), n_ff))
        with reserving(device, gram_bytes(n_conditions, n_bins, len(pool), n_ff), _WHAT, _REMEDY):
            self._pool, self._copies = device.asarray(pool.astype(np.int32)), HostCopies(device)
            self._gram = device.xp.zeros((stride, stride), np.float32)
            self._cross = device.xp.zeros((n_conditions, stride, ff), np.float32)
            self._trace_sum = device.xp.zeros((n_conditions, n_bins, len(pool)))

    def discount(self, factor: float) -> None:
        """See `learn.shared_gram.GramStore.discount`."""
        for sums in (self._gram, self._cross):
            self._scale(sums, sums, 1.0, np.float32(factor))
        self._trace_sum *= factor

    def add(self, condition: int, traces: Any, ff_traces: NDArray[np.float32], threads: int | None) -> None:
        """See `learn.shared_gram.GramStore.add`; the traces are those of all neurons."""
        trials, n_bins, n = traces.shape
        if not (trials and n_bins and len(self._pool)):
            return
        of_pool = _rows(traces, self._pool)
        self._products(of_pool, of_pool, self._gram, trials, n_bins, upper=True)
        if self._n_ff:
            self._products(of_pool, _rows(self._device.asarray(ff_traces)), self._cross[condition], trials, n_bins)
        sums = self._trace_sum[condition]
        sizes = map(np.int32, (trials, n_bins, n, len(self._pool)))
        self._launch("shared_sum", sums.size, (traces, self._pool, sums, *sizes))

    def energy(self) -> float:
        """See `learn.shared_gram.GramStore.energy`; waits."""
        diagonal = self._device.to_host(self._gram.reshape(-1)[:: len(self._gram) + 1])
        return float(diagonal.astype(np.float64).sum())

    def system(
        self,
        n: float,
        scale: float,
        share: np.float32,
        weighted: NDArray[np.float32],
        small: tuple[NDArray[np.float64], ...],
        threads: int | None,
    ) -> "DeviceGramSystem":
        """See `learn.shared_gram.GramStore.system`."""
        xp, n_pool = self._device.xp, len(self._pool)
        gram, cross = xp.empty(self._gram.shape, np.float32), xp.empty(self._cross.shape, np.float32)
        for sums, out in ((self._gram, gram), (self._cross, cross)):
            self._scale(sums, out, n, share)
        mean = xp.empty(self._trace_sum.shape)
        rounded, times_weight = xp.empty(mean.shape, np.float32), xp.empty(mean.shape, np.float32)
        numbers = (np.int64(mean.size), np.float64(n), np.float32(1) - share)
        self._launch("shared_mean", mean.size, (self._trace_sum, mean, rounded, times_weight, *numbers))
        if share != 1 and mean.size:
            n_conditions, n_bins, _ = mean.shape
            self._products(_rows(times_weight), _rows(rounded), gram, n_conditions, n_bins, upper=True)
            of_ff = self._device.asarray(weighted)
            for c in range(n_conditions if self._n_ff else 0):
                self._products(_rows(rounded[c : c + 1]), _rows(of_ff[c : c + 1]), cross[c], 1, n_bins)
        columns = DeviceColumns(self._device, _without_padding(xp, cross, n_pool, self._n_ff), small)
        if columns.reduction.size:
            number = columns.reduction.shape[1]
            none, strides = xp.zeros(0, np.int32), (np.int64(0), np.int64(1), np.int64(number))
            given = _Samples(columns.reduction, none, *strides, np.int32(n_pool))
            self._products(given, given, gram, 1, number, upper=True, negative=True)
        return DeviceGramSystem(self._device, self._copies, scale, gram, mean.reshape(-1, n_pool), columns, self._pool_size)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """See `learn.shared_gram.GramStore.arrays`; waits."""
        return {name: self._device.to_host(getattr(self, f"_{name}")) for name in ("gram", "cross", "trace_sum")}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """See `learn.shared_gram.GramStore.restore`."""
        put = self._device.asarray
        self._gram, self._cross, self._trace_sum = (put(arrays[name]) for name in ("gram", "cross", "trace_sum"))

    def _products(
        self, left: _Samples, right: _Samples, out: Any, trials: int, samples: int, upper: bool = False, negative: bool = False
    ) -> None:
        sizes = map(np.int32, (out.shape[1], trials, samples, upper, negative))
        grid = min(-(-int(left.n) // TILE) * -(-int(right.n) // TILE), 65_535)
        self._device.launch("shared_gram", "shared_products", grid, BLOCK, (pack(left), pack(right), out, *sizes))

    def _scale(self, x: Any, out: Any, divisor: float, factor: np.float32) -> None:
        self._launch("shared_scale", x.size, (x, out, np.int64(x.size), np.float32(divisor), factor))

    def _launch(self, kernel: str, size: int, args: tuple[Any, ...]) -> None:
        if size:
            self._device.launch("shared_gram", kernel, min(-(-size // BLOCK), 65_535), BLOCK, args)


class DeviceGramSystem:
    """Normal equations by blocks of a Gram matrix on a device; the twin of `learn.host_gram.HostGramSystem`."""

    def __init__(
        self, device: Device, copies: "HostCopies", scale: float, gram: Any, mean: Any, columns: DeviceColumns, pool_size: int
    ) -> None:
        self._device, self._copies, self.scale = device, copies, scale
        self._gram, self._mean, self._columns, self._pool_size = gram, mean, columns, pool_size

    def solve(self, problems: Regressions, threads: int | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Solve every neuron's problem, its target on the device; plastic and feed-forward weights come to the host."""
        (n_neurons, n), columns, xp = problems.inputs.shape, self._columns, self._device.xp
        given, reduced = device_regressions(self._copies, problems), columns.moment(problems.target, threads)
        moment, weights = xp.empty((n_neurons, n), np.float32), xp.zeros((n_neurons, n), np.float32)
        if moment.size:
            sizes = map(np.int32, (*self._mean.shape, n_neurons, n, reduced.shape[1]))
            args = (self._mean, columns.reduction, problems.target, reduced, given.inputs, moment, *sizes)
            self._device.launch("shared_gram", "shared_moments", min(-(-moment.size // BLOCK), 65_535), BLOCK, args)
            grid, shared, scratch = solver_scratch(
                self._device, "shared_gram", "shared_solve", n, -(-n_neurons // self._pool_size)
            )
            numbers = (np.int32(len(self._gram)), np.int32(self._pool_size))
            args = (self._gram, numbers[0], moment, pack(given), numbers[1], weights, *scratch)
            self._device.launch("shared_gram", "shared_solve", grid, BLOCK, args, shared=shared)
        feed_forward = columns.weights(given.inputs, weights, problems.target, threads)
        return self._device.to_host(weights), self._device.to_host(feed_forward)


def _rows(values: Any, index: Any = None) -> _Samples:
    """Return samples that stand below each other, (trial, sample, column), of the columns in `index` if there is one."""
    _, samples, n = values.shape
    chosen = values[:0] if index is None else index
    number = np.int32(n if index is None else len(index))
    return _Samples(values, chosen, np.int64(samples * n), np.int64(n), np.int64(1), number)


def _without_padding(xp: Any, cross: Any, n_pool: int, n_ff: int) -> Any:
    """Copy the part of (condition, padded pool, padded ff) that is in use."""
    out = xp.empty((len(cross), n_pool, n_ff), np.float32)
    out[:] = cross[:, :n_pool, :n_ff]
    return out
