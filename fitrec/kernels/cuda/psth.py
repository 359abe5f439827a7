"""Drives ``psth.cu``: PSTHs from sums of counts, smoothed, and the sums that their correlation with targets is made of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device

BLOCK = 256


def psth_bytes(n_bins: int, n_trained: int, n_conditions: int) -> int:
    """Device memory of the targets of all conditions, and of a PSTH of one before and after it is smoothed."""
    return 8 * n_bins * n_trained * (n_conditions + 2)


class Smoother:
    """Smooths PSTHs on a device.

    Parameters
    ----------
    weights, covered
        As in `kernels.cpu.psth.smooth`.

    """

    def __init__(self, device: Device, weights: NDArray[np.float64], covered: NDArray[np.float64]) -> None:
        self._device, self._reach = device, len(weights) // 2
        self._weights, self._covered = device.asarray(weights), device.asarray(covered)

    def smoothed_hz(self, counts: Any, more: Any, trials: int, bin_s: float) -> Any:
        """Smoothed rates (time, unit) float64, on the device, of summed counts (time, unit) int64 and `more` of them, or None."""
        xp = self._device.xp
        n_time, n_units = counts.shape
        rates, out = xp.empty((n_time, n_units)), xp.empty((n_time, n_units))
        grid = min(-(-out.size // BLOCK), 65_535)
        if grid:
            given = (counts, xp.zeros(0, np.int64) if more is None else more, rates)
            numbers = (np.int64(out.size), np.float64(trials), np.float64(bin_s))
            self._device.launch("psth", "psth_rates", grid, BLOCK, (*given, *numbers))
            sizes = (np.int32(n_time), np.int32(n_units), np.int32(self._reach))
            args = (rates, self._weights, self._covered, out, *sizes)
            self._device.launch("psth", "psth_smooth", grid, BLOCK, args)
        return out

    def moments(self, psth: Any, rate: Any) -> NDArray[np.float64]:
        """(3, unit) of PSTH and target, (time, unit) on the device; see `kernels.cpu.psth.moments`. Waits."""
        n_time, n_units = psth.shape
        out = self._device.xp.zeros((3, n_units))
        if n_units:
            args = (psth, rate, out, np.int32(n_time), np.int32(n_units))
            self._device.launch("psth", "psth_moments", -(-n_units // BLOCK), BLOCK, args)
        return self._device.to_host(out)
