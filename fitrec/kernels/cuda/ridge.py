"""Drives ``ridge.cu``: traces kept on the device, and the regressions of all neurons on them."""

import logging
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.ridge import Regressions
from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device, reserving
from fitrec.kernels.cuda.feed_forward_columns import DeviceColumns

logger = logging.getLogger(__name__)

BLOCK = 256
COPIED_BYTES = 2**28  # at a time
_STATIC_SHARED = 17 * 1024  # bytes that ridge_solve takes besides
_WHAT, _REMEDY = "keeping the traces of ridge", "lower train.ridge.memory_gb"


class _Traces(NamedTuple):
    kept: Any
    scale: Any
    root_weight: Any
    n_conditions: np.int32
    n_pool: np.int32
    slots: np.int32
    used: np.int32
    n_bins: np.int32
    is_float: np.int32


class _Eliminated(NamedTuple):
    reduction: Any
    moment: Any
    n_columns: np.int32


class _Regressions(NamedTuple):
    target: Any
    inputs: Any
    initial: Any
    n_neurons: np.int32
    n_inputs: np.int32
    n_exc: np.int32
    diagonal: np.float32
    same_kind: np.float32


class HostCopies:
    """Copies of arrays of the host on a device, kept as long as they are asked for of the same arrays, which must not change."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._copies: dict[str, tuple[object, Any]] = {}

    def of(self, name: str, host: NDArray[Any]) -> Any:
        """Return the copy; of arrays of the same name the last one's is kept."""
        if self._copies.get(name, (None, None))[0] is not host:
            self._copies[name] = (host, self._device.asarray(host))
        return self._copies[name][1]


def device_regressions(copies: HostCopies, problems: Regressions) -> _Regressions:
    """Problems, whose targets are on the device, as the kernels take them."""
    n_neurons, n_inputs = problems.inputs.shape
    arrays = (problems.target, copies.of("inputs", problems.inputs), copies.of("initial", problems.initial))
    numbers = (problems.n_exc, problems.diagonal, problems.same_kind)
    return _Regressions(*arrays, np.int32(n_neurons), np.int32(n_inputs), *numbers)


def solver_scratch(device: Device, module: str, kernel: str, n_inputs: int, problems: int) -> tuple[int, int, tuple[Any, ...]]:
    """Blocks for so many problems, bytes of shared memory that each has, and the kernel's last arguments: where it works."""
    floats = n_inputs * (n_inputs | 1) + 3 * n_inputs
    shared = 4 * floats if 4 * floats + _STATIC_SHARED <= device.shared_bytes else 0
    if not shared:
        _say_where(n_inputs, device.shared_bytes)
    grid = min(problems, device.resident_blocks(module, kernel, BLOCK, shared))
    scratch = device.xp.zeros(0 if shared else grid * floats, np.float32)
    return grid, shared, (scratch, np.int32(floats), np.int32(shared > 0))


@cache
def _say_where(n_inputs: int, shared_bytes: int) -> None:
    """Say, once, that systems of so many inputs are solved in slower memory."""
    logger.info(
        "ridge: a system of %d inputs does not fit into the %.0f kB of shared memory that a block has, and is solved in global "
        "memory, which is slower",
        n_inputs,
        shared_bytes / 1024,
    )


def kept_bytes(n_conditions: int, n_bins: int, n_pool: int, slots: int, bits: int) -> int:
    """Device memory that kept traces take, a slot for their mean among them."""
    return n_conditions * n_pool * (slots + 1) * (bits // 8 * n_bins + 4)


class DeviceTraces:
    """Traces of the pool's neurons; the twin of `learn.gathered_traces.HostTraces`.

    Parameters
    ----------
    pool : (pool,) int32
        Neurons of the pool, among all whose traces `keep` is given.

    Raises
    ------
    DeviceError
        If the device has too little memory.

    """

    on_device = True

    def __init__(self, device: Device, n_conditions: int, n_bins: int, pool: NDArray[np.int32], slots: int, bits: int) -> None:
        self._device, xp = device, device.xp
        shape = (n_conditions, len(pool), slots + 1)  # one more, for means over trials
        with reserving(device, kept_bytes(n_conditions, n_bins, len(pool), slots, bits), _WHAT, _REMEDY):
            self._pool, self._copies = device.asarray(pool.astype(np.int32)), HostCopies(device)
            self._kept = xp.empty((*shape, n_bins), np.uint16 if bits == 16 else np.float32)
            self._scale = xp.empty(shape, np.float32)
            self._energy = xp.zeros(len(pool))

    def keep(self, condition: int, slot: int, trace: Any, threads: int | None) -> NDArray[np.float64]:
        """Keep one trial's traces, (time, neuron) float32 on the device; returns the sum of each neuron's squares."""
        self._keep(condition, slot, trace, self._pool)
        return self._device.to_host(self._energy)

    def _keep(self, condition: int, slot: int, trace: Any, columns: Any) -> None:
        n_pool, slots, n_bins = self._kept.shape[1:]
        numbers = (trace.shape[1], n_pool, slots, n_bins, self._kept.dtype.itemsize == 4, condition, slot)
        n, *others = (np.int32(number) for number in numbers)
        args = (trace, n, columns, self._kept, self._scale, self._energy, *others)
        self._device.launch("ridge", "ridge_keep", -(-n_pool // BLOCK), BLOCK, args)

    def average(self, share: NDArray[np.float32], threads: int | None) -> None:
        """Put the mean over trials, by the share of each, (condition, trial), into the slot behind theirs."""
        n_conditions, n_pool, _, n_bins = self._kept.shape
        mean = self._device.xp.empty((n_bins, n_pool), np.float32)
        everyone, trials = self._device.asarray(np.arange(n_pool, dtype=np.int32)), share.shape[1]
        traces = pack(self._struct(share))
        for c in range(n_conditions):
            args = (traces, np.int32(c), self._device.asarray(share[c]), np.int32(trials), mean)
            grid = min(-(-n_pool * -(-n_bins // 32) // (BLOCK // 32)), 65_535)
            self._device.launch("ridge", "ridge_average", grid, BLOCK, args)
            self._keep(c, trials, mean, everyone)

    def cross(self, root_weight: NDArray[np.float32], weighted: NDArray[np.float32]) -> Any:
        """Products with feed-forward traces: (condition, sample, ff) -> (condition, pool, ff) float32 on the device."""
        n_conditions, n_pool = self._scale.shape[:2]
        n_ff, traces = weighted.shape[2], self._struct(root_weight)
        out = self._device.xp.empty((n_conditions, n_pool, n_ff), np.float32)
        for c in range(n_conditions if out.size else 0):
            args = (pack(traces), np.int32(c), self._device.asarray(weighted[c]), out[c], np.int32(n_ff))
            grid = min(-(-n_pool // 64) * -(-n_ff // 64), 65_535)
            self._device.launch("ridge", "ridge_cross", grid, BLOCK, args)
        return out

    def columns(
        self,
        root_weight: NDArray[np.float32],
        weighted: NDArray[np.float32],
        small: tuple[NDArray[np.float64], ...],
        threads: int | None,
    ) -> DeviceColumns:
        """Eliminate the feed-forward columns; see `learn.gathered_traces.TraceStore.columns`."""
        return DeviceColumns(self._device, self.cross(root_weight, weighted), small)

    def solve(
        self, root_weight: NDArray[np.float32], columns: DeviceColumns, problems: Regressions, threads: int | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Solve every neuron's problem, its target on the device; plastic and feed-forward weights come to the host.

        See `kernels.cpu.ridge.solve` and `learn.feed_forward_columns.HostColumns.weights`.
        """
        n_neurons, n = problems.inputs.shape
        traces, given = self._struct(root_weight), device_regressions(self._copies, problems)
        moment = columns.moment(problems.target, threads)
        eliminated = _Eliminated(columns.reduction, moment, np.int32(moment.shape[1]))
        weights = self._device.xp.zeros((n_neurons, n), np.float32)
        grid, shared, scratch = solver_scratch(self._device, "ridge", "ridge_solve", n, n_neurons)
        args = (*map(pack, (traces, eliminated, given)), weights, *scratch)
        self._device.launch("ridge", "ridge_solve", grid, BLOCK, args, shared=shared)
        feed_forward = columns.weights(given.inputs, weights, problems.target, threads)
        return self._device.to_host(weights), self._device.to_host(feed_forward)

    def arrays(self, used: int) -> dict[str, NDArray[Any]]:
        """Return what is kept in the first slots, as the host keeps it."""
        n_conditions, n_pool, _, n_bins = self._kept.shape
        kept = np.empty((n_conditions, n_pool, used, n_bins), self._kept.dtype)
        for piece in self._pieces(used):
            kept[piece] = self._device.to_host(self._kept[piece][:, :used])
        return {"kept": kept, "scale": self._device.to_host(self._scale[:, :, :used])}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what was kept."""
        used = arrays["scale"].shape[2]
        for piece in self._pieces(used):
            self._kept[piece][:, :used] = self._device.asarray(arrays["kept"][piece])
        self._scale[:, :, :used] = self._device.asarray(arrays["scale"])

    def _pieces(self, used: int) -> Iterator[tuple[int, slice]]:
        """Parts of what is kept, small enough that the device has room for a copy of one."""
        n_conditions, n_pool, _, n_bins = self._kept.shape
        step = max(1, COPIED_BYTES // max(1, self._kept.dtype.itemsize * used * n_bins))
        for c in range(n_conditions):
            for first in range(0, n_pool, step):
                yield c, slice(first, first + step)

    def _struct(self, root_weight: NDArray[np.float32]) -> _Traces:
        n_conditions, n_pool, slots, n_bins = self._kept.shape
        numbers = (n_conditions, n_pool, slots, root_weight.shape[1], n_bins, self._kept.dtype.itemsize == 4)
        return _Traces(self._kept, self._scale, self._device.asarray(root_weight), *(np.int32(number) for number in numbers))
