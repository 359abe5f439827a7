"""The feed-forward columns of the ridge problems: shared by all neurons, with weights of their own per condition.

They are eliminated once for all neurons (Schur complement). With A_c = X_c'X_c + lambda_FF I = C C' and B_c = R_c'X_c, all per
trial, and K_c = B_c C'^-1,

    G~ = sum_c R_c'R_c - K_c K_c',    b~ = sum_c R_c'y_c - K_c C^-1 X_c'y_c,    v_c = A_c^-1 (X_c'y_c - B_c'w).

C and its inverse are small (as many inputs as there are, squared), and the host's. What is left are products of small matrices
with what belongs to neurons: of those there are kernels, for the host and for a device.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from fitrec.kernels.cpu import feed_forward_columns as kernel
from fitrec.kernels.cpu.products import by_rows
from fitrec.threads import thread_map

TILE = 512  # neurons per piece of work


class SmallMatrices(NamedTuple):
    """What the products are made with, float64; NaN where A_c has no Cholesky factor, so that the weights tell."""

    half: NDArray[np.float64]  # (condition, ff, ff): C^-1
    half_mean: NDArray[np.float64]  # (condition, ff, time): C^-1 X_c'
    weights: NDArray[np.float64]  # (condition, ff, time + ff): A_c^-1 X_c' and, beside it, -A_c^-1


def small_matrices(gram: NDArray[Any], mean: NDArray[Any], penalty: float) -> SmallMatrices:
    """Factor and invert.

    Parameters
    ----------
    gram : (condition, ff, ff)
        X_c'X_c.
    mean : (condition, time, ff)
        Mean of X_c over trials.
    penalty : float
        lambda_FF.

    """
    n_ff = gram.shape[1]
    half = np.empty(gram.shape)
    for c, products in enumerate(gram if n_ff else gram[:0]):
        half[c] = _inverse_factor(products.astype(np.float64) + penalty * np.eye(n_ff))
    half_mean = half @ mean.transpose(0, 2, 1)
    whole = half.transpose(0, 2, 1)
    return SmallMatrices(half, half_mean, np.concatenate([whole @ half_mean, -(whole @ half)], axis=2))


def _inverse_factor(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        factor = cholesky(matrix, lower=True, check_finite=False)
    except LinAlgError:
        return np.full_like(matrix, np.nan)
    return np.asarray(solve_triangular(factor, np.eye(len(matrix)), lower=True, check_finite=False))


class Columns(Protocol):
    """The eliminated columns; arrays are on the host or on a device.

    Attributes
    ----------
    reduction : (pool, condition x ff) float32
        K_c, the conditions side by side.

    """

    reduction: Any

    def moment(self, target: Any, threads: int | None) -> Any:
        """C^-1 X_c'y_c of each condition, side by side: (condition, time, neuron) -> (neuron, condition x ff) float32."""

    def weights(self, inputs: Any, plastic: Any, target: Any, threads: int | None) -> Any:
        """v_c of neurons whose plastic weights, (neuron, input), are known: (condition, neuron, ff) float32."""


class HostColumns:
    """The eliminated columns on the host.

    Parameters
    ----------
    cross : (condition, pool, ff) float32
        B_c.

    """

    def __init__(self, cross: NDArray[np.float32], small: SmallMatrices, threads: int | None) -> None:
        self._cross = cross
        self._half, self._half_mean, self._weights = ([by_rows(matrix) for matrix in matrices] for matrices in small)
        n_conditions, n_pool, n_ff = cross.shape
        self.reduction = np.empty((n_pool, n_conditions * n_ff), np.float32)

        def tile(c: int, first: int, last: int) -> None:
            kernel.reduce(self._half[c], cross[c], self.reduction, c * n_ff, first, last)

        self._tiles(tile, n_pool, threads)

    def moment(self, target: NDArray[np.float64], threads: int | None) -> NDArray[np.float32]:
        """See `Columns.moment`."""
        n_ff = self._cross.shape[2]
        out = np.empty((target.shape[2], self.reduction.shape[1]), np.float32)

        def tile(c: int, first: int, last: int) -> None:
            kernel.moments(self._half_mean[c], target[c], out, c * n_ff, n_ff, first, last)

        self._tiles(tile, len(out), threads)
        return out

    def weights(
        self, inputs: NDArray[np.int32], plastic: NDArray[np.float32], target: NDArray[np.float64], threads: int | None
    ) -> NDArray[np.float32]:
        """See `Columns.weights`."""
        out = np.empty((len(target), len(inputs), self._cross.shape[2]), np.float32)

        def tile(c: int, first: int, last: int) -> None:
            kernel.weights(self._weights[c], target[c], self._cross[c], inputs, plastic, out[c], first, last)

        self._tiles(tile, len(inputs), threads)
        return out

    def _tiles(self, work: Callable[[int, int, int], None], n: int, threads: int | None) -> None:
        """Do work for each condition, and pieces of n neurons."""
        n_conditions, _, n_ff = self._cross.shape
        places = [(c, first) for c in range(n_conditions if n_ff else 0) for first in range(0, n, TILE)]
        thread_map(lambda place: work(*place, min(place[1] + TILE, n)), places, threads)


def absolute_penalty(relative: float, gram: NDArray[Any]) -> float:
    """Return lambda_FF from its multiple of the mean squared trace of an input, summed over one trial of all conditions.

    Parameters
    ----------
    gram : (condition, ff, ff)
        X_c'X_c of the trials as they were.

    """
    scale = float(np.mean([np.trace(g) for g in gram])) / gram.shape[1] * len(gram) if gram.shape[1] else 1.0
    return relative * (scale or 1.0)
