"""Statistics of the traces, first form: one Gram matrix of the whole pool, of which each neuron takes its block.

The matrix takes 4 pool^2 bytes, and a trial is added at the cost of pool^2 per sample whatever the number of neurons: the form
for pools up to some ten thousand neurons. `fitrec.learn.gathered_traces` is the other one.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.learn.feed_forward_columns import SmallMatrices, absolute_penalty, small_matrices
from fitrec.learn.rule import Arrays


class GramStore(Protocol):
    """The sums that grow with the pool: on the host (`HostGram`) or on a device (`kernels.cuda.shared_gram.DeviceGram`)."""

    on_device: bool

    def discount(self, factor: float) -> None:
        """Give the trials so far less weight."""

    def add(self, condition: int, traces: Any, ff_traces: NDArray[np.float32], threads: int | None) -> None:
        """Add trials of one condition; see `SharedGram.add`."""

    def energy(self) -> float:
        """Sum of the Gram matrix's diagonal."""

    def system(
        self,
        n: float,
        scale: float,
        share: np.float32,
        weighted: NDArray[np.float32],
        small: SmallMatrices,
        threads: int | None,
    ) -> Any:
        """Set up the normal equations, per trial of n: a `fitrec.learn.least_squares.System`.

        Parameters
        ----------
        scale : float
            The system's.
        share : float32
            Weight of the products of single trials; what is missing to 1 goes to those of the means.
        weighted : (condition, time, ff) float32
            Mean feed-forward traces times that weight.
        small : SmallMatrices
            Of the feed-forward columns, which are eliminated.

        """

    def arrays(self) -> Arrays:
        """Return the sums on the host: ``gram``, ``cross`` and ``trace_sum``."""

    def restore(self, arrays: Arrays) -> None:
        """Take over sums of the host."""


class SharedGram:
    """Sums over trials and samples, older trials discounted.

    Targets are the same in every trial, so only the trial sums of the traces meet them.

    Attributes
    ----------
    store : GramStore
        ``gram`` (pool, pool) float32: sum over conditions of R'R, upper triangle; ``cross`` (condition, pool, ff): R_c'X_c;
        both padded to multiples of 16. ``trace_sum`` (condition, time, pool) float64: sum over trials of R.
    ff_gram : (condition, ff, ff) float32
        X_c'X_c.
    ff_sum : (condition, time, ff) float64
        Sum over trials of X.
    trials : (condition,) float64
        (Discounted) number of trials in the sums.

    """

    def __init__(self, store: GramStore, n_conditions: int, n_bins: int, n_pool: int, n_ff: int) -> None:
        self.store, self.on_device, self._n_pool = store, store.on_device, n_pool
        self.ff_gram = np.zeros((n_conditions, n_ff, n_ff), np.float32)
        self.ff_sum = np.zeros((n_conditions, n_bins, n_ff))
        self.trials = np.zeros(n_conditions)

    def discount(self, factor: float) -> None:
        """Give the trials so far less weight."""
        self.store.discount(factor)
        for sums in self._host_arrays().values():
            sums *= sums.dtype.type(factor)

    def add(self, condition: int, traces: Any, ff_traces: NDArray[np.float32], threads: int | None) -> None:
        """Add trials of one condition.

        Parameters
        ----------
        traces : (trial, time, pool or neuron) float32
            Where the store is; on a device those of all neurons.
        ff_traces : (trial, time, ff) float32

        """
        self.store.add(condition, traces, ff_traces, threads)
        for trace in ff_traces:  # one by one: how many come at a time depends on the memory
            self.ff_gram[condition] += trace.T @ trace
            self.ff_sum[condition] += trace
        self.trials[condition] += len(traces)

    def system(self, penalty_feed_forward: float, fluctuations: float, threads: int | None) -> Any:
        """Set up the normal equations of all neurons; arguments as in `Penalties`."""
        n = float(self.trials.mean())
        scale = self.store.energy() / max(self._n_pool, 1) / n
        ff_gram, ff_mean = self.ff_gram / np.float32(n), self.ff_sum / n
        penalty = absolute_penalty(penalty_feed_forward, ff_gram)
        share = np.float32(fluctuations)
        weighted = (np.float32(1) - share) * ff_mean.astype(np.float32)
        if share != 1:
            ff_gram = ff_gram * share + ff_mean.astype(np.float32).transpose(0, 2, 1) @ weighted
        small = small_matrices(ff_gram, ff_mean, penalty)
        return self.store.system(n, scale, share, weighted, small, threads)

    def state(self) -> Arrays:
        """Return the sums."""
        return {**self.store.arrays(), **self._host_arrays()}

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self.store.restore(state)
        for name, sums in self._host_arrays().items():
            sums[:] = state[name]

    def _host_arrays(self) -> Arrays:
        return {"ff_gram": self.ff_gram, "ff_sum": self.ff_sum, "trials": self.trials}
