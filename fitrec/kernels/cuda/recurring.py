"""Drives ``recurring.cu``: what two noisy measurements on a device have in common."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.recurring import GROUP, SUMS
from fitrec.kernels.cuda.device import Device

BLOCK = 256  # as PRODUCT_BLOCK
TILE = 64  # as PRODUCT_TILE
PARTS_BYTES = 2**28  # of the sums over groups of units at a time


def recurring_bytes(n_samples: int, n_units: int) -> int:
    """Device memory of the Gram matrices, of their parts, and of what is known of each unit."""
    one = 8 * SUMS * n_samples**2
    return one * (1 + _together(n_units, one)) + 24 * n_units


def _together(n_units: int, gram_bytes: int) -> int:
    """Return the groups of units that are summed at the same time."""
    return min(-(-n_units // GROUP), max(1, PARTS_BYTES // max(1, gram_bytes)))


class DeviceRecurring:
    """The steps of `learn.recurring.recurring_part` for (sample, unit) float64 on a device; twin of `HostRecurring` there."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def units(self, one: Any, other: Any) -> tuple[Any, float]:
        """Mean of either measurement and noise of their average, (3, unit) on the device; also the largest noise. Waits."""
        known, n_units = self._device.xp.zeros((3, one.shape[1])), one.shape[1]
        if n_units:
            args = (one, other, known, np.int32(one.shape[0]), np.int32(n_units))
            self._device.launch("recurring", "recurring_units", min(-(-n_units // BLOCK), 65_535), BLOCK, args)
        return known, float(self._device.to_host(known[2]).max(initial=0.0))

    def gram(self, one: Any, other: Any, known: Any, noiseless: np.float64) -> NDArray[np.float64]:
        """Gram matrices over units, upper triangles: (3, sample, sample) on the host. Waits."""
        (n, n_units), xp = one.shape, self._device.xp
        gram, n_groups = xp.zeros((SUMS, n, n)), -(-n_units // GROUP)
        side = -(-n // TILE)
        together = _together(n_units, gram.nbytes)
        partial = xp.zeros((together, SUMS, n, n))
        for first in range(0, n_groups, together):
            some = min(together, n_groups - first)
            sizes = (np.int32(n), np.int32(n_units), np.int32(first), np.int32(some))
            grid = min(some * SUMS * side * (side + 1) // 2, 65_535)
            self._device.launch("recurring", "recurring_gram", grid, BLOCK, (one, other, known, noiseless, partial, *sizes))
            grid = min(-(-gram.size // BLOCK), 65_535)
            self._device.launch("recurring", "recurring_add", grid, BLOCK, (partial, gram, np.int32(n), np.int32(some)))
        return self._device.to_host(gram)

    def apply(self, filtering: NDArray[np.float64], one: Any, other: Any, known: Any) -> Any:
        """Apply the filter (sample, sample), which is on the host: (sample, unit) on the device."""
        out, (n, n_units) = self._device.xp.empty(one.shape), one.shape
        if out.size:
            args = (one, other, known, self._device.asarray(filtering), out, np.int32(n), np.int32(n_units))
            grid = min(-(-n // TILE) * -(-n_units // TILE), 65_535)
            self._device.launch("recurring", "recurring_filter", grid, BLOCK, args)
        return out
