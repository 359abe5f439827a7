"""Ridge regression of one neuron in its textbook form."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def solve(x: Array, y: Array, initial: Array, n_exc: int, diagonal: float, same_kind: float) -> Array:
    """Minimise |x w - y|^2 + d' A d with d = w - initial.

    A has `diagonal` on its diagonal, and `same_kind` between two of the first `n_exc` inputs and between two of the others.

    Parameters
    ----------
    x : (sample, input)
    y : (sample,)
    initial : (input,)

    Returns
    -------
    (input,) float64

    """
    exc = np.arange(len(initial)) < n_exc
    penalty = np.where(exc[:, None] == exc, same_kind, 0.0)
    np.fill_diagonal(penalty, diagonal)
    return np.asarray(initial + np.linalg.solve(x.T @ x + penalty, x.T @ (y - x @ initial)))
