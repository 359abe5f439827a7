"""Drives ``feed_forward_columns.cu``: the eliminated feed-forward columns of the ridge problems, on a device."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device

BLOCK = 256  # as PRODUCT_BLOCK
TILE = 64  # as PRODUCT_TILE


def columns_bytes(n_conditions: int, n_pool: int, n_trained: int, n_ff: int) -> int:
    """Device memory of the columns, their products with the traces and the targets, and the weights."""
    return n_ff * (8 * n_conditions * (n_pool + n_trained) + 8 * n_trained)


class DeviceColumns:
    """The eliminated columns on a device; the twin of `learn.feed_forward_columns.HostColumns`.

    Parameters
    ----------
    cross : (condition, pool, ff) float32, on the device
    small : three arrays of float64 on the host
        See `learn.feed_forward_columns.SmallMatrices`.

    """

    def __init__(self, device: Device, cross: Any, small: tuple[NDArray[np.float64], ...]) -> None:
        self._device, self._cross = device, cross
        half, self._half_mean, self._weights = map(device.asarray, small)
        n_conditions, n_pool, n_ff = cross.shape
        self.reduction = device.xp.empty((n_pool, n_conditions * n_ff), np.float32)
        for c in self._conditions(n_pool):
            sizes = map(np.int32, (n_pool, n_ff, n_conditions * n_ff, c * n_ff))
            self._launch("columns_reduce", n_pool, (cross[c], half[c], self.reduction, *sizes))

    def moment(self, target: Any, threads: int | None) -> Any:
        """See `learn.feed_forward_columns.Columns.moment`."""
        (_, n_time, n), (_, width), n_ff = target.shape, self.reduction.shape, self._cross.shape[2]
        out = self._device.xp.empty((n, width), np.float32)
        for c in self._conditions(n):
            sizes = map(np.int32, (n_time, n, n_ff, width, c * n_ff))
            self._launch("columns_moment", n, (target[c], self._half_mean[c], out, *sizes))
        return out

    def weights(self, inputs: Any, plastic: Any, target: Any, threads: int | None) -> Any:
        """See `learn.feed_forward_columns.Columns.weights`."""
        (n_conditions, n_time, n), n_ff, xp = target.shape, self._cross.shape[2], self._device.xp
        out, drive = xp.empty((n_conditions, n, n_ff), np.float32), xp.empty((n, n_ff))
        for c in self._conditions(n):
            sizes = map(np.int32, (n, inputs.shape[1], n_ff))
            args = (self._cross[c], inputs, plastic, drive, *sizes)
            self._device.launch("feed_forward_columns", "columns_drive", min(-(-drive.size // BLOCK), 65_535), BLOCK, args)
            sizes = map(np.int32, (n_time, n, n_ff))
            self._launch("columns_weights", n, (target[c], drive, self._weights[c], out[c], *sizes))
        return out

    def _conditions(self, n: int) -> Iterator[int]:
        """Conditions, if there is something to do in them."""
        yield from range(len(self._cross) if n and self._cross.shape[2] else 0)

    def _launch(self, kernel: str, n: int, args: tuple[Any, ...]) -> None:
        grid = min(-(-n // TILE) * -(-self._cross.shape[2] // TILE), 65_535)
        self._device.launch("feed_forward_columns", kernel, grid, BLOCK, args)
