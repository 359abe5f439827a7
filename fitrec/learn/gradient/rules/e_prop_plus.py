"""Eligibility that is brought up to date when a source spikes."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.aligned import aligned_empty, aligned_zeros
from fitrec.kernels.cpu.eligibility import (
    NEVER,
    SLOTS,
    STRETCH,
    Maps,
    Traces,
    extend_maps,
    touch_sources,
    weigh_maps,
    weigh_sources,
)
from fitrec.kernels.cpu.model_loop import arrivals_by_source
from fitrec.kernels.cpu.model_state import BackSignals
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.learn.gradient.rules.base import RuleBase
from fitrec.learn.gradient.rules.rule import Adjoints, Gradient, Signals
from fitrec.simulate.model_network import ModelNetwork, Trial
from fitrec.simulate.threads import together


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
        )
        self._traces = Traces(
            vectors=np.zeros(size * net.plastic.n, net.dtype),
            filters=np.zeros((ports, sources), net.dtype),
            touched=np.full(sources, NEVER, np.int64),
            quiet=np.full(sources, np.iinfo(np.int64).max // 2),
        )
        self._now = 0

    def add(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient, after: Adjoints | None = None
    ) -> None:
        """Add the gradient of a window recorded with its tape, at whose end alone there are learning signals."""
        signal = self.signal_at_the_end(trial.n_steps, signals)
        for low, high in stretches(trial.n_steps):
            self._go_on(weights, trial.cut(low, high))
        net, maps, cuts = self.network, self._maps, self.source_cuts(self.threads)
        worth = aligned_empty((SLOTS + 1, len(self.followed), net.width), net.dtype)
        of_filters = aligned_empty((SLOTS + 1, len(self.filtered), net.width), net.dtype)
        wiring, neurons = net.wiring(weights), self._neuron_cuts()

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
        net, maps, size, n_steps = self.network, self._maps, len(self.followed), trial.n_steps
        nothing = np.zeros((0, 0), net.dtype)
        adjoints = aligned_empty((size, len(self.blocks.rows) * net.width), net.dtype)
        back = aligned_empty((size, len(self.filtered) * net.width), net.dtype)
        arriving = aligned_empty((size, n_steps, len(self.blocks.derivatives.ports) * net.width), net.dtype)
        slot, neurons = self._now % SLOTS, self._neuron_cuts()
        left = self.filter_left(n_steps)
        none = BackSignals(np.full(len(self.blocks.rows), -1), nothing, 1, nothing, 1)
        by_filter = aligned_empty((len(self.filtered), size, net.width), net.dtype)

        def extend(part: int) -> None:
            begin, end = neurons[part], neurons[part + 1]
            net.compiled.cpu.map_stretch(net.parameters, trial.tape, self.followed, none, adjoints, back, arriving, begin, end)
            for f in range(len(self.filtered)):
                places = slice(f * net.width + begin, f * net.width + end)
                np.multiply(left[f, 1], back[:, places], out=by_filter[f, :, begin:end])
            extend_maps(maps, slot, adjoints, by_filter, self.followed, begin, end)

        together(extend, self.threads)
        maps.decay[:] *= left[:, n_steps]
        maps.decay[slot] = left[:, n_steps]
        self._now += 1
        wiring, cuts = net.wiring(weights), self.source_cuts(self.threads)
        indptr, step = arrivals_by_source(trial.inputs, trial.spikes, n_steps, net.n + net.n_inputs)

        def touch(part: int) -> None:
            args = (net.width, self._now, indptr, step, arriving, left, cuts[part], cuts[part + 1])
            touch_sources(maps, self._traces, wiring, *args)

        together(touch, self.threads)

    def filter_left(self, n_steps: int) -> NDArray[Any]:
        """(align_pre port, step + 1): what is left of an arrival in the filter of its port after so many steps."""
        left = np.ones((len(self.filtered), n_steps + 1), self.network.dtype)
        decay = self.filter_decay()[self.filtered]
        for k in range(n_steps):
            left[:, k + 1] = decay * left[:, k]
        return left

    def _neuron_cuts(self) -> NDArray[np.int64]:
        """Cut the neurons, padded, into parts for the threads."""
        return np.linspace(0, self.network.width // WIDTH, self.threads + 1).astype(np.int64) * WIDTH


def stretches(n_steps: int) -> list[tuple[int, int]]:
    """Cut a window into stretches of about the same length, of which what each step is worth is kept at a time."""
    cuts = np.linspace(0, n_steps, -(-n_steps // STRETCH) + 1).astype(int).tolist()
    return list(pairwise(cuts))
