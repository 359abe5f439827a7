"""The shared Gram matrix on the host, and the regressions that take their blocks of it."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import ridge, ridge_pool
from fitrec.kernels.cpu import shared_gram as kernel
from fitrec.kernels.cpu.products import by_rows
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.learn.feed_forward_columns import HostColumns, SmallMatrices
from fitrec.learn.rule import Arrays
from fitrec.threads import available_threads, thread_map

PANELS = 8  # of 16 rows of a matrix per piece of work
BLOCK = 64  # neurons per piece of work

F32 = NDArray[np.float32]


class HostGram:
    """Sums over trials; see `learn.shared_gram.GramStore`."""

    on_device = False

    def __init__(self, n_conditions: int, n_bins: int, n_pool: int, n_ff: int, pool_size: int) -> None:
        self._n_pool, self._n_ff, self._pool_size = n_pool, n_ff, pool_size
        pool, ff = (-(-n // WIDTH) * WIDTH for n in (n_pool, n_ff))
        self.gram = np.zeros((pool, pool), np.float32)
        self.cross = np.zeros((n_conditions, pool, ff), np.float32)
        self.trace_sum = np.zeros((n_conditions, n_bins, n_pool))

    def discount(self, factor: float) -> None:
        """See `GramStore.discount`."""
        for sums in (self.gram, self.cross, self.trace_sum):
            sums *= sums.dtype.type(factor)

    def add(self, condition: int, traces: Sequence[F32], ff_traces: F32, threads: int | None) -> None:
        """See `GramStore.add`."""
        panels = _packed(traces, threads)
        _add(panels, panels, self.gram, True, False, threads)
        if self._n_ff:
            _add(panels, _packed(ff_traces, threads), self.cross[condition], False, False, threads)
        for trace in traces:
            self.trace_sum[condition] += trace

    def energy(self) -> float:
        """See `GramStore.energy`."""
        return float(np.diagonal(self.gram).astype(np.float64).sum())

    def system(
        self, n: float, scale: float, share: np.float32, weighted: F32, small: SmallMatrices, threads: int | None
    ) -> "HostGramSystem":
        """See `GramStore.system`."""
        mean = self.trace_sum / n
        gram, cross = (x / np.float32(n) * share for x in (self.gram, self.cross))
        if share != 1:
            rows = mean.astype(np.float32)
            own = _packed(rows, threads)
            _add(_packed((np.float32(1) - share) * rows, threads), own, gram, True, False, threads)
            for c in range(len(rows) if self._n_ff else 0):
                _add(own[c : c + 1], _packed(weighted[c : c + 1], threads), cross[c], False, False, threads)
        columns = HostColumns(np.ascontiguousarray(cross[:, : self._n_pool, : self._n_ff]), small, threads)
        if columns.reduction.shape[1]:
            reduction = _packed(columns.reduction[None], threads, kernel.pack_columns)
            _add(reduction, reduction, gram, True, True, threads)
        return HostGramSystem(scale, gram, mean.reshape(-1, self._n_pool), columns, self._pool_size)

    def arrays(self) -> Arrays:
        """See `GramStore.arrays`; views."""
        return {"gram": self.gram, "cross": self.cross, "trace_sum": self.trace_sum}

    def restore(self, arrays: Arrays) -> None:
        """See `GramStore.restore`."""
        for name, sums in self.arrays().items():
            sums[:] = arrays[name]


class HostGramSystem:
    """Normal equations by blocks of a Gram matrix, the feed-forward columns eliminated."""

    def __init__(self, scale: float, gram: F32, mean: NDArray[np.float64], columns: HostColumns, pool_size: int) -> None:
        self.scale, self._gram, self._mean, self._columns, self._pool_size = scale, gram, mean, columns, pool_size

    def solve(self, problems: ridge.Regressions, threads: int | None) -> tuple[F32, F32]:
        """See `fitrec.learn.least_squares.System.solve`."""
        p = problems
        out, moment = np.empty(p.inputs.shape, np.float32), np.empty(p.inputs.shape, np.float32)
        reduced, target = self._columns.moment(p.target, threads), p.target.reshape(len(self._mean), -1)
        rows = by_rows(np.concatenate([self._mean.T, -self._columns.reduction.astype(np.float64)], axis=1))

        def block(start: int) -> None:
            stop = min(start + BLOCK, len(out))
            kernel.moments(rows, target, reduced, p.inputs, moment, start, stop)
            if self._pool_size == 1:
                kernel.solve(self._gram, moment, p, start, stop, out)

        thread_map(block, range(0, len(out), BLOCK), threads)
        if self._pool_size > 1:
            self._solve_pools(p, moment, threads, out)
        return out, self._columns.weights(p.inputs, out, p.target, threads)

    def _solve_pools(self, problems: ridge.Regressions, moment: F32, threads: int | None, out: F32) -> None:
        p, pool_size = problems, self._pool_size

        def pool(first: int, threads: int | None) -> None:
            last = min(first + pool_size, len(out))
            own, panels = ridge.own_block(self._gram, p.inputs[first]), {}

            def begin(start: int) -> None:
                stop = min(start + WIDTH, last)
                panels[start] = np.empty((out.shape[1], WIDTH), np.float32)
                ridge_pool.right_sides(own, moment[start:stop], p.initial[start:stop], panels[start])

            thread_map(begin, range(first, last, WIDTH), threads)
            inverse = ridge_pool.factor_block(own, out.shape[1], p.n_exc, p.diagonal, p.same_kind)

            def end(start: int) -> None:
                stop = min(start + WIDTH, last)
                ridge_pool.solve_panel(own, inverse, panels[start], p.initial[start:stop], out[start:stop])

            thread_map(end, range(first, last, WIDTH), threads)

        pools = range(0, len(out), pool_size)
        if len(pools) >= (threads or available_threads()):
            thread_map(lambda first: pool(first, 1), pools, threads)
        else:
            for first in pools:
                pool(first, threads)


def _packed(matrices: Sequence[F32] | F32, threads: int | None, pack: Callable[..., None] = kernel.pack_rows) -> F32:
    """Lay out matrices (sample, column), or by `pack_columns` (column, sample): (matrix, panel, sample, 16)."""
    samples, columns = matrices[0].shape if pack is kernel.pack_rows else matrices[0].shape[::-1]
    out = np.empty((len(matrices), -(-columns // WIDTH), samples, WIDTH), np.float32)

    def panels(place: tuple[int, int]) -> None:
        which, first = place
        pack(matrices[which], out[which], first, min(first + PANELS, out.shape[1]))

    thread_map(panels, [(k, first) for k in range(len(matrices)) for first in range(0, out.shape[1], PANELS)], threads)
    return out


def _add(left: F32, right: F32, out: F32, upper: bool, negative: bool, threads: int | None) -> None:
    """Add products to a matrix, some rows at a time; see `kernels.cpu.shared_gram.add_products`."""

    def rows(first: int) -> None:
        kernel.add_products(left, right, out, upper, negative, first, min(first + PANELS, left.shape[1]))

    thread_map(rows, range(0, left.shape[1], PANELS), threads)
