"""Statistics of the traces, first form: one Gram matrix of the whole pool, of which each neuron takes its block.

The matrix takes 4 pool^2 bytes, and a trial is added at the cost of pool^2 per sample whatever the number of neurons: the form
for pools up to some ten thousand neurons. `fitrec.learn.gathered_traces` is the other one.
"""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import ridge as kernel
from fitrec.kernels.cpu import ridge_pool as pooled
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.learn.feed_forward_columns import HostColumns, absolute_penalty, small_matrices
from fitrec.learn.rule import Arrays
from fitrec.simulate.threads import available_threads, thread_map

TILE = 512  # rows of the Gram matrix per piece of work
BLOCK = 64  # neurons solved per piece of work


class SharedGram:
    """Sums over trials and samples, older trials discounted.

    Targets are the same in every trial, so only the trial sums of the traces meet them.

    Parameters
    ----------
    pool_size : int
        Consecutive neurons with the same inputs: their matrix is factored once.

    Attributes
    ----------
    gram : (pool, pool) float32
        Sum over conditions of R'R.
    cross : (condition, pool, ff) float32
        R_c'X_c.
    ff_gram : (condition, ff, ff) float32
        X_c'X_c.
    trace_sum, ff_sum : (condition, time, pool or ff) float64
        Sums over trials of R and X.
    trials : (condition,) float64
        (Discounted) number of trials in the sums.

    """

    on_device = False

    def __init__(self, n_conditions: int, n_bins: int, n_pool: int, n_ff: int, pool_size: int = 1) -> None:
        self.pool_size = pool_size
        self.gram = np.zeros((n_pool, n_pool), np.float32)
        self.cross = np.zeros((n_conditions, n_pool, n_ff), np.float32)
        self.ff_gram = np.zeros((n_conditions, n_ff, n_ff), np.float32)
        self.trace_sum = np.zeros((n_conditions, n_bins, n_pool))
        self.ff_sum = np.zeros((n_conditions, n_bins, n_ff))
        self.trials = np.zeros(n_conditions)

    def discount(self, factor: float) -> None:
        """Give the trials so far less weight."""
        for sums in self.state().values():
            sums *= sums.dtype.type(factor)

    def add(self, condition: int, traces: NDArray[np.float32], ff_traces: NDArray[np.float32], threads: int | None) -> None:
        """Add trials of one condition.

        Parameters
        ----------
        traces, ff_traces : (trial, time, pool or ff) float32

        """
        rows = traces.reshape(-1, traces.shape[2])
        ff_rows = ff_traces.reshape(len(rows), ff_traces.shape[2])  # -1 would be ambiguous without feed-forward inputs
        n_pool = rows.shape[1]

        # Fixed tiles, each one matrix product on one thread: the same bits for any number of threads.
        def tile(start: int) -> None:
            part = slice(start, min(start + TILE, n_pool))
            self.gram[part, : part.stop] += rows[:, part].T @ rows[:, : part.stop]

        thread_map(tile, range(0, n_pool, TILE), threads)
        for start in range(0, n_pool, TILE):
            part = slice(start, min(start + TILE, n_pool))
            self.gram[: part.start, part] = self.gram[part, : part.start].T
        if ff_rows.shape[1]:
            self.cross[condition] += rows.T @ ff_rows
            self.ff_gram[condition] += ff_rows.T @ ff_rows
        self.trace_sum[condition] += traces.sum(axis=0, dtype=np.float64)
        self.ff_sum[condition] += ff_traces.sum(axis=0, dtype=np.float64)
        self.trials[condition] += len(traces)

    def system(self, penalty_feed_forward: float, fluctuations: float, threads: int | None) -> "SharedSystem":
        """Set up the normal equations of all neurons; arguments as in `Penalties`."""
        return SharedSystem(self, penalty_feed_forward, fluctuations, threads)

    def state(self) -> Arrays:
        """Return the sums themselves."""
        names = ("gram", "cross", "ff_gram", "trace_sum", "ff_sum", "trials")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        for name, sums in self.state().items():
            sums[:] = state[name]


class SharedSystem:
    """Normal equations by blocks of the pool's Gram matrix, the feed-forward columns eliminated."""

    def __init__(self, sums: SharedGram, penalty_feed_forward: float, fluctuations: float, threads: int | None) -> None:
        self._pool_size = sums.pool_size
        n = float(sums.trials.mean())
        self.scale = float(np.trace(sums.gram)) / max(len(sums.gram), 1) / n
        mean, ff_mean = sums.trace_sum / n, sums.ff_sum / n
        self._mean = mean.reshape(-1, len(sums.gram))
        self._gram, cross, ff_gram = (x / np.float32(n) for x in (sums.gram, sums.cross, sums.ff_gram))
        penalty = absolute_penalty(penalty_feed_forward, ff_gram)
        if fluctuations != 1:
            share = np.float32(fluctuations)
            for products in (self._gram, cross, ff_gram):
                products *= share  # in place: the Gram matrix is the largest thing there is
            self._add_products(mean.astype(np.float32), ff_mean.astype(np.float32), 1 - share, cross, ff_gram, threads)
        self._columns = HostColumns(cross, small_matrices(ff_gram, ff_mean, penalty), threads)
        reduction = self._columns.reduction
        if reduction.shape[1]:

            def reduce(start: int) -> None:
                self._gram[start : start + TILE] -= reduction[start : start + TILE] @ reduction.T

            thread_map(reduce, range(0, len(self._gram), TILE), threads)

    def _add_products(
        self,
        mean: NDArray[np.float32],
        ff_mean: NDArray[np.float32],
        weight: np.float32,
        cross: NDArray[np.float32],
        ff_gram: NDArray[np.float32],
        threads: int | None,
    ) -> None:
        """Add the products of the mean traces, (condition, time, pool or ff), to those of single trials."""
        rows = mean.reshape(-1, mean.shape[2])

        def tile(start: int) -> None:
            self._gram[start : start + TILE] += (weight * rows[:, start : start + TILE]).T @ rows

        thread_map(tile, range(0, len(self._gram), TILE), threads)
        for c, (trace, ff_trace) in enumerate(zip(mean, weight * ff_mean, strict=True)):
            cross[c] += trace.T @ ff_trace
            ff_gram[c] += ff_mean[c].T @ ff_trace

    def solve(self, problems: kernel.Regressions, threads: int | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `fitrec.learn.least_squares.System.solve`."""
        out = np.empty(problems.inputs.shape, np.float32)
        reduced = self._columns.moment(problems.target, threads)

        def block(start: int) -> None:
            stop = min(start + BLOCK, len(out))
            kernel.solve_blocks(self._gram, self._moments(problems, reduced, start, stop), problems, start, stop, out)

        if self._pool_size == 1:
            thread_map(block, range(0, len(out), BLOCK), threads)
        else:
            self._solve_pools(problems, reduced, threads, out)
        return out, self._columns.weights(problems.inputs, out, problems.target, threads)

    def _solve_pools(
        self, problems: kernel.Regressions, reduced: NDArray[np.float32], threads: int | None, out: NDArray[np.float32]
    ) -> None:
        p, pool_size = problems, self._pool_size

        def pool(first: int, threads: int | None) -> None:
            last = min(first + pool_size, len(out))
            own, panels = kernel.own_block(self._gram, p.inputs[first]), {}

            def begin(start: int) -> None:
                stop = min(start + WIDTH, last)
                panels[start] = np.empty((out.shape[1], WIDTH), np.float32)
                pooled.right_sides(own, self._moments(p, reduced, start, stop), p.initial[start:stop], panels[start])

            thread_map(begin, range(first, last, WIDTH), threads)
            inverse = pooled.factor_block(own, out.shape[1], p.n_exc, p.diagonal, p.same_kind)

            def end(start: int) -> None:
                stop = min(start + WIDTH, last)
                pooled.solve_panel(own, inverse, panels[start], p.initial[start:stop], out[start:stop])

            thread_map(end, range(first, last, WIDTH), threads)

        pools = range(0, len(out), pool_size)
        if len(pools) >= (threads or available_threads()):
            thread_map(lambda first: pool(first, 1), pools, threads)
        else:
            for first in pools:
                pool(first, threads)

    def _moments(self, problems: kernel.Regressions, reduced: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
        """Products of traces and targets of some neurons, (neuron, input)."""
        moment = self._mean.T @ problems.target[:, :, start:stop].reshape(len(self._mean), -1)
        moment -= self._columns.reduction @ reduced[start:stop].T
        return np.take_along_axis(moment.T, problems.inputs[start:stop].astype(np.intp), axis=1).astype(np.float32)
