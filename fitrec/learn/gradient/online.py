"""Fits that learn within the trial, after every bin, as e-prop+ does (Korcsak-Gorzo et al. 2025)."""

from typing import Any

import numpy as np

from fitrec.learn.gradient.device_learned import DeviceLearnedWeights
from fitrec.learn.gradient.fit import FitOptions
from fitrec.learn.gradient.learned import LearnedWeights
from fitrec.learn.gradient.minibatch import drawn_conditions
from fitrec.learn.gradient.online_errors import DeviceOnlineErrors, OnlineErrors
from fitrec.learn.gradient.online_work import DeviceOnline, HostOnline, OnlineWork
from fitrec.learn.gradient.rate_errors import populations_hz
from fitrec.learn.gradient.rules import EPropPlus
from fitrec.learn.rule import Arrays, LoopResult, Problem
from fitrec.networks.weights import Weights
from fitrec.simulate.model_trials import ModelTrials

FIRST_ONLINE_TRIAL = 4_000


class OnlineFit:
    """One loop is one trial of each condition; weights change at the end of every bin, and nothing is reset meanwhile.

    The error is that of the trial's own rates, seen through a causal exponential filter which is part of the neuron
    (`fitrec.neurons.observation`), so that the trace of a synapse remembers what the filter does. The targets pass the same
    filter.

    Parameters
    ----------
    trials : ModelTrials
        Of neurons that observe their rate as ``options.seen_through`` says.
    cutoff_ms : float
        Synapses whose source has been silent for longer do not learn.

    """

    def __init__(self, problem: Problem, trials: ModelTrials, options: FitOptions, *, cutoff_ms: float) -> None:
        self._problem, self._options = problem, options
        self.name, self.n_loops = options.name, options.loops
        network, device = problem.simulator.network, problem.simulator.device
        rule = EPropPlus(trials.model_network, problem.threads or 1, cutoff_steps=round(cutoff_ms / network.dt_ms))
        if device is None:
            self._work: OnlineWork = HostOnline(trials, rule, problem.bin_steps)
            self._weights, self._errors = LearnedWeights(problem, trials, options), OnlineErrors(problem, options)
        else:
            self._work = DeviceOnline(device, trials, rule, problem.bin_steps)
            self._weights = DeviceLearnedWeights(problem, trials, options, device)
            self._errors = DeviceOnlineErrors(problem, options, device, trials.model_network.width)

    @property
    def weights(self) -> Weights:
        """The weights so far."""
        return self._weights.current

    def loop(self, index: int) -> LoopResult:
        """Run loop `index`: one trial of each of its conditions, learning on the way."""
        network = self._problem.simulator.network
        rates = []
        drawn = drawn_conditions(self._problem.fitted, self._options.conditions_per_loop, network.seed, index)
        for condition in drawn.tolist():
            counts = self._trial(condition, index)
            rates.append(populations_hz(counts, network.n_exc, len(counts) * self._problem.bin_s))
            self._problem.progress(condition, rates[-1])
        exc, inh = np.mean(rates, axis=0)
        return LoopResult(forcing=0.0, rate_exc_hz=float(exc), rate_inh_hz=float(inh), correlation=float("nan"), frozen=False)

    def not_finite(self) -> tuple[int, int] | None:
        """See `fitrec.learn.rule.not_finite`."""
        return self._weights.not_finite()

    def _trial(self, condition: int, index: int) -> Any:
        """Run one trial with learning; returns the spikes (bin, neuron), where the work is done."""
        flat = self._weights.flat(condition)
        self._work.begin(flat, condition, FIRST_ONLINE_TRIAL + index)
        for k in range(self._problem.rate_hz.shape[1]):
            signal = self._errors.signal(self._work.run_bin(flat, k), condition, k)
            self._weights.add(condition, *self._work.gradient(flat, signal))
            self._weights.step(index)
            flat = self._weights.flat(condition)
        return self._work.counts()

    def validates(self, index: int) -> bool:
        """Return True every so many loops and after the last one."""
        return (index + 1) % self._options.evaluate_every == 0 or index + 1 == self.n_loops

    def state(self) -> Arrays:
        """Return weights and the state of the optimiser."""
        return self._weights.state()

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self._weights.restore(state)
