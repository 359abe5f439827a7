"""Derivatives that go back over a window, neuron by neuron."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.aligned import aligned_empty
from fitrec.kernels.cpu.model_state import CHUNK, STEPS_BACK
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.kernels.cpu.team import new_counter
from fitrec.learn.gradient.rules.base import BackwardRule
from fitrec.learn.gradient.rules.rule import Adjoints, Gradient, Signals
from fitrec.simulate.model_network import Trial
from fitrec.threads import together


class LocalAdjoint(BackwardRule):
    """Derivatives that go back over a window, neuron by neuron.

    The gradient that D-RTRL sums up forward, in another order: with delta_j(t) the derivative of the loss by what arrives at
    neuron j in step t, a synapse's gradient is the sum of delta_j over the arrivals of its source's spikes.
    """

    def _go_back(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient | None, adjoints: Adjoints
    ) -> None:
        net, dtype = self.network, self.network.dtype
        ports, width = len(self.blocks.derivatives.ports), net.width
        cuts = np.linspace(0, width // WIDTH, self.threads + 1).astype(np.int64) * WIDTH
        sources = np.zeros(self.threads + 1, np.int64) if gradient is None else self.source_cuts(self.threads)
        team, sums = new_counter(), self.sums()
        alone = self.threads == 1
        arriving = aligned_empty((1, STEPS_BACK, ports * width) if alone else (2, CHUNK, ports * width), dtype)
        plastic = np.zeros(0, dtype) if gradient is None else gradient.plastic
        wiring, told = net.wiring(weights), self.back_signals(signals)

        def back(part: int) -> None:
            net.compiled.cpu.go_back(
                net.parameters,
                wiring,
                trial.inputs,
                trial.spikes,
                trial.n_steps,
                trial.tape,
                told,
                adjoints.rows,
                adjoints.filters,
                arriving,
                plastic,
                sums,
                sources,
                cuts,
                team,
                part,
            )

        together(back, self.threads)
        if gradient is not None:
            self.add_sums(sums, gradient)
