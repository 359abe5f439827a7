"""Random wiring from the counter-based generator: the targets of a neuron depend on (seed, neuron) alone."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.lif_step import fixed_point
from fitrec.kernels.cpu.philox import SHIFT, philox

STATIC_WIRING, PLASTIC_EXC_WIRING, PLASTIC_INH_WIRING, PROCEDURAL_WIRING = 16, 17, 18, 19


# Draws of a row that are compared with one another, all at once by vectors; more are marked in the whole pool.
FEW_DRAWS = 256


@njit(inline="always")
def _is_among(drawn, found, candidate):
    hits = 0
    for k in range(found):
        hits += drawn[k] == candidate
    return hits > 0


@njit(inline="always")
def _by_rank(drawn, row):
    """Write numbers that all differ in ascending order."""
    for k in range(drawn.shape[0]):
        rank = 0
        for j in range(drawn.shape[0]):
            rank += drawn[j] < drawn[k]
        row[rank] = drawn[k]


@njit(nogil=True, cache=True)
def sample_rows(out, pool_size, excluded, stream, row_offset, seed, first, last):
    """Fill the rows first..last-1 of `out`, each with a sorted sample of 0..pool_size-1 without replacement.

    Parameters
    ----------
    out : (row, draw) int32
    excluded : (row,) int64
        One value each row must not contain (no autapse); -1 for none.
    row_offset : int
        Counter of row 0; a row's draws depend on its counter alone.

    The caller guarantees ``draw < pool_size``.

    """
    n_draws = out.shape[1]
    few = n_draws <= FEW_DRAWS
    drawn, taken = np.empty(n_draws, np.int32), np.zeros(0 if few else pool_size, np.bool_)
    for row in range(first, last):
        found, attempt = 0, 0
        while found < n_draws:
            words = philox(row + row_offset, attempt, 0, 0, seed, stream)
            attempt += 1
            for word in words:
                candidate = np.int64((np.uint64(word) * np.uint64(pool_size)) >> SHIFT)
                if found == n_draws or candidate == excluded[row]:
                    continue
                if few and not _is_among(drawn, found, candidate):
                    drawn[found] = candidate
                    found += 1
                if not few and not taken[candidate]:
                    taken[candidate] = True
                    drawn[found] = candidate
                    found += 1
        if few:
            _by_rank(drawn, out[row])
        else:
            taken[drawn] = False
            drawn.sort()
            out[row] = drawn


@njit(nogil=True, cache=True)
def count_columns(columns, order, first, last, counts):
    """Count how often each column value stands in the rows order[first..last-1]."""
    counts[:] = 0
    for k in range(first, last):
        for slot in range(columns.shape[1]):
            counts[columns[order[k], slot]] += 1


@njit(nogil=True, cache=True)
def place_columns(counts, indptr):
    """Turn the counts (piece, column) into the places where each piece begins to write; sets indptr (column + 1,)."""
    at = np.int64(0)
    for j in range(counts.shape[1]):
        indptr[j] = at
        for piece in range(counts.shape[0]):
            count = counts[piece, j]
            counts[piece, j] = at
            at += count
    indptr[-1] = at


@njit(nogil=True, cache=True)
def list_columns(columns, order, first, last, cursor, row_of, slot_of):
    """Write where each column value stands in the rows order[first..last-1], beginning at `cursor`, which is advanced.

    `slot_of` may be empty: then only rows are wanted.
    """
    for k in range(first, last):
        row = order[k]
        for slot in range(columns.shape[1]):
            j = columns[row, slot]
            at = cursor[j]
            row_of[at] = row
            if slot_of.shape[0]:
                slot_of[at] = slot
            cursor[j] = at + 1


@njit(nogil=True, cache=True)
def cut_rows(indptr, indices, bounds, out):
    """Cut CSR rows at borders of their targets: piece ``row * parts + part`` holds those in bounds[part]..bounds[part + 1] - 1.

    Parameters
    ----------
    indptr, indices : CSR
        Targets ascending within each row, all below bounds[-1].
    bounds : (part + 1,) int64
    out : (row * parts + 1,) int64
        Receives the pieces' indptr.

    Returns
    -------
    int
        First row whose targets do not ascend, or -1.

    """
    parts = bounds.shape[0] - 1
    for row in range(indptr.shape[0] - 1):
        part = 0
        out[row * parts] = indptr[row]
        for k in range(indptr[row], indptr[row + 1]):
            if k > indptr[row] and indices[k] < indices[k - 1]:
                return row
            while indices[k] >= bounds[part + 1]:
                part += 1
                out[row * parts + part] = k
        while part < parts - 1:
            part += 1
            out[row * parts + part] = indptr[row + 1]
    out[-1] = indptr[-1]
    return -1


@njit(nogil=True, cache=True)
def fix_weights(weights, row, slot, out):
    """Write the weights (neuron, input) of synapses in fixed point."""
    for s in range(out.shape[0]):
        out[s] = fixed_point(weights[row[s], slot[s]])
