"""Statistics of the traces, second form: the traces themselves, of which each neuron gathers its columns when it is solved.

No Gram matrix is ever kept: that of the pool would take 4 pool^2 bytes (17 GB for 66,002 neurons), those of all neurons 4 L^2
each. A neuron's L x L matrix is formed from its columns, factored and forgotten. The traces are kept in 16 bits (or 32), as many
of the newest trials as the memory granted holds; on a GPU they stay there.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.kernels.cpu import ridge as kernel
from fitrec.kernels.cpu import trace_rows
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.learn.feed_forward_columns import Columns, HostColumns, SmallMatrices, absolute_penalty, small_matrices
from fitrec.learn.rule import Arrays
from fitrec.threads import thread_map

Solution = tuple[NDArray[np.float32], NDArray[np.float32]]  # plastic and feed-forward weights, on the host

TILE = 512  # neurons of the pool per piece of work
BLOCK = 64  # neurons solved per piece of work


def trial_bytes(n_conditions: int, n_bins: int, n_pool: int, n_ff: int, bits: int) -> int:
    """Memory of the traces of one trial of every condition."""
    return n_conditions * (n_pool * (bits // 8 * n_bins + 4) + 4 * n_bins * n_ff)


class TraceStore(Protocol):
    """Traces of the pool's neurons: on the host (`HostTraces`) or on a device (`kernels.cuda.ridge.DeviceTraces`)."""

    on_device: bool

    def keep(self, condition: int, slot: int, trace: Any, threads: int | None) -> NDArray[np.float64]:
        """Keep one trial's traces, (time, neuron) float32 where the store is; returns the sum of each neuron's squares."""

    def average(self, share: NDArray[np.float32], threads: int | None) -> None:
        """Put the mean over trials, by the share of each, (condition, trial), into the slot behind theirs."""

    def columns(
        self, root_weight: NDArray[np.float32], weighted: NDArray[np.float32], small: SmallMatrices, threads: int | None
    ) -> Columns:
        """Eliminate the feed-forward columns; `weighted` are their traces, (condition, sample, ff)."""

    def solve(
        self, root_weight: NDArray[np.float32], columns: Any, problems: kernel.Regressions, threads: int | None
    ) -> Solution:
        """Solve every neuron's problem from the trials that have a weight, (condition, trial); targets are where the store is."""

    def arrays(self, used: int) -> Arrays:
        """Return ``kept`` (condition, pool, slot, time) and ``scale`` (condition, pool, slot) of the first slots."""

    def restore(self, arrays: Arrays) -> None:
        """Take over what was kept."""


class HostTraces:
    """Traces in host memory, in steps of `scale`: (condition, pool, slot, time) uint16 or float32.

    There is a slot more than asked for, for means over trials.
    """

    on_device = False

    def __init__(self, n_conditions: int, n_bins: int, n_pool: int, slots: int, bits: int) -> None:
        slots += 1
        # Untouched pages take no memory, so slots that are never filled cost nothing.
        self._kept = np.empty((n_conditions, n_pool, slots, n_bins), np.uint16 if bits == 16 else np.float32)
        self._scale = np.empty((n_conditions, n_pool, slots), np.float32)

    def keep(self, condition: int, slot: int, trace: NDArray[np.float32], threads: int | None) -> NDArray[np.float64]:
        """See `TraceStore.keep`; the traces are those of the pool."""
        n_pool = self._scale.shape[1]
        energy = np.empty(n_pool)

        def tile(start: int) -> None:
            part = slice(start, start + TILE)
            trace_rows.keep_trial(
                trace[:, part], self._kept[condition, part, slot], self._scale[condition, part, slot], energy[part]
            )

        thread_map(tile, range(0, n_pool, TILE), threads)
        return energy

    def average(self, share: NDArray[np.float32], threads: int | None) -> None:
        """See `TraceStore.average`."""
        (n_conditions, n_pool, _, n_bins), used = self._kept.shape, share.shape[1]
        mean = np.empty((n_bins, n_pool), np.float32)
        for c in range(n_conditions):

            def tile(start: int, c: int = c) -> None:
                part = slice(start, start + TILE)
                trace_rows.average(self._kept[c, part], self._scale[c, part], share[c], mean[:, part])

            thread_map(tile, range(0, n_pool, TILE), threads)
            self.keep(c, used, mean, threads)

    def cross(self, root_weight: NDArray[np.float32], weighted: NDArray[np.float32], threads: int | None) -> NDArray[np.float32]:
        """Products with weighted feed-forward traces: (condition, sample, ff) -> (condition, pool, ff)."""
        n_conditions, n_pool = self._scale.shape[:2]
        n_ff = weighted.shape[2]
        ff = np.pad(weighted, ((0, 0), (0, 0), (0, -n_ff % WIDTH)))
        out = np.zeros((n_conditions, n_pool + -n_pool % WIDTH, ff.shape[2]), np.float32)
        traces = kernel.Traces(self._kept, self._scale, root_weight)

        def tile(start: int) -> None:
            for c in range(n_conditions):
                kernel.cross(traces, c, ff[c], start, min(start + TILE, n_pool), out[c])

        thread_map(tile, range(0, n_pool if n_ff else 0, TILE), threads)
        return np.ascontiguousarray(out[:, :n_pool, :n_ff])

    def columns(
        self, root_weight: NDArray[np.float32], weighted: NDArray[np.float32], small: SmallMatrices, threads: int | None
    ) -> HostColumns:
        """See `TraceStore.columns`."""
        return HostColumns(self.cross(root_weight, weighted, threads), small, threads)

    def solve(
        self, root_weight: NDArray[np.float32], columns: Columns, problems: kernel.Regressions, threads: int | None
    ) -> Solution:
        """See `TraceStore.solve`."""
        out, traces = np.empty(problems.inputs.shape, np.float32), kernel.Traces(self._kept, self._scale, root_weight)
        eliminated = kernel.Eliminated(columns.reduction, columns.moment(problems.target, threads))

        def block(start: int) -> None:
            kernel.solve(traces, eliminated, problems, start, min(start + BLOCK, len(out)), out)

        thread_map(block, range(0, len(out), BLOCK), threads)
        return out, columns.weights(problems.inputs, out, problems.target, threads)

    def arrays(self, used: int) -> Arrays:
        """See `TraceStore.arrays`; views."""
        return {"kept": self._kept[:, :, :used], "scale": self._scale[:, :, :used]}

    def restore(self, arrays: Arrays) -> None:
        """See `TraceStore.restore`."""
        for name, values in self.arrays(arrays["scale"].shape[2]).items():
            values[:] = arrays[name]


class GatheredTraces:
    """The traces of the newest trials, older loops discounted.

    Attributes
    ----------
    ff_traces : (condition, slot, time, ff) float32
    energy, weight : (condition, slot) float64
        Sum of the squared traces; weight of the trial in the regressions.
    added : (condition,) int64
        Trials added so far; the next one replaces the oldest when every slot is taken.

    """

    def __init__(self, store: TraceStore, n_conditions: int, n_bins: int, n_pool: int, n_ff: int, slots: int) -> None:
        self.store, self.n_pool, self.on_device = store, n_pool, store.on_device
        self.ff_traces = np.empty((n_conditions, slots, n_bins, n_ff), np.float32)
        self.energy, self.weight = np.zeros((n_conditions, slots)), np.zeros((n_conditions, slots))
        self.added = np.zeros(n_conditions, np.int64)

    @property
    def used(self) -> int:
        """Slots filled in every condition."""
        return int(min(self.added.min(), self.weight.shape[1]))

    def discount(self, factor: float) -> None:
        """Give the trials so far less weight."""
        self.weight *= factor

    def add(self, condition: int, traces: Sequence[Any], ff_traces: NDArray[np.float32], threads: int | None) -> None:
        """Add trials of one condition.

        Parameters
        ----------
        traces : (trial, time, neuron) float32, where the store is
        ff_traces : (trial, time, ff) float32

        """
        for trace, ff_trace in zip(traces, ff_traces, strict=True):
            slot = int(self.added[condition]) % self.weight.shape[1]
            energy = self.store.keep(condition, slot, trace, threads)
            self.ff_traces[condition, slot] = ff_trace
            self.energy[condition, slot], self.weight[condition, slot] = energy.sum(), 1.0
            self.added[condition] += 1

    def system(self, penalty_feed_forward: float, fluctuations: float, threads: int | None) -> "GatheredSystem":
        """Set up the normal equations of all neurons; arguments as in `Penalties`."""
        return GatheredSystem(self, penalty_feed_forward, fluctuations, threads)

    def state(self) -> Arrays:
        """Return the traces in use."""
        used = self.used
        return {**self.store.arrays(used), **self._host_arrays(used)}

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self.added[:] = state["added"]
        self.store.restore(state)
        for name, values in self._host_arrays(self.used).items():
            values[:] = state[name]

    def _host_arrays(self, used: int) -> Arrays:
        return {
            "ff_traces": self.ff_traces[:, :used],
            "energy": self.energy[:, :used],
            "weight": self.weight[:, :used],
            "added": self.added,
        }


class GatheredSystem:
    """Normal equations formed from gathered traces, neuron by neuron, the feed-forward columns eliminated."""

    def __init__(self, traces: GatheredTraces, penalty_feed_forward: float, fluctuations: float, threads: int | None) -> None:
        self._store, used = traces.store, traces.used
        n = traces.weight[:, :used].sum() / len(traces.weight)
        if not n > 0:
            raise TrainingError("no trial has any weight left in the regressions; raise train.ridge.discount")
        weight = traces.weight[:, :used] / n
        self.scale = float((weight * traces.energy[:, :used]).sum()) / max(traces.n_pool, 1)
        ff = traces.ff_traces[:, :used]
        mean = np.einsum("ck,cktf->ctf", weight, ff.astype(np.float64))
        weighted = _weighted(ff, weight)
        gram = _gram(weighted)
        penalty = absolute_penalty(penalty_feed_forward, gram)
        if fluctuations != 1:  # the mean over trials becomes one more trial
            total = weight.sum(axis=1, keepdims=True)
            self._store.average((weight / total).astype(np.float32), threads)
            ff = np.concatenate([ff, (mean / total[:, :, None]).astype(np.float32)[:, None]], axis=1)
            weight = np.concatenate([fluctuations * weight, (1 - fluctuations) * total], axis=1)
            weighted = _weighted(ff, weight)
            gram = _gram(weighted)
        self._root_weight = np.sqrt(weight).astype(np.float32)
        self._columns = self._store.columns(self._root_weight, weighted, small_matrices(gram, mean, penalty), threads)

    def solve(self, problems: kernel.Regressions, threads: int | None) -> Solution:
        """See `fitrec.learn.least_squares.System.solve`."""
        return self._store.solve(self._root_weight, self._columns, problems, threads)


def _weighted(ff: NDArray[np.float32], weight: NDArray[np.float64]) -> NDArray[np.float32]:
    """Feed-forward traces times the roots of their trials' weights: (condition, trial, time, ff) -> (condition, sample, ff)."""
    n_conditions, n_trials, n_bins, n_ff = ff.shape
    root = np.sqrt(weight).astype(np.float32)
    return (ff * root[:, :, None, None]).reshape(n_conditions, n_trials * n_bins, n_ff)


def _gram(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Products of the columns: (condition, sample, ff) -> (condition, ff, ff)."""
    return np.stack([x.T.astype(np.float64) @ x for x in samples])
