"""Derivatives along all paths, for checks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.learn.gradient.rules.base import BackwardRule
from fitrec.learn.gradient.rules.rule import Adjoints, Gradient, Signals
from fitrec.simulate.model_network import Trial


class Bptt(BackwardRule):
    """Backpropagation through time along all paths, through other neurons as well: the oracle, for small networks.

    The model must be compiled with ``spike_signal``. Every synapse is touched in every step.
    """

    def _go_back(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient | None, adjoints: Adjoints
    ) -> None:
        net = self.network
        self.require_spike_row("this rule follows spikes to other neurons")
        sums = self.sums()
        into = self.new_gradient() if gradient is None else gradient
        # Slot t % (delay + 1) belongs to step t of this window; steps of the next one are counted from its own beginning.
        adjoints.arriving[:] = np.roll(adjoints.arriving, trial.n_steps, axis=0)
        net.compiled.cpu.go_back_through_time(
            net.parameters,
            net.wiring(weights),
            trial.inputs,
            trial.spikes,
            net.delay_steps,
            trial.n_steps,
            trial.tape,
            self.back_signals(signals),
            adjoints.rows,
            adjoints.filters,
            adjoints.arriving,
            into.plastic,
            sums,
            net.n,
        )
        self.add_sums(sums, into)
