"""Projections of a network in the form that the time loop reads, cut for the threads that advance a trial together."""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import NetworkError
from fitrec.kernels.cpu import lif
from fitrec.kernels.cpu.procedural import strata_of
from fitrec.kernels.cpu.wiring import cut_rows, fix_weights
from fitrec.networks.network import Network
from fitrec.networks.rows import transpose_rows
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


class _PlasticIndex(NamedTuple):
    """Plastic synapses in the order in which presynaptic neurons list them; see `networks.rows.Transposed`."""

    indptr: NDArray[np.int64]
    row: NDArray[np.int32]
    slot: NDArray[np.int32]
    target: NDArray[np.unsignedinteger[Any]]


class NetworkWiring:
    """Static and plastic projections of one network, arranged once for all weights.

    Attributes
    ----------
    index : dtype
        Unsigned integers that hold a neuron.
    order : (trained,) int32 or None
        Trained neurons (their places among them) so that their numbers ascend; None if they do as they are.

    """

    def __init__(self, network: Network) -> None:
        self.network = network
        n, trained = network.n_neurons, network.trained
        self.index: Any = np.dtype(np.uint16 if n <= 1 << 16 else np.uint32)
        ascends = bool((trained[1:] > trained[:-1]).all())
        self.order = None if ascends else np.argsort(trained, kind="stable").astype(np.int32)
        self._static_indices = network.static_indices.astype(self.index)
        degree, weight = network.static_out_degree, network.static_pair_weight or [0.0] * 4
        self._procedural = lif.Procedural(
            degree=np.int64(degree),
            strata=strata_of(n, degree),
            fixed=fixed_point(np.array(weight, F)).reshape(2, 2),
        )
        self._partitions: dict[int, _Partition] = {}

    @cached_property
    def _plastic(self) -> _PlasticIndex:
        """Made when first asked for: devices make their own."""
        net = self.network
        found = transpose_rows(net.plastic_pre, net.n_neurons, self.order)
        return _PlasticIndex(*found, net.trained.astype(self.index)[found.row])

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
        net, plastic = self.network, self._plastic
        fixed = np.zeros(0, np.int64)
        if learned is None:
            fixed = np.empty(len(plastic.row), np.int64)
            fix_weights(np.ascontiguousarray(weights.plastic), plastic.row, plastic.slot, fixed)
        parts = max(1, min(threads, net.n_neurons // LEAST_NEURONS_PER_THREAD))
        if parts not in self._partitions:
            self._partitions[parts] = self._cut(parts, plastic)
        ff_fixed = np.ascontiguousarray(fixed_point(weights.feed_forward_of(condition)).T)
        return self._form(self._partitions[parts], plastic, fixed, learned, ff_fixed)

    def structure(self) -> lif.Wiring:
        """Kernel form without plastic synapses, and with feed-forward weights of 0."""
        net, none = self.network, np.zeros(0, np.int32)
        plastic = _PlasticIndex(np.zeros(net.n_neurons + 1, np.int64), none, none, np.zeros(0, self.index))
        silent = np.zeros((net.n_feed_forward, len(net.trained)), np.int64)
        return self._form(self._cut(1, plastic), plastic, np.zeros(0, np.int64), None, silent)

    def _form(
        self,
        cut: _Partition,
        plastic: _PlasticIndex,
        fixed: NDArray[np.int64],
        learned: NDArray[np.float32] | None,
        ff_fixed: NDArray[np.int64],
    ) -> lif.Wiring:
        return lif.Wiring(
            bounds=cut.bounds,
            static_indptr=cut.static_indptr,
            static_indices=self._static_indices,
            run_indptr=cut.run_indptr,
            run_end=cut.run_end,
            run_fixed=cut.run_fixed,
            procedural=self._procedural,
            plastic_indptr=cut.plastic_indptr,
            plastic_indices=plastic.target,
            plastic_fixed=fixed,
            plastic_row=plastic.row,
            plastic_slot=plastic.slot,
            learned=np.zeros((0, 0), F) if learned is None else learned,
            learned_first=self.network.n_feed_forward,
            trained=self.network.trained,
            ff_fixed=ff_fixed,
        )

    def _cut(self, parts: int, plastic: _PlasticIndex) -> _Partition:
        net = self.network
        bounds = (np.arange(parts + 1) * net.n_neurons // parts) & ~np.int64(63)  # whole cache lines
        bounds[-1] = net.n_neurons
        static_indptr, plastic_indptr = net.static_indptr, plastic.indptr
        if parts > 1:
            static_indptr, plastic_indptr = (np.empty(net.n_neurons * parts + 1, np.int64) for _ in range(2))
            row = cut_rows(net.static_indptr, self._static_indices, bounds, static_indptr)
            if row >= 0:
                raise NetworkError(f"the static targets of neuron {row} do not ascend; sort the targets of each neuron")
            cut_rows(plastic.indptr, plastic.target, bounds, plastic_indptr)
        return _Partition(bounds, static_indptr, plastic_indptr, *_runs(static_indptr, net.static_weight))
