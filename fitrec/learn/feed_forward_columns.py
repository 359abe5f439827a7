"""The feed-forward columns of the ridge problems: shared by all neurons, with weights of their own per condition.

They are eliminated once for all neurons (Schur complement). With A_c = X_c'X_c + lambda_FF I = C C' and B_c = R_c'X_c, all per
trial, and K_c = B_c C'^-1,

    G~ = sum_c R_c'R_c - K_c K_c',    b~ = sum_c R_c'y_c - K_c C^-1 X_c'y_c,    v_c = A_c^-1 (X_c'y_c - B_c'w).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular


class FeedForwardColumns:
    """The eliminated columns.

    Parameters
    ----------
    cross : (condition, pool, ff) float32
        B_c.
    gram : (condition, ff, ff)
        X_c'X_c.
    mean : (condition, time, ff)
        Mean of X_c over trials.
    penalty : float
        lambda_FF.

    Attributes
    ----------
    reduction : (pool, condition x ff) float32
        K_c, the conditions side by side.

    """

    def __init__(self, cross: NDArray[np.float32], gram: NDArray[Any], mean: NDArray[Any], penalty: float) -> None:
        n_conditions, n_pool, n_ff = cross.shape
        self._cross, self._mean = cross, mean
        self._factor = [_factor(g.astype(np.float64) + penalty * np.eye(n_ff)) for g in gram] if n_ff else []
        self.reduction = np.empty((n_pool, n_conditions * n_ff), np.float32)
        for c, factor in enumerate(self._factor):
            half = solve_triangular(factor, cross[c].T.astype(np.float64), lower=True, check_finite=False)
            self.reduction[:, c * n_ff : (c + 1) * n_ff] = half.T

    @property
    def n_inputs(self) -> int:
        """Number of feed-forward inputs."""
        return int(self._cross.shape[2])

    def reduced_moment(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """C^-1 X_c'y_c of each condition, one below the other: (condition, time, neuron) -> (condition x ff, neuron)."""
        parts = [
            solve_triangular(factor, self._mean[c].T @ target[c], lower=True, check_finite=False)
            for c, factor in enumerate(self._factor)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, target.shape[2]))

    def weights(
        self, inputs: NDArray[np.int64], plastic: NDArray[np.float32], target: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """v_c of neurons whose plastic weights are known.

        Parameters
        ----------
        inputs, plastic : (neuron, input)
        target : (condition, time, neuron) float64

        Returns
        -------
        (condition, neuron, ff) float32

        """
        result = np.zeros((len(target), len(inputs), self.n_inputs), np.float32)
        for c, factor in enumerate(self._factor):
            rest = self._mean[c].T @ target[c]
            for i, (columns, weights) in enumerate(zip(inputs, plastic, strict=True)):
                rest[:, i] -= weights @ self._cross[c, columns]
            result[c] = cho_solve((factor, True), rest, check_finite=False).T
        return result


def absolute_penalty(relative: float, gram: NDArray[Any]) -> float:
    """Return lambda_FF from its multiple of the mean squared trace of an input, summed over one trial of all conditions.

    Parameters
    ----------
    gram : (condition, ff, ff)
        X_c'X_c of the trials as they were.

    """
    scale = float(np.mean([np.trace(g) for g in gram])) / gram.shape[1] * len(gram) if gram.shape[1] else 1.0
    return relative * (scale or 1.0)


def _factor(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower Cholesky factor; NaN where the matrix has none, so that the weights tell."""
    try:
        return np.asarray(cholesky(matrix, lower=True, check_finite=False))
    except LinAlgError:
        return np.full_like(matrix, np.nan)
