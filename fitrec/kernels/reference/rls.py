"""Recursive least squares in its textbook form (Haykin, Adaptive Filter Theory; rls.md 2.1)."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def initial_p(n_ff: int, n_exc: int, n_inh: int, *, penalty: float, penalty_row_sum: float, penalty_feed_forward: float) -> Array:
    """P(0) = (diag(lambda_FF, lambda) + mu S)^-1, S_ab = 1 where a and b are both E or both I inputs (rls.md 2.2).

    Returns
    -------
    (ff + exc + inh, ff + exc + inh) float64
        The same matrix for every neuron with these numbers of inputs.

    """
    n = n_ff + n_exc + n_inh
    inverse = np.diag(np.r_[np.full(n_ff, penalty_feed_forward), np.full(n_exc + n_inh, penalty)])
    inverse[n_ff : n_ff + n_exc, n_ff : n_ff + n_exc] += penalty_row_sum
    inverse[n_ff + n_exc :, n_ff + n_exc :] += penalty_row_sum
    p = np.linalg.inv(inverse).reshape(n, n)
    return np.asarray(0.5 * (p + p.T))


def rls_step(p: Array, weights: Array, r: Array, bias: float) -> None:
    """One update of one neuron, in place.

    k = P r, c = 1 / (1 + r'k), P <- P - c k k', e = w'r + bias, w <- w - c e k.

    Parameters
    ----------
    p : (input, input)
    weights, r : (input,)
    bias : float
        Everything in the error that the weights do not produce: other currents minus the target.

    """
    k = p @ r
    c = 1.0 / (1.0 + r @ k)
    e = weights @ r + bias
    p -= c * np.outer(k, k)
    weights -= c * e * k
