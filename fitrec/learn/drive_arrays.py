"""Arithmetic on drives and rates of all trained neurons, on the host or on a device, with the same bits.

Arrays are (condition, time, trained) float64, or halves of them; a device's stay there.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import drive as kernel
from fitrec.kernels.cpu.drive import InverseCurve
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.drive import DriveKernels
from fitrec.kernels.cuda.psth import Smoother
from fitrec.kernels.cuda.recurring import DeviceRecurring
from fitrec.learn.recurring import HostRecurring, recurring_part
from fitrec.targets.drive import TILE
from fitrec.targets.smoothing import smooth_with, within
from fitrec.threads import thread_map

Array = NDArray[np.float64]


class DriveArrays(Protocol):
    """The operations."""

    def put(self, host: Array) -> Any:
        """Copy an array of the host to where the others are."""

    def to_host(self, array: Any) -> Array:
        """Return an array on the host."""

    def smooth(self, halves: Any, weights: Array) -> Any:
        """Smooth (half, condition, time, trained) along time; see `fitrec.targets.smoothing.smooth_with`."""

    def recurring_part(self, one: Any, other: Any) -> Any:
        """See `fitrec.learn.recurring.recurring_part`."""

    def misses(self, wanted: Any, rate_hz: Any, floor_hz: float) -> Any:
        """Return what the drives of rates, raised to the floor, lack of the wanted ones."""

    def move(self, average: Any, fresh: Any, weight: float) -> None:
        """Move averages towards new values, in place."""

    def correct(self, correction: Any, found: Any, gain: float, most: float) -> None:
        """Add a share of what was found to miss, kept within bounds, in place."""

    def plastic(self, needed: Any, correction: Any, current: Any) -> Any:
        """Return needed + correction - current."""

    def forced(self, wanted: Any, share: float) -> Any:
        """Return a share of a drive in float32."""

    def all_finite(self, drive: Any) -> bool:
        """Whether no drive is infinite or NaN."""


class HostDrives:
    """The operations on the host."""

    def __init__(self, curve: InverseCurve, threads: int | None) -> None:
        self._curve, self._threads = curve, threads

    def put(self, host: Array) -> Array:
        """See `DriveArrays.put`."""
        return np.array(host, order="C")

    def to_host(self, array: Array) -> Array:
        """See `DriveArrays.to_host`; the array itself."""
        return array

    def smooth(self, halves: Array, weights: Array) -> Array:
        """See `DriveArrays.smooth`."""
        return smooth_with(halves, weights, 2, self._threads)

    def recurring_part(self, one: Array, other: Array) -> Array:
        """See `DriveArrays.recurring_part`."""
        return np.asarray(recurring_part(one, other, HostRecurring(self._threads)))

    def misses(self, wanted: Array, rate_hz: Array, floor_hz: float) -> Array:
        """See `DriveArrays.misses`."""
        out = np.empty(wanted.shape)
        flat = (wanted.reshape(-1), np.ascontiguousarray(rate_hz).reshape(-1), floor_hz, self._curve, out.reshape(-1))
        self._in_tiles(partial(kernel.misses, *flat), out.size)
        return out

    def move(self, average: Array, fresh: Array, weight: float) -> None:
        """See `DriveArrays.move`."""
        self._in_tiles(partial(kernel.move, average.reshape(-1), fresh.reshape(-1), weight), average.size)

    def correct(self, correction: Array, found: Array, gain: float, most: float) -> None:
        """See `DriveArrays.correct`."""
        self._in_tiles(partial(kernel.correct, correction.reshape(-1), found.reshape(-1), gain, most), correction.size)

    def plastic(self, needed: Array, correction: Array, current: Array) -> Array:
        """See `DriveArrays.plastic`."""
        out = np.empty(needed.shape)
        flat = (x.reshape(-1) for x in (needed, correction, current, out))
        self._in_tiles(partial(kernel.plastic, *flat), out.size)
        return out

    def _in_tiles(self, work: Callable[[int, int], None], size: int) -> None:
        """Call `work` with the ends of pieces of so many values, on all threads."""
        thread_map(lambda first: work(first, min(first + TILE, size)), range(0, size, TILE), self._threads)

    def forced(self, wanted: Array, share: float) -> NDArray[np.float32]:
        """See `DriveArrays.forced`."""
        return (share * wanted).astype(np.float32)

    def all_finite(self, drive: Array) -> bool:
        """See `DriveArrays.all_finite`."""
        return bool(np.isfinite(drive).all())


class DeviceDrives(DriveKernels):
    """The operations on a device."""

    def __init__(self, device: Device, curve: InverseCurve) -> None:
        super().__init__(device, curve)
        self._device, self._steps = device, DeviceRecurring(device)

    def put(self, host: Array) -> Any:
        """See `DriveArrays.put`."""
        return self._device.asarray(host)

    def to_host(self, array: Any) -> Array:
        """See `DriveArrays.to_host`; waits."""
        return self._device.to_host(array)

    def smooth(self, halves: Any, weights: Array) -> Any:
        """See `DriveArrays.smooth`."""
        n_time, n_units = halves.shape[2:]
        smoother = Smoother(self._device, *within(weights, n_time))
        return smoother.smooth(halves.reshape(-1, n_time, n_units)).reshape(halves.shape)

    def recurring_part(self, one: Any, other: Any) -> Any:
        """See `DriveArrays.recurring_part`."""
        return recurring_part(one, other, self._steps)
