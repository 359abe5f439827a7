"""Tables of connections, a row per neuron: drawn at random, and seen from the other side; the same for any number of threads."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import wiring
from fitrec.kernels.cuda import wiring as cuda
from fitrec.kernels.cuda.device import Device
from fitrec.threads import available_threads, thread_map

ROWS = 4096  # drawn per piece of work


def sample_rows(
    out: NDArray[np.int32],
    pool: NDArray[np.int32],
    excluded: NDArray[np.int64],
    stream: int,
    row_offset: int,
    seed: int,
    threads: int | None = None,
    device: Device | None = None,
) -> None:
    """Fill each row of `out` with a sample of the ascending `pool`, sorted; see `kernels.cpu.wiring.sample_rows`.

    `excluded` are places in the pool. With a device the rows are drawn there, if it has room for so many draws.
    """
    if device is not None and cuda.can_sample(out.shape[1]):
        cuda.sample_rows(device, out, pool, excluded, stream, row_offset, seed)
        return

    def draw(first: int) -> None:
        last = min(first + ROWS, len(out))
        wiring.sample_rows(out, len(pool), excluded, stream, row_offset, seed, first, last)
        out[first:last] = pool[out[first:last]]

    thread_map(draw, range(0, len(out), ROWS), threads)


class Transposed(NamedTuple):
    """Where each value stands in a table.

    Attributes
    ----------
    indptr : (value + 1,) int64
    row, slot : (entry,) int32
        Value j stands in the rows and slots at indptr[j]..indptr[j + 1] - 1; `slot` is empty if it was not wanted.

    """

    indptr: NDArray[np.int64]
    row: NDArray[np.int32]
    slot: NDArray[np.int32]


def transpose_rows(
    table: NDArray[np.int32],
    n_values: int,
    order: NDArray[np.int32] | None = None,
    *,
    slots: bool = True,
    threads: int | None = None,
) -> Transposed:
    """List the rows in which each value stands.

    Parameters
    ----------
    table : (row, slot) int32
        Values below `n_values`.
    order : (row,) int32, optional
        The order in which the rows of a value are listed; ascending without it.
    slots : bool
        List the slots too.

    """
    if order is None:
        order = np.arange(len(table), dtype=np.int32)
    count = min(threads or available_threads(), max(1, table.size // max(1, n_values)))  # each takes n_values counters
    edges = np.linspace(0, len(table), count + 1).astype(int)
    pieces = list(enumerate(pairwise(edges.tolist())))
    cursor, indptr = np.empty((count, n_values), np.int64), np.empty(n_values + 1, np.int64)
    row, slot = np.empty(table.size, np.int32), np.empty(table.size if slots else 0, np.int32)
    thread_map(lambda piece: wiring.count_columns(table, order, *piece[1], cursor[piece[0]]), pieces, count)
    wiring.place_columns(cursor, indptr)
    thread_map(lambda piece: wiring.list_columns(table, order, *piece[1], cursor[piece[0]], row, slot), pieces, count)
    return Transposed(indptr, row, slot)
