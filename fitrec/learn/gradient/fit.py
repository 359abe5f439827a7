"""Fits of PSTHs by gradients: a learning rule of the pipeline beside `rls` and `ridge`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.learn.gradient.device_learned import DeviceLearnedWeights
from fitrec.learn.gradient.device_work import DeviceWork
from fitrec.learn.gradient.host_work import Asked, HostWork, Work
from fitrec.learn.gradient.learned import LearnedWeights
from fitrec.learn.gradient.losses import FiringRate
from fitrec.learn.gradient.minibatch import drawn_conditions
from fitrec.learn.gradient.neuron_parameters import Trainable
from fitrec.learn.gradient.optimisers import Settings
from fitrec.learn.gradient.rules import Rule
from fitrec.learn.gradient.windows import Start, Windows, first_bad_step
from fitrec.learn.psth_fit import condition_correlation, fit_correlation
from fitrec.learn.rule import Arrays, LoopResult, Problem
from fitrec.networks.weights import Weights
from fitrec.simulate.model_network import ModelNetwork
from fitrec.simulate.model_trials import ModelTrials

FIRST_GRADIENT_TRIAL = 2_000
FIRST_ERROR_TRIAL = 700_000


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Settings of a gradient fit.

    Attributes
    ----------
    name : str
        Of the rule.
    make_rule : callable
        Makes the gradient rule of a network.
    loops, trials : int
        Updates; trials per condition and update.
    conditions_per_loop : int or None
        Conditions of an update, in turn; None: all.
    loss : callable
        Of the smoothed mean rates (Hz), (time, trained), against the targets: value and derivative by the rates. Targets that are
        NaN do not count.
    regularisation : FiringRate or None
        On the rates of all neurons.
    optimiser : Settings
    common_mode : float
        Share of what only moves a neuron's mean input (`fitrec.learn.gradient.common_mode`).
    trainable : tuple of Trainable
        Parameters of the neurons that are learned, for which the trials' model was compiled.
    dale : str
    bounds : (float, float)
        Of the plastic weights.
    frozen : tuple of str
        Of ``plastic``, ``feed_forward``, ``exc``, ``inh`` (plastic inputs by their presynaptic neurons): not learned.
    windows : Windows
        How trials are cut, and how many are gone through at a time.
    averaging : float
        Share of the loops before the last one in the mean rates that make the error, where every loop runs all conditions.
    readout_ms : float or None
        Time constant of a causal exponential filter that takes the place of the targets' smoothing in the error; None: none.
    evaluate_every : int

    """

    name: str
    make_rule: Callable[[ModelNetwork], Rule]
    loops: int
    trials: int
    conditions_per_loop: int | None
    loss: Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
    regularisation: FiringRate | None
    optimiser: Settings
    common_mode: float
    trainable: tuple[Trainable, ...]
    dale: Any
    bounds: tuple[float, float]
    frozen: tuple[str, ...]
    windows: Windows
    averaging: float
    readout_ms: float | None
    evaluate_every: int


class GradientFit:
    """One loop: compare mean rates with the targets, and follow the gradient through some trials of every condition.

    The mean rates are those of the loops before, the newer the more they count: a few trials say little about a rate, and an
    error that comes from other trials than those whose derivatives it weighs is not biased by what both have in common. Where
    loops take turns with the conditions, what was found the last time is out of date, and other trials with the loop's own
    weights are run for the error. The observation, mean rates smoothed as the targets were, is a linear filter of the binned
    spikes; its derivative is exact, and enters as a learning signal on the spikes of each bin.
    """

    def __init__(self, problem: Problem, trials: ModelTrials, options: FitOptions) -> None:
        self._problem, self._options = problem, options
        self.name, self.n_loops = options.name, options.loops
        self._trials = trials
        # Column b is what a rate of 1 Hz in bin b looks like after smoothing.
        self._smoothing = problem.smooth(np.eye(problem.rate_hz.shape[1])[None])[0]
        self._target_hz = problem.rate_hz
        if options.readout_ms is not None:
            self._smoothing = causal_filter(problem.rate_hz.shape[1], problem.bin_s * 1e3, options.readout_ms)
            self._target_hz = self._smoothing @ problem.rate_hz
        n_conditions, n_bins, _ = problem.rate_hz.shape
        per_loop = options.conditions_per_loop
        self._takes_turns = per_loop is not None and per_loop < len(problem.fitted)
        # Spikes per trial in the loops so far, and the weights of the loops in it.
        shape = (0 if self._takes_turns else n_conditions, n_bins, problem.simulator.network.n_neurons)
        self._mean, self._summed = np.zeros(shape, np.float32), 0.0
        self._on_cpu = HostWork(trials, options.make_rule, options.windows, problem.bin_steps, problem.threads)
        self._work: Work[Any] = self._on_cpu
        device = problem.simulator.device
        if device is not None:
            self._work = DeviceWork(device, trials, self._on_cpu.rule, options.windows, problem.bin_steps)
            self._weights: LearnedWeights = DeviceLearnedWeights(problem, trials, options, device)
        else:
            self._weights = LearnedWeights(problem, trials, options)

    @property
    def weights(self) -> Weights:
        """The weights so far."""
        return self._weights.current

    def loop(self, index: int) -> LoopResult:
        """Run loop `index`: one update."""
        problem, o = self._problem, self._options
        network = problem.simulator.network
        self._weights.adopt()
        conditions = drawn_conditions(problem.fitted, o.conditions_per_loop, network.seed, index)
        together = max(1, -(-self._work.together // o.trials))
        rates, counted = [], []
        for first in range(0, len(conditions), together):
            some = conditions[first : first + together].tolist()
            asked, starts, signals, seen = self._begin(some, index, self._work)
            for k, found in enumerate(self._work.gradient(asked, starts, signals)):
                self._weights.add(some[k], found.synapses, found.parameters)
                counts = (found.counts / o.trials).astype(np.float32)
                mean_hz = counts.mean(axis=0) / problem.bin_s
                rates.append((float(mean_hz[: network.n_exc].mean()), float(mean_hz[network.n_exc :].mean())))
                psth_hz = counts[:, network.trained].astype(np.float64) / problem.bin_s
                problem.progress(some[k], rates[-1], partial(condition_correlation, problem, some[k], psth_hz))
                counted.append((counts + seen[k]) / 2 if self._takes_turns else counts)
        try:
            self._weights.step(index)
        except TrainingError as error:
            raise TrainingError(f"{error}{self._origin(conditions, index)}") from None
        smooth_hz = np.stack([self._smooth_hz(mean) for mean in self._remembered(conditions, counted)])
        exc, inh = np.mean(rates, axis=0)
        correlation = fit_correlation(problem, smooth_hz, conditions, self._target_hz)
        return LoopResult(forcing=0.0, rate_exc_hz=float(exc), rate_inh_hz=float(inh), correlation=correlation, frozen=False)

    def not_finite(self) -> tuple[int, int] | None:
        """See `fitrec.learn.rule.not_finite`."""
        return self._weights.not_finite()

    def _remembered(self, conditions: NDArray[np.int64], counted: list[NDArray[Any]]) -> Iterable[NDArray[Any]]:
        """Mean spikes per trial (bin, neuron) of some conditions, with what this loop counted."""
        if self._takes_turns:
            return counted
        o = self._options
        new = np.zeros_like(self._mean)
        new[conditions] = counted
        self._mean = np.float32(o.averaging) * self._mean + np.float32(1 - o.averaging) * new
        self._summed = o.averaging * self._summed + 1 - o.averaging
        return (self._mean[condition] / self._summed for condition in conditions)

    def _begin(
        self, conditions: list[int], index: int, work: Work[Any]
    ) -> tuple[list[Asked], list[Any], list[NDArray[np.float32]], list[NDArray[Any]]]:
        """Begin the trials of conditions in a loop, and say what their spikes should be more or fewer of.

        Returns
        -------
        asked, starts, signals
            As for the work.
        seen : of (bin, neuron)
            Mean spikes per trial that the errors come from.

        """
        n = self._options.trials
        flat = self._weights.flat_on_cpu if work is self._on_cpu else self._weights.flat
        weights = {condition: flat(condition) for condition in conditions}

        def of_trials(first: int) -> list[Asked]:
            return [Asked(flat, c, range(first + index * n, first + (index + 1) * n)) for c, flat in weights.items()]

        asked = of_trials(FIRST_GRADIENT_TRIAL)
        starts = work.starts(asked)
        if self._takes_turns:
            others = of_trials(FIRST_ERROR_TRIAL)
            seen = [counts / n for counts in work.count(others, work.starts(others))]
        elif self._summed:
            seen = [self._mean[condition] / self._summed for condition in conditions]
        else:  # before the first loop there is nothing but its own trials
            seen = [counts / n for counts in work.count(asked, starts)]
        signals = [self._signal(mean, c).astype(np.float32) for c, mean in zip(conditions, seen, strict=True)]
        return asked, starts, signals, seen

    def _smooth_hz(self, mean: NDArray[Any]) -> NDArray[np.float64]:
        """(bin, trained): smoothed rates, of spikes per trial (bin, neuron)."""
        problem = self._problem
        return np.asarray(self._smoothing @ (mean[:, problem.simulator.network.trained] / problem.bin_s))

    def _signal(self, mean: NDArray[Any], condition: int) -> NDArray[np.float64]:
        """(bin, neuron): derivative of the loss by a spike in a bin of one of the trials, given the mean spikes of a trial."""
        problem, o, network = self._problem, self._options, self._problem.simulator.network
        _, by_rate = o.loss(self._smooth_hz(mean), self._target_hz[condition])
        signal = np.zeros(mean.shape)
        signal[:, network.trained] = self._smoothing.T @ by_rate / problem.bin_s
        if o.regularisation is not None:
            signal += o.regularisation(mean.sum(axis=0), len(mean) * problem.bin_s)[1]
        return signal / o.trials

    def _origin(self, conditions: NDArray[np.int64], index: int) -> str:
        """Say in which trial and step a gradient that is not finite became so, and what to do about it."""
        network, worker = self._problem.simulator.network, self._on_cpu.worker
        for condition in conditions.tolist():
            (asked,), (starts,), (signal,), _ = self._begin([condition], index, self._on_cpu)
            for start in starts:

                def gradient(
                    steps: tuple[int, int] | None = None,
                    flat: NDArray[np.float32] = asked.flat,
                    start: Start = start,
                    signal: NDArray[np.float32] = signal,
                ) -> NDArray[Any]:
                    found = worker(flat, start, signal, steps)[0]
                    return np.concatenate((found.plastic, found.parameters.reshape(-1)))

                if np.isfinite(gradient()).all():
                    continue
                step = first_bad_step(gradient, network.window_steps, backward=worker.goes_back)
                where = f"condition {network.condition_names[condition]!r}, trial {start.trial - FIRST_GRADIENT_TRIAL + 1}"
                text = (
                    f"; it is not finite from step {step + 1} of {network.window_steps} on{' back' * worker.goes_back} "
                    f"({step * network.dt_ms:g} ms after the window's beginning, {where})"
                )
                if self.name == "bptt":
                    text += "; bptt explodes in networks that are chaotic: shorten train.gradient.window_ms, or use local-adjoint"
                return text
        return ""

    def validates(self, index: int) -> bool:
        """Return True every so many loops and after the last one."""
        return (index + 1) % self._options.evaluate_every == 0 or index + 1 == self.n_loops

    def state(self) -> Arrays:
        """Return weights, the state of the optimiser, and the mean rates."""
        return {**self._weights.state(), "mean": self._mean, "summed": np.array([self._summed])}

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self._weights.restore(state)
        self._mean, self._summed = state["mean"].copy(), float(state["summed"][0])


def causal_filter(n_bins: int, bin_ms: float, tau_ms: float) -> NDArray[np.float64]:
    """Return the matrix (bin, bin) of an exponential filter that keeps the mean: each row sums to 1 where bins before exist."""
    decay = np.exp(-bin_ms / tau_ms)
    lag = np.arange(n_bins)[:, None] - np.arange(n_bins)
    weights = np.where(lag >= 0, decay ** np.maximum(lag, 0), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
