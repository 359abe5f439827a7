"""Drives ``drive.cu``: the drives that ridge aims at, on a device."""

from typing import Any, NamedTuple

import numpy as np

from fitrec.kernels.cpu.drive import InverseCurve
from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device

BLOCK = 256


class _Curve(NamedTuple):
    log_rate: Any
    cubic: Any
    begin: Any
    pieces_per_log: np.float64
    first_rate: np.float64
    last_rate: np.float64
    last_drive: np.float64
    below: np.float64
    above: np.float64
    n_knots: np.int32
    n_pieces: np.int32


class DriveKernels:
    """Operations on float64 arrays of one shape that lie on a device."""

    def __init__(self, device: Device, curve: InverseCurve) -> None:
        self._device, put = device, device.asarray
        numbers = (curve.pieces_per_log, curve.first_rate, curve.last_rate, curve.last_drive, curve.below, curve.above)
        sizes = (np.int32(len(curve.log_rate)), np.int32(len(curve.begin)))
        self._curve = _Curve(put(curve.log_rate), put(curve.cubic), put(curve.begin), *numbers, *sizes)

    def misses(self, wanted: Any, rate_hz: Any, floor_hz: float) -> Any:
        """Return what the drives of rates, raised to the floor, lack of the wanted ones; see `kernels.cpu.drive.invert`."""
        out = self._device.xp.empty(wanted.shape)
        n = np.int64(out.size)
        self._launch("drive_misses", out.size, (wanted, rate_hz, out, n, np.float64(floor_hz), pack(self._curve)))
        return out

    def move(self, average: Any, fresh: Any, weight: float) -> None:
        """Move averages towards new values, in place."""
        self._launch("drive_move", average.size, (average, fresh, np.int64(average.size), np.float64(weight)))

    def correct(self, correction: Any, found: Any, gain: float, most: float) -> None:
        """Add a share of what was found to miss, kept within bounds, in place."""
        numbers = (np.int64(correction.size), np.float64(gain), np.float64(most))
        self._launch("drive_correct", correction.size, (correction, found, *numbers))

    def plastic(self, needed: Any, correction: Any, current: Any) -> Any:
        """Return needed + correction - current."""
        out = self._device.xp.empty(needed.shape)
        self._launch("drive_plastic", out.size, (needed, correction, current, out, np.int64(out.size)))
        return out

    def forced(self, wanted: Any, share: float) -> Any:
        """Return a share of a drive in float32."""
        out = self._device.xp.empty(wanted.shape, np.float32)
        self._launch("drive_forced", out.size, (wanted, out, np.int64(out.size), np.float64(share)))
        return out

    def all_finite(self, drive: Any) -> bool:
        """Whether no drive is infinite or NaN. Waits."""
        found = self._device.xp.zeros(1, np.int32)
        self._launch("drive_not_finite", drive.size, (drive, found, np.int64(drive.size)))
        return not self._device.to_host(found)[0]

    def _launch(self, kernel: str, size: int, args: tuple[Any, ...]) -> None:
        if size:
            self._device.launch("drive", kernel, min(-(-size // BLOCK), 65_535), BLOCK, args)
