"""Drives ``wiring.cu``: connections drawn on the device, and their index by presynaptic neuron."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device

BLOCK = 256
SHARED_BYTES = 48 * 1024  # what any block may have
_GRID = 65_535


def can_sample(draws: int) -> bool:
    """Whether so many draws per row have room on the device."""
    return 4 * draws <= SHARED_BYTES


def sample_rows(
    device: Device,
    out: NDArray[np.int32],
    pool: NDArray[np.int32],
    excluded: NDArray[np.int64],
    stream: int,
    row_offset: int,
    seed: int,
) -> None:
    """Fill each row of `out`, on the host, with a sorted sample of `pool`; see `networks.rows.sample_rows`."""
    n_rows, draws = out.shape
    if out.size == 0:
        return
    warps = max(1, min(BLOCK // 32, SHARED_BYTES // (4 * draws)))
    drawn = device.xp.empty((n_rows, draws), np.int32)
    sizes = (np.int32(n_rows), np.int32(draws), np.int32(draws))
    key = (np.uint32(len(pool)), np.uint32(row_offset), np.uint32(seed), np.uint32(stream))
    args = (drawn, device.asarray(pool), device.asarray(excluded), *sizes, *key)
    device.launch("wiring", "wiring_sample", min(-(-n_rows // warps), _GRID), 32 * warps, args, shared=4 * draws * warps)
    out[:] = device.to_host(drawn)


class Index(NamedTuple):
    """Where each value stands in a table; on the device. See `networks.rows.Transposed`.

    `target` (entry,) uint16 or uint32 is the neuron that the row stands for.
    """

    indptr: Any
    row: Any
    slot: Any
    target: Any


def transpose_rows(
    device: Device,
    table: NDArray[np.int32],
    n_values: int,
    neuron: NDArray[np.int32],
    order: NDArray[np.int32] | None,
    target: Any,
) -> Index:
    """List the rows in which each value of a table (row, slot) stands, in their `order`; all rows ascending without it.

    Parameters
    ----------
    neuron : (row,) int32
    target : dtype
        Of ``Index.target``: 16 or 32 bits.

    """
    xp, put, n, slots = device.xp, device.asarray, table.size, table.shape[1]
    if order is None:
        order = np.arange(len(table), dtype=np.int32)
    position = np.empty_like(order)
    position[order] = np.arange(len(order), dtype=np.int32)
    indptr, counts = xp.zeros(n_values + 1, np.int64), xp.zeros(n_values, np.uint64)
    row, slot, targets = xp.empty(n, np.int32), xp.empty(n, np.int32), xp.empty(n, target)
    if n:
        on_device, places, grid = put(table), xp.empty(n, np.int64), min(-(-n // BLOCK), _GRID)
        device.launch("wiring", "wiring_count", grid, BLOCK, (on_device, counts, np.int64(n)))
        indptr[1:] = xp.cumsum(counts)
        cursor = indptr[:-1].astype(np.uint64)
        args = (on_device, put(position), cursor, places, np.int64(n), np.int32(slots))
        device.launch("wiring", "wiring_list", grid, BLOCK, args)
        found = (places, indptr, put(order), row, slot, np.int32(n_values), np.int32(slots))
        device.launch("wiring", "wiring_sort", min(-(-n_values * 32 // BLOCK), _GRID), BLOCK, found)
        wide = np.int32(targets.dtype.itemsize == 4)
        device.launch("wiring", "wiring_targets", grid, BLOCK, (row, put(neuron), targets, np.int64(n), wide))
    return Index(indptr, row, slot, targets)
