"""Ridge regressions of many neurons on shared traces, one Gram matrix for all.

Neuron u has plastic inputs S_u out of a common pool with traces R (samples x pool), and all neurons share the feed-forward traces
X_c of each condition c, with weights of their own per condition. Its problem is

    min over w, v_c of  sum_c |R_c[:, S_u] w + X_c v_c - y_c|^2 + lambda |w - w0|^2 + lambda_FF sum_c |v_c|^2
                        + mu (1_E'(w - w0))^2 + mu (1_I'(w - w0))^2

The v_c are eliminated once for all neurons (Schur complement): with A_c = X_c'X_c + lambda_FF I and B_c = R_c'X_c,

    G~ = sum_c R_c'R_c - B_c A_c^-1 B_c',    b~_u = sum_c R_c'y_c - B_c A_c^-1 X_c'y_c,

each neuron solves an L x L system in its sub-block of G~, and v_c = A_c^-1 (X_c'y_c - B_c' w).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from fitrec.simulate.threads import thread_map

BLOCK = 64  # neurons per piece of work


@dataclass(kw_only=True)
class Statistics:
    """Sums over samples, per trial: what the regressions need to know about the traces.

    Targets are the same in every trial, so only the trial sums of the traces meet them.

    Attributes
    ----------
    gram : (pool, pool) float32
        sum over conditions of R'R.
    cross : (condition, pool, ff) float32
        R_c'X_c.
    ff_gram : (condition, ff, ff) float32
        X_c'X_c.
    trace_sum, ff_sum : (condition, time, pool or ff) float64
        Sums over trials of R and X.
    trials : float
        (Discounted) number of trials in the sums.

    """

    gram: NDArray[np.float32]
    cross: NDArray[np.float32]
    ff_gram: NDArray[np.float32]
    trace_sum: NDArray[np.float64]
    ff_sum: NDArray[np.float64]
    trials: float

    @classmethod
    def empty(cls, n_conditions: int, n_bins: int, n_pool: int, n_ff: int) -> "Statistics":
        """No samples."""
        return cls(
            gram=np.zeros((n_pool, n_pool), np.float32),
            cross=np.zeros((n_conditions, n_pool, n_ff), np.float32),
            ff_gram=np.zeros((n_conditions, n_ff, n_ff), np.float32),
            trace_sum=np.zeros((n_conditions, n_bins, n_pool)),
            ff_sum=np.zeros((n_conditions, n_bins, n_ff)),
            trials=0.0,
        )

    def discount(self, factor: float) -> None:
        """Give the samples so far less weight."""
        for sums in (self.gram, self.cross, self.ff_gram, self.trace_sum, self.ff_sum):
            sums *= sums.dtype.type(factor)
        self.trials *= factor

    def add(self, condition: int, traces: NDArray[np.float32], ff_traces: NDArray[np.float32], threads: int | None) -> None:
        """Add trials of one condition.

        Parameters
        ----------
        traces, ff_traces : (trial, time, pool or ff) float32

        """
        rows = traces.reshape(-1, traces.shape[2])
        ff_rows = ff_traces.reshape(len(rows), ff_traces.shape[2])  # -1 would be ambiguous without feed-forward inputs
        n_pool, width = rows.shape[1], 512

        # Fixed tiles, each one matrix product on one thread: the same bits for any number of threads.
        def tile(start: int) -> None:
            part = slice(start, min(start + width, n_pool))
            self.gram[part, : part.stop] += rows[:, part].T @ rows[:, : part.stop]

        thread_map(tile, range(0, n_pool, width), threads)
        for start in range(0, n_pool, width):
            part = slice(start, min(start + width, n_pool))
            self.gram[: part.start, part] = self.gram[part, : part.start].T
        if ff_rows.shape[1]:
            self.cross[condition] += rows.T @ ff_rows
            self.ff_gram[condition] += ff_rows.T @ ff_rows
        self.trace_sum[condition] += traces.sum(axis=0, dtype=np.float64)
        self.ff_sum[condition] += ff_traces.sum(axis=0, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """Penalties relative to the mean square of the traces.

    A relative penalty of 1 weighs a weight as much as the data of one trial of all conditions do on average; rls.md's absolute
    lambda means very different things for different rates, trial lengths and numbers of trials.

    Attributes
    ----------
    plastic : float
        lambda.
    row_sum : float
        mu, on the change of the summed E and of the summed I weights.
    feed_forward : float
        lambda_FF.

    """

    plastic: float
    row_sum: float
    feed_forward: float


def solve(
    statistics: Statistics,
    target: NDArray[np.float64],
    inputs: NDArray[np.int64],
    initial: NDArray[np.float32],
    n_exc_inputs: int,
    penalties: Penalties,
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Solve every neuron's ridge problem.

    Parameters
    ----------
    statistics : Statistics
    target : (condition, time, neuron) float64
        Plastic drive wanted.
    inputs : (neuron, input) int64
        Columns of the pool each neuron listens to, its E inputs first.
    initial : (neuron, input) float32
        Weights around which the penalties are centred.
    n_exc_inputs : int

    Returns
    -------
    plastic : (neuron, input) float32
    feed_forward : (condition, neuron, ff) float32
        NaN, as the plastic ones, for a neuron whose problem has no finite solution.

    """
    s, n = statistics, statistics.trials
    n_conditions, _, n_neurons = target.shape
    n_ff, n_inputs = s.ff_sum.shape[2], inputs.shape[1]
    gram = s.gram / np.float32(n)
    scale = float(np.trace(gram)) / max(len(gram), 1) or 1.0  # when all are silent, any penalty keeps the initial weights
    moment = np.einsum("ctp,ctu->pu", s.trace_sum, target, optimize=True) / n
    ff_inverse, ff_moment = [], []
    if n_ff:
        ff_scale = float(np.mean([np.trace(g) for g in s.ff_gram])) / n / n_ff * n_conditions or 1.0
        for c in range(n_conditions):
            cross = s.cross[c].astype(np.float64) / n
            factor = _factor(s.ff_gram[c].astype(np.float64) / n + penalties.feed_forward * ff_scale * np.eye(n_ff))
            ff_moment.append(s.ff_sum[c].T @ target[c] / n)
            ff_inverse.append(factor)
            half = cho_solve(factor, cross.T, check_finite=False)
            gram -= (cross @ half).astype(np.float32)
            moment -= half.T @ ff_moment[c]

    same_kind = np.zeros((n_inputs, n_inputs))
    same_kind[:n_exc_inputs, :n_exc_inputs] = 1.0
    same_kind[n_exc_inputs:, n_exc_inputs:] = 1.0
    penalty = (penalties.plastic * scale * np.eye(n_inputs) + penalties.row_sum * scale * same_kind).astype(np.float32)
    plastic = np.empty((n_neurons, n_inputs), np.float32)

    def solve_block(start: int) -> None:
        for u in range(start, min(start + BLOCK, n_neurons)):
            block = gram[np.ix_(inputs[u], inputs[u])]
            missing = moment[inputs[u], u].astype(np.float32) - block @ initial[u]
            plastic[u] = initial[u] + cho_solve(_factor(block + penalty), missing, check_finite=False)

    thread_map(solve_block, range(0, n_neurons, BLOCK), threads)
    feed_forward = np.zeros((n_conditions, n_neurons, n_ff), np.float32)
    if n_ff:
        spread = np.zeros((len(gram), n_neurons), np.float32)  # the weights as columns over the whole pool
        np.put_along_axis(spread, inputs.T, plastic.T, axis=0)
        for c in range(n_conditions):
            rest = ff_moment[c] - s.cross[c].T @ spread / n
            feed_forward[c] = cho_solve(ff_inverse[c], rest, check_finite=False).T
    return plastic, feed_forward


def _factor(matrix: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Cholesky factor for `cho_solve`; NaN where the matrix has none, so that the weights tell."""
    try:
        factor, lower = cho_factor(matrix, check_finite=False)
    except LinAlgError:
        return np.full_like(matrix, np.nan), False
    return factor, lower
