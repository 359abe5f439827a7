"""Solving with a Cholesky factor, outside the interpreter's lock (scipy's LAPACK wrappers keep it)."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def cholesky_solve(factor: NDArray[np.float32], right: NDArray[np.float32]) -> None:
    """Solve ``factor @ factor.T @ x = right`` in place of `right`.

    Parameters
    ----------
    factor : (n, n) float32
        Lower triangular; what is above the diagonal is not read.
    right : (n,) float32

    """
    n = len(right)
    for i in range(n):
        total = np.float32(0)
        for j in range(i):
            total += factor[i, j] * right[j]
        right[i] = (right[i] - total) / factor[i, i]
    for i in range(n - 1, -1, -1):
        right[i] /= factor[i, i]
        for j in range(i):
            right[j] -= factor[i, j] * right[i]
