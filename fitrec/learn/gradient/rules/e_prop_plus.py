"""Eligibility that is brought up to date when a source spikes."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.aligned import aligned_empty, aligned_zeros
from fitrec.kernels.cpu.eligibility import NEVER, SLOTS, STRETCH, Maps, Traces, extend_maps, weigh_maps
from fitrec.kernels.cpu.eligibility_sources import touch_sources, weigh_sources
from fitrec.kernels.cpu.model_loop import arrivals_by_source
from fitrec.kernels.cpu.model_state import BackSignals
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.learn.gradient.rules.base import RuleBase
from fitrec.learn.gradient.rules.rule import Adjoints, Gradient, Signals
from fitrec.simulate.model_network import ModelNetwork, Trial
from fitrec.threads import together


class EPropPlus(RuleBase):
    """The gradient of D-RTRL at the end of every window, by traces that are touched when their source spikes.

    Synapses whose source has been silent for `cutoff_steps` or more have no gradient (Korcsak-Gorzo et al. 2025). Between the
    spikes of its source a synapse's eligibility vector follows from its neuron's own history, a linear map that all synapses of
    the neuron share; it is formed once per neuron (`fitrec.kernels.cpu.eligibility`). Traces are carried from window to window.

    Parameters
    ----------
    cutoff_steps : int, optional
        None: no cutoff.

    """

    def __init__(self, network: ModelNetwork, threads: int = 1, cutoff_steps: int | None = None) -> None:
        super().__init__(network, threads)
        self.require_no_parameters()
        self.cutoff_steps = np.iinfo(np.int64).max if cutoff_steps is None else cutoff_steps
        blocks, ports = self.blocks, np.unique(network.plastic.target // network.width)
        driven = np.array(blocks.driven, bool).reshape(-1, len(blocks.rows))
        self.followed: NDArray[np.int64] = np.flatnonzero(driven[ports].any(axis=0))
        self.filtered = np.array(blocks.filtered, np.int64)
        self.depends = np.array(blocks.depends, bool)[np.ix_(self.followed, self.followed)]
        self.driven = driven[:, self.followed]
        self._room = _Room(network, len(self.followed), len(self.filtered))
        self._neurons = np.linspace(0, network.width // WIDTH, threads + 1).astype(np.int64) * WIDTH
        self._sources = self.source_cuts(threads)
        self.begin()

    def begin(self) -> None:
        """Set all traces to 0."""
        net, size, ports = self.network, len(self.followed), len(self.filtered)
        sources = net.n + net.n_inputs
        self._maps = Maps(
            rows=aligned_zeros((SLOTS, size, size, net.width), net.dtype),
            filters=aligned_zeros((SLOTS, ports, size, net.width), net.dtype),
            decay=np.zeros((SLOTS, ports), net.dtype),
            filtered=self.filtered,
            depends=self.depends,
            driven=self.driven,
            used=self.depends & self.driven[:, None, :],
        )
        self._traces = Traces(
            vectors=np.zeros(size * net.plastic.n, net.dtype),
            filters=np.zeros((ports, sources), net.dtype),
            touched=np.full(sources, NEVER, np.int64),
            quiet=np.full(sources, np.iinfo(np.int64).max // 2),
        )
        self._now, self._left = 0, dict[int, NDArray[Any]]()

    def add(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient, after: Adjoints | None = None
    ) -> None:
        """Add the gradient of a window recorded with its tape, at whose end alone there are learning signals."""
        signal = self.signal_at_the_end(trial.n_steps, signals)
        for low, high in stretches(trial.n_steps):
            self._go_on(weights, trial.cut(low, high))
        net, maps, cuts, neurons = self.network, self._maps, self._sources, self._neurons
        worth, of_filters, wiring = self._room.worth, self._room.of_filters, net.wiring(weights)

        def weigh(part: int) -> None:
            weigh_maps(maps, signal, worth, of_filters, neurons[part], neurons[part + 1])

        def add(part: int) -> None:
            args = (net.width, self._now, self.cutoff_steps, worth, of_filters, gradient.plastic, cuts[part], cuts[part + 1])
            weigh_sources(maps, self._traces, wiring, *args)

        together(weigh, self.threads)
        together(add, self.threads)

    def signal_at_the_end(self, n_steps: int, signals: Signals) -> NDArray[Any]:
        """Return the derivatives by the followed rows at the end of a window, (followed, padded).

        Raises
        ------
        ValueError
            If there are others.

        """
        signals = self.with_a_path(signals)
        self.require_signal_at_the_end(n_steps, signals.every, with_spikes=signals.spikes is not None)
        by_row = np.zeros((len(self.blocks.rows), self.network.width), self.network.dtype)
        by_row[self.row_numbers(signals.rows), : self.network.n] = signals.states[0]
        return by_row[self.followed]

    def require_signal_at_the_end(self, n_steps: int, every: int, *, with_spikes: bool) -> None:
        """Refuse other learning signals than by the states at the end of a window.

        Raises
        ------
        ValueError

        """
        if with_spikes or every != n_steps:
            raise ValueError(f"this rule takes derivatives by states at the end of a window of {n_steps} steps, and no others")

    def _go_on(self, weights: NDArray[Any], trial: Trial) -> None:
        """Bring maps and traces to the end of a stretch."""
        net, maps, n_steps, room = self.network, self._maps, trial.n_steps, self._room
        slot, left, arriving = self._now % SLOTS, self.filter_left(n_steps), self._room.arriving(n_steps)

        def extend(part: int) -> None:
            begin, end = self._neurons[part], self._neurons[part + 1]
            given = (net.parameters, trial.tape, self.followed, room.no_signals)
            net.compiled.cpu.map_stretch(*given, room.adjoints, room.back, arriving, begin, end)
            for f in range(len(self.filtered)):
                places = slice(f * net.width + begin, f * net.width + end)
                np.multiply(left[f, 1], room.back[:, places], out=room.by_filter[f, :, begin:end])
            extend_maps(maps, slot, room.adjoints, room.by_filter, self.followed, begin, end)

        together(extend, self.threads)
        maps.decay[:] *= left[:, n_steps]
        maps.decay[slot] = left[:, n_steps]
        self._now += 1
        wiring, cuts = net.wiring(weights), self._sources
        indptr, step = arrivals_by_source(trial.inputs, trial.spikes, n_steps, net.n + net.n_inputs)

        def touch(part: int) -> None:
            args = (net.width, self._now, indptr, step, arriving, left, cuts[part], cuts[part + 1])
            touch_sources(maps, self._traces, wiring, *args)

        together(touch, self.threads)

    def filter_left(self, n_steps: int) -> NDArray[Any]:
        """(align_pre port, step + 1): what is left of an arrival in the filter of its port after so many steps."""
        if n_steps not in self._left:
            left = self._left[n_steps] = np.ones((len(self.filtered), n_steps + 1), self.network.dtype)
            decay = self.filter_decay()[self.filtered]
            for k in range(n_steps):
                left[:, k + 1] = decay * left[:, k]
        return self._left[n_steps]


class _Room:
    """Room for what is formed once per stretch or window; arguments of `map_stretch`, `extend_maps` and `weigh_maps`."""

    def __init__(self, network: ModelNetwork, followed: int, filtered: int) -> None:
        blocks, width, dtype = network.compiled.blocks, network.width, network.dtype
        self.adjoints = aligned_empty((followed, len(blocks.rows) * width), dtype)
        self.back = aligned_empty((followed, filtered * width), dtype)
        self.by_filter = aligned_empty((filtered, followed, width), dtype)
        self.worth = aligned_empty((SLOTS + 1, followed, width), dtype)
        self.of_filters = aligned_empty((SLOTS + 1, filtered, width), dtype)
        nothing = np.zeros((0, 0), dtype)
        self.no_signals = BackSignals(np.full(len(blocks.rows), -1), nothing, 1, nothing, 1)
        self._step = (followed, len(blocks.derivatives.ports) * width)
        self._arriving = aligned_empty(0, dtype)

    def arriving(self, n_steps: int) -> NDArray[Any]:
        """(followed, step, port * padded): the same memory every time, which has been used before."""
        followed, per_step = self._step
        size = followed * n_steps * per_step
        if len(self._arriving) < size:
            self._arriving = aligned_empty(size, self._arriving.dtype)
        return self._arriving[:size].reshape(followed, n_steps, per_step)


def stretches(n_steps: int) -> list[tuple[int, int]]:
    """Cut a window into stretches of about the same length, of which what each step is worth is kept at a time."""
    cuts = np.linspace(0, n_steps, -(-n_steps // STRETCH) + 1).astype(int).tolist()
    return list(pairwise(cuts))
