"""Eligibility traces of every synapse."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.model_loop import arrivals_by_source
from fitrec.learn.gradient.rules.base import RuleBase
from fitrec.learn.gradient.rules.rule import Adjoints, Gradient, Signals
from fitrec.simulate.model_network import ModelNetwork, Trial
from fitrec.threads import together


class DRtrl(RuleBase):
    """An eligibility trace of every synapse and row (Wang et al. 2026, pp_prop.md 1.3), carried from window to window.

    Parameters
    ----------
    cutoff_steps : int, optional
        Synapses whose source has been silent for so many steps have no gradient (Korcsak-Gorzo et al. 2025).

    """

    def __init__(self, network: ModelNetwork, threads: int = 1, cutoff_steps: int | None = None) -> None:
        super().__init__(network, threads)
        self.require_no_parameters()
        self.cutoff_steps = np.iinfo(np.int64).max if cutoff_steps is None else cutoff_steps
        self.begin()

    def begin(self) -> None:
        """Set all traces to 0."""
        net = self.network
        self._traces = np.zeros(len(self.blocks.rows) * net.plastic.n, net.dtype)
        self._presynaptic = np.zeros((len(self.blocks.derivatives.ports), net.n + net.n_inputs), net.dtype)
        self._quiet = np.full(net.n + net.n_inputs, np.iinfo(np.int64).max // 2)

    def add(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient, after: Adjoints | None = None
    ) -> None:
        """Add the gradient of a trial recorded with its tape; what comes after it has its part in later windows."""
        net = self.network
        rows, every, signal = self.dense(trial, signals)
        numbers, wiring, decay = self.row_numbers(rows), net.wiring(weights), self.filter_decay()
        cuts = self.source_cuts(self.threads)
        indptr, step = arrivals_by_source(trial.inputs, trial.spikes, trial.n_steps, net.n + net.n_inputs)

        def follow(part: int) -> None:
            net.compiled.cpu.follow_synapses(
                net.parameters,
                wiring,
                indptr,
                step,
                trial.n_steps,
                trial.tape,
                numbers,
                signal,
                every,
                decay,
                self._traces,
                self._presynaptic,
                self._quiet,
                self.cutoff_steps,
                gradient.plastic,
                cuts[part],
                cuts[part + 1],
            )

        together(follow, self.threads)
