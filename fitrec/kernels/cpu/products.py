"""Products of a small matrix and a wide one in float64: sums in ascending order, each one chain of fused multiply-adds."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fitrec.kernels.cpu.simd import WIDTH, broadcast, load, spread, store, vfma

ROWS = 4  # whose sums stay in registers together


def by_rows(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Lay out the rows of (row, k) as `multiply` reads them: (block, k, 4), then zeros."""
    n, k = matrix.shape
    blocks = -(-n // ROWS)
    padded = np.zeros((blocks * ROWS, k))
    padded[:n] = matrix
    return np.ascontiguousarray(padded.reshape(blocks, ROWS, k).transpose(0, 2, 1))


@njit(nogil=True, cache=True)
def multiply(rows, panel, out, first, last):
    """Set ``out[i, first:last]`` to the products of all rows with a panel of up to 16 columns.

    Parameters
    ----------
    rows : (block, k, 4) float64
        See `by_rows`.
    panel : (k, 16) float64
    out : (row, column) float64

    """
    n, depth = len(out), rows.shape[1]
    sums = np.empty((ROWS, WIDTH))
    for block in range(len(rows)):
        at = block * depth * ROWS
        a = b = c = d = broadcast(0.0)
        for k in range(depth):
            x, r = load(panel, k * WIDTH), at + k * ROWS
            a = vfma(spread(rows, r), x, a)
            b = vfma(spread(rows, r + 1), x, b)
            c = vfma(spread(rows, r + 2), x, c)
            d = vfma(spread(rows, r + 3), x, d)
        store(sums, 0, a)
        store(sums, WIDTH, b)
        store(sums, 2 * WIDTH, c)
        store(sums, 3 * WIDTH, d)
        for i in range(min(ROWS, n - block * ROWS)):
            for j in range(last - first):
                out[block * ROWS + i, first + j] = sums[i, j]
