"""A presynaptic and a postsynaptic trace in place of every synapse's own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.model_loop import advance_presynaptic, go_back_products, left_of_arrivals
from fitrec.learn.gradient.rules.base import RuleBase
from fitrec.learn.gradient.rules.rule import Adjoints, Gradient, Signals
from fitrec.simulate.model_network import ModelNetwork, Trial
from fitrec.threads import together


class PpProp(RuleBase):
    """The product of a presynaptic trace and a postsynaptic one in place of every synapse's own (pp_prop.md 1.4).

    ``ex <- a ex + x``, ``ef <- b D ef + (1 - b) df/dI``, gradient += ex (dl/dh . ef) / (1 - b^t), t counted in steps. All
    traces are carried from window to window. Within one the presynaptic traces are summed up from the spikes backward, so that a
    silent source costs nothing.

    Parameters
    ----------
    decay_pre, decay_post : float
        a and b per step, in [0, 1).

    """

    def __init__(self, network: ModelNetwork, *, decay_pre: float, decay_post: float, threads: int = 1) -> None:
        super().__init__(network, threads)
        self.require_no_parameters()
        self.decay_pre, self.decay_post = np.array([decay_pre, decay_post], network.dtype)
        self.begin()

    def begin(self) -> None:
        """Set all traces to 0."""
        ports = len(self.blocks.derivatives.ports)
        self._traces = np.zeros((ports, len(self.blocks.rows) * self.network.width), self.network.dtype)
        sources = self.network.n + self.network.n_inputs
        self._presynaptic = np.zeros((2, ports, sources), self.network.dtype)
        self._steps = 0

    def add(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient, after: Adjoints | None = None
    ) -> None:
        """Add the gradient of a trial recorded with its tape; what comes after it has its part in later windows."""
        net, n_steps = self.network, trial.n_steps
        rows, every, signal = self.dense(trial, signals)
        ports = len(self.blocks.derivatives.ports)
        products = np.zeros((n_steps // every, ports * net.width), net.dtype)
        net.compiled.cpu.weigh_traces(
            net.parameters,
            n_steps,
            trial.tape,
            self.row_numbers(rows),
            signal,
            every,
            self.decay_post,
            trace_correction(self.decay_post, self._steps, n_steps, every),
            self._traces,
            products,
        )
        self._steps += n_steps
        cuts, wiring, decay = self.source_cuts(self.threads), net.wiring(weights), self.filter_decay()

        def back(part: int) -> None:
            go_back_products(
                net.parameters,
                trial.inputs,
                trial.spikes,
                wiring,
                n_steps,
                products,
                every,
                self.decay_pre,
                decay,
                self._presynaptic,
                np.zeros(ports * net.width, net.dtype),
                np.zeros(ports * net.width, net.dtype),
                gradient.plastic,
                cuts,
                part,
            )

        together(back, self.threads)
        left = left_of_arrivals(self.decay_pre, decay, n_steps)
        advance_presynaptic(self._presynaptic, left, trial.inputs, trial.spikes, n_steps)


def trace_correction(decay: np.floating[Any], before: int, n_steps: int, every: int) -> NDArray[Any]:
    """(step // every,): 1 / (1 - decay^t) of pp-prop's postsynaptic traces, t counted from the trial's beginning."""
    seen = before + np.arange(every, n_steps + 1, every)
    return (1.0 / np.maximum(1e-8, 1.0 - np.float64(decay) ** seen)).astype(decay.dtype)
