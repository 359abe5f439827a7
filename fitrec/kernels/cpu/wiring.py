"""Random wiring from the counter-based generator: the targets of a neuron depend on (seed, neuron) alone."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.philox import SHIFT, philox

STATIC_WIRING, PLASTIC_EXC_WIRING, PLASTIC_INH_WIRING, PROCEDURAL_WIRING = 16, 17, 18, 19


@njit(nogil=True, cache=True)
def sample_rows(out, pool_size, excluded, stream, row_offset, seed):
    """Fill each row of `out` with a sorted sample of 0..pool_size-1 without replacement.

    Parameters
    ----------
    out : (row, draw) int32
    excluded : (row,) int64
        One value each row must not contain (no autapse); -1 for none.
    row_offset : int
        Counter of the first row, so that blocks of rows can be filled in any order.

    The caller guarantees ``draw < pool_size``.

    """
    taken = np.zeros(pool_size, np.bool_)
    n_draws = out.shape[1]
    for row in range(out.shape[0]):
        found = 0
        attempt = 0
        while found < n_draws:
            words = philox(row + row_offset, attempt, 0, 0, seed, stream)
            attempt += 1
            for word in words:
                candidate = np.int64((np.uint64(word) * np.uint64(pool_size)) >> SHIFT)
                if found < n_draws and candidate != excluded[row] and not taken[candidate]:
                    taken[candidate] = True
                    out[row, found] = candidate
                    found += 1
        out[row].sort()
        for k in range(n_draws):
            taken[out[row, k]] = False


@njit(nogil=True, cache=True)
def transpose_rows(columns, n_columns, indptr, row_of, slot_of):
    """Transpose a rectangular index table: for each column value, the rows and slots where it stands.

    `columns` is (row, slot); on return column j owns ``row_of[indptr[j]:indptr[j + 1]]`` in ascending order of rows.
    """
    indptr[:] = 0
    for row in range(columns.shape[0]):
        for slot in range(columns.shape[1]):
            indptr[columns[row, slot] + 1] += 1
    for j in range(n_columns):
        indptr[j + 1] += indptr[j]
    cursor = indptr[:-1].copy()
    for row in range(columns.shape[0]):
        for slot in range(columns.shape[1]):
            j = columns[row, slot]
            row_of[cursor[j]] = row
            slot_of[cursor[j]] = slot
            cursor[j] += 1


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
