"""Projections of a network in the form that the time loop reads, cut for the threads that advance a trial together."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import NetworkError
from fitrec.kernels.cpu import lif
from fitrec.kernels.cpu.procedural import strata_of
from fitrec.kernels.cpu.wiring import cut_rows, transpose_rows
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights

F = np.float32
LEAST_NEURONS_PER_THREAD = 1000  # fewer are updated in less than a microsecond, as long as threads need to meet


def fixed_point(weight: NDArray[np.float32]) -> NDArray[np.int64]:
    """Weights as integers of 2**-32 charge units."""
    return np.rint(np.asarray(weight, np.float64) * lif.FIXED_ONE).astype(np.int64)


def _runs(
    indptr: NDArray[np.int64], weight: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find runs of equal weight within each row: run_indptr (neuron + 1,), run_end (run,), run_fixed (run,)."""
    starts = np.zeros(len(weight), bool)
    starts[1:] = weight[1:] != weight[:-1]
    starts[indptr[:-1][np.diff(indptr) > 0]] = True
    first = np.flatnonzero(starts)
    return np.searchsorted(first, indptr), np.append(first[1:], len(weight)), fixed_point(weight[first])


class _Partition(NamedTuple):
    """Rows of targets cut at the borders of the parts of the neurons; see lif.Wiring."""

    bounds: NDArray[np.int64]
    static_indptr: NDArray[np.int64]
    plastic_indptr: NDArray[np.int64]
    run_indptr: NDArray[np.int64]
    run_end: NDArray[np.int64]
    run_fixed: NDArray[np.int64]


class NetworkWiring:
    """Static and plastic projections of one network, arranged once for all weights."""

    def __init__(self, network: Network) -> None:
        self.network = network
        n = network.n_neurons
        index: Any = np.uint16 if n <= 1 << 16 else np.uint32
        self._static_indices = network.static_indices.astype(index)
        self._plastic_indptr = np.zeros(n + 1, np.int64)
        size = network.plastic_pre.size
        rows, self._plastic_slot = np.empty(size, np.int32), np.empty(size, np.int32)
        ascending = np.argsort(network.trained, kind="stable").astype(np.int32)  # so that rows of targets ascend
        transpose_rows(network.plastic_pre[ascending], n, self._plastic_indptr, rows, self._plastic_slot)
        rows = self._plastic_row = ascending[rows]
        self._plastic_post = network.trained[rows].astype(index)
        degree, weight = network.static_out_degree, network.static_pair_weight or [0.0] * 4
        self._procedural = lif.Procedural(
            degree=np.int64(degree),
            strata=strata_of(n, degree),
            fixed=fixed_point(np.array(weight, F)).reshape(2, 2),
        )
        self._partitions: dict[int, _Partition] = {}

    @property
    def plastic_places(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Trained neuron and plastic input of each plastic synapse, in the order in which presynaptic neurons list them."""
        return self._plastic_row, self._plastic_slot

    def wiring(
        self, weights: Weights, condition: int, threads: int = 1, learned: NDArray[np.float32] | None = None
    ) -> lif.Wiring:
        """Kernel form of the projections with the given weights; feed-forward weights are those of the condition.

        Parameters
        ----------
        threads : int
            It is cut for as many threads as are worth their meetings, at most so many, to advance a trial together.
        learned : (trained, >= ff + input) float32, optional
            Weights that may change between steps, feed-forward inputs first: plastic weights are taken from here at each spike
            instead of from `weights`.

        """
        net = self.network
        fixed = np.zeros(0, np.int64)
        if learned is None:
            fixed = fixed_point(weights.plastic[self._plastic_row, self._plastic_slot])
        parts = max(1, min(threads, net.n_neurons // LEAST_NEURONS_PER_THREAD))
        if parts not in self._partitions:
            self._partitions[parts] = self._cut(parts)
        cut = self._partitions[parts]
        return lif.Wiring(
            bounds=cut.bounds,
            static_indptr=cut.static_indptr,
            static_indices=self._static_indices,
            run_indptr=cut.run_indptr,
            run_end=cut.run_end,
            run_fixed=cut.run_fixed,
            procedural=self._procedural,
            plastic_indptr=cut.plastic_indptr,
            plastic_indices=self._plastic_post,
            plastic_fixed=fixed,
            plastic_row=self._plastic_row,
            plastic_slot=self._plastic_slot,
            learned=np.zeros((0, 0), F) if learned is None else learned,
            learned_first=net.n_feed_forward,
            trained=net.trained,
            ff_fixed=np.ascontiguousarray(fixed_point(weights.feed_forward[condition]).T),
        )

    def _cut(self, parts: int) -> _Partition:
        net = self.network
        bounds = (np.arange(parts + 1) * net.n_neurons // parts) & ~np.int64(63)  # whole cache lines
        bounds[-1] = net.n_neurons
        static_indptr, plastic_indptr = net.static_indptr, self._plastic_indptr
        if parts > 1:
            static_indptr, plastic_indptr = (np.empty(net.n_neurons * parts + 1, np.int64) for _ in range(2))
            row = cut_rows(net.static_indptr, self._static_indices, bounds, static_indptr)
            if row >= 0:
                raise NetworkError(f"the static targets of neuron {row} do not ascend; sort the targets of each neuron")
            cut_rows(self._plastic_indptr, self._plastic_post, bounds, plastic_indptr)
        return _Partition(bounds, static_indptr, plastic_indptr, *_runs(static_indptr, net.static_weight))
