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
        rates = xp.empty(counts.shape)
        if rates.size:
            given = (counts, xp.zeros(0, np.int64) if more is None else more, rates)
            numbers = (np.int64(rates.size), np.float64(trials), np.float64(bin_s))
            self._device.launch("psth", "psth_rates", min(-(-rates.size // BLOCK), 65_535), BLOCK, (*given, *numbers))
        return self.smooth(rates[None])[0]

    def smooth(self, x: Any) -> Any:
        """Smooth (slab, time, unit) float64 along time, on the device."""
        out, (_, n_time, n_units) = self._device.xp.empty(x.shape), x.shape
        sizes = (np.int32(n_time), np.int32(n_units), np.int32(self._reach))
        grid = min(-(-n_time * n_units // BLOCK), 65_535)
        for slab in range(len(x) if grid else 0):
            self._device.launch("psth", "psth_smooth", grid, BLOCK, (x[slab], self._weights, self._covered, out[slab], *sizes))
        return out

    def moments(self, psth: Any, rate: Any) -> NDArray[np.float64]:
        """(3, unit) of PSTH and target, (time, unit) on the device; see `kernels.cpu.psth.moments`. Waits."""
        n_time, n_units = psth.shape
        out = self._device.xp.zeros((3, n_units))
        if n_units:
            args = (psth, rate, out, np.int32(n_time), np.int32(n_units))
            self._device.launch("psth", "psth_moments", -(-n_units // BLOCK), BLOCK, args)
        return self._device.to_host(out)
