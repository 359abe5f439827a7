"""Statistics of the traces, second form: the traces themselves, of which each neuron gathers its columns when it is solved.

No Gram matrix is ever kept: that of the pool would take 4 pool^2 bytes (17 GB for 66,002 neurons), those of all neurons 4 L^2
each. A neuron's L x L matrix is formed from its columns, factored and forgotten. The traces are kept in 16 bits (or 32), as many
of the newest trials as the memory granted holds.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.kernels.cpu import trace_rows
from fitrec.learn.feed_forward_columns import FeedForwardColumns
from fitrec.learn.rule import Arrays
from fitrec.simulate.threads import thread_map

SAMPLES = 4096  # gathered at a time: enough for a fast matrix product, and little memory
TILE = 512  # neurons of the pool per piece of work


def trial_bytes(n_conditions: int, n_bins: int, n_pool: int, n_ff: int, bits: int) -> int:
    """Memory of the traces of one trial of every condition."""
    return n_conditions * (n_pool * (bits // 8 * n_bins + 4) + 4 * n_bins * n_ff)


class GatheredTraces:
    """The traces of the newest trials, older loops discounted.

    Attributes
    ----------
    kept : (condition, pool, slot, time) uint16 or float32, scale : (condition, pool, slot) float32
        Traces in steps of `scale`.
    ff_traces : (condition, slot, time, ff) float32
    energy, weight : (condition, slot) float64
        Sum of the squared traces; weight of the trial in the regressions.
    added : (condition,) int64
        Trials added so far; the next one replaces the oldest when every slot is taken.

    """

    def __init__(self, n_conditions: int, n_bins: int, n_pool: int, n_ff: int, slots: int, bits: int) -> None:
        # Untouched pages take no memory, so slots that are never filled cost nothing.
        self.kept = np.empty((n_conditions, n_pool, slots, n_bins), np.uint16 if bits == 16 else np.float32)
        self.scale = np.empty((n_conditions, n_pool, slots), np.float32)
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

    def add(self, condition: int, traces: NDArray[np.float32], ff_traces: NDArray[np.float32], threads: int | None) -> None:
        """Add trials of one condition.

        Parameters
        ----------
        traces, ff_traces : (trial, time, pool or ff) float32

        """
        n_pool, slots = self.scale.shape[1:]
        for trace, ff_trace in zip(traces, ff_traces, strict=True):
            slot = int(self.added[condition]) % slots
            energy = np.empty(n_pool)

            def tile(
                start: int, trace: NDArray[np.float32] = trace, slot: int = slot, energy: NDArray[np.float64] = energy
            ) -> None:
                part = slice(start, start + TILE)
                trace_rows.keep_trial(
                    trace[:, part], self.kept[condition, part, slot], self.scale[condition, part, slot], energy[part]
                )

            thread_map(tile, range(0, n_pool, TILE), threads)
            self.ff_traces[condition, slot] = ff_trace
            self.energy[condition, slot], self.weight[condition, slot] = energy.sum(), 1.0
            self.added[condition] += 1

    def system(self, penalty_feed_forward: float, threads: int | None) -> "GatheredSystem":
        """Set up the normal equations of all neurons."""
        return GatheredSystem(self, penalty_feed_forward, threads)

    def state(self) -> Arrays:
        """Return the traces in use."""
        used = self.used
        return {
            "kept": self.kept[:, :, :used],
            "scale": self.scale[:, :, :used],
            "ff_traces": self.ff_traces[:, :used],
            "energy": self.energy[:, :used],
            "weight": self.weight[:, :used],
            "added": self.added,
        }

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self.added[:] = state["added"]
        for name, values in self.state().items():
            values[:] = state[name]


class GatheredSystem:
    """Normal equations formed from gathered traces, neuron by neuron, the feed-forward columns eliminated."""

    def __init__(self, traces: GatheredTraces, penalty_feed_forward: float, threads: int | None) -> None:
        self._traces, used = traces, traces.used
        n = traces.weight[:, :used].sum() / len(traces.weight)
        if not n > 0:
            raise TrainingError("no trial has any weight left in the regressions; raise train.ridge.discount")
        weight = traces.weight[:, :used] / n
        self._root_weight = np.sqrt(weight).astype(np.float32)
        self.scale = float((weight * traces.energy[:, :used]).sum()) / max(traces.scale.shape[1], 1)
        ff = traces.ff_traces[:, :used].astype(np.float32, copy=False)
        n_conditions, _, n_bins, n_ff = ff.shape
        weighted = (ff * self._root_weight[:, :, None, None]).reshape(n_conditions, used * n_bins, n_ff)
        cross = np.zeros((n_conditions, traces.scale.shape[1], n_ff), np.float32)
        if n_ff:
            for c in range(n_conditions):

                def tile(start: int, c: int = c) -> None:
                    columns = np.arange(start, min(start + TILE, cross.shape[1]))
                    for first, rows in self._pieces(c, columns):
                        samples = slice(first * n_bins, first * n_bins + rows.shape[1])
                        cross[c, columns] += rows @ weighted[c, samples]

                thread_map(tile, range(0, cross.shape[1], TILE), threads)
        gram = np.stack([x.T.astype(np.float64) @ x for x in weighted])
        mean = np.einsum("ck,cktf->ctf", weight, ff.astype(np.float64))
        self.feed_forward = FeedForwardColumns(cross, gram, mean, penalty_feed_forward)

    def _pieces(self, condition: int, columns: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Weighted traces of some neurons, a few trials at a time: (first slot, (neuron, slots x time)); the buffer is reused."""
        traces, used = self._traces, self._root_weight.shape[1]
        n_bins = traces.kept.shape[3]
        together = max(1, SAMPLES // n_bins)
        buffer = np.empty(len(columns) * min(together, used) * n_bins, np.float32)
        for first in range(0, used, together):
            length = min(together, used - first) * n_bins
            rows = buffer[: len(columns) * length].reshape(len(columns), length)
            trace_rows.gather(traces.kept[condition], traces.scale[condition], self._root_weight[condition], columns, first, rows)
            yield first, rows

    def normal_equations(
        self, inputs: NDArray[np.int64], target: NDArray[np.float64]
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Gram matrix and moment of each neuron, without penalties: (input, input) and (input,)."""
        reduced = self.feed_forward.reduced_moment(target).astype(np.float32)
        # Targets are the same in every trial: each meets its trial's traces with the root weight they do not yet have.
        wanted = (self._root_weight[:, None, :, None] * np.moveaxis(target, 1, 2)[:, :, None, :]).astype(np.float32)
        for i, columns in enumerate(inputs):
            gram = np.zeros((len(columns), len(columns)), np.float32)
            moment = np.zeros(len(columns), np.float32)
            for c in range(len(target)):
                flat = wanted[c, i].reshape(-1)
                for first, rows in self._pieces(c, columns):
                    gram += rows @ rows.T  # numpy forms half of it (syrk) and mirrors it
                    start = first * target.shape[1]
                    moment += rows @ flat[start : start + rows.shape[1]]
            if self.feed_forward.n_inputs:
                eliminated = self.feed_forward.reduction[columns]
                gram -= eliminated @ eliminated.T
                moment -= eliminated @ reduced[:, i]
            yield gram, moment
