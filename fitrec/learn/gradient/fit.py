"""Fits of PSTHs by gradients: a learning rule of the pipeline beside `rls` and `ridge`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.learn.gradient.device_learned import DeviceLearnedWeights
from fitrec.learn.gradient.device_rate_errors import DeviceRateErrors
from fitrec.learn.gradient.device_work import DeviceWork
from fitrec.learn.gradient.host_work import Asked, HostWork, Work
from fitrec.learn.gradient.learned import LearnedWeights
from fitrec.learn.gradient.losses import FiringRate
from fitrec.learn.gradient.minibatch import drawn_conditions
from fitrec.learn.gradient.neuron_parameters import Trainable
from fitrec.learn.gradient.optimisers import Settings
from fitrec.learn.gradient.rate_errors import FetchedRateErrors, RateErrors
from fitrec.learn.gradient.rules import Rule
from fitrec.learn.gradient.windows import Start, Windows, first_bad_step
from fitrec.learn.rule import Arrays, LoopResult, Problem
from fitrec.networks.weights import Weights
from fitrec.neurons.observation import Filter
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
    is_poisson : bool
        Whether it is the likelihood of counts, else the squared error.
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
    seen_through : Filter or None
        A causal filter through which rates and targets are compared.
    evaluate_every : int

    """

    name: str
    make_rule: Callable[[ModelNetwork], Rule]
    loops: int
    trials: int
    conditions_per_loop: int | None
    loss: Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
    is_poisson: bool
    regularisation: FiringRate | None
    optimiser: Settings
    common_mode: float
    trainable: tuple[Trainable, ...]
    dale: Any
    bounds: tuple[float, float]
    frozen: tuple[str, ...]
    windows: Windows
    averaging: float
    seen_through: Filter | None
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
        self._on_cpu = HostWork(trials, options.make_rule, options.windows, problem.bin_steps, problem.threads)
        self._work: Work[Any] = self._on_cpu
        device, width = problem.simulator.device, trials.model_network.width
        if device is None:
            self._weights, self._errors = LearnedWeights(problem, trials, options), RateErrors(problem, options)
        else:
            self._work = DeviceWork(device, trials, self._on_cpu.rule, options.windows, problem.bin_steps)
            self._weights = DeviceLearnedWeights(problem, trials, options, device)
            on_host = problem.continuous or problem.regions is not None
            make_errors = FetchedRateErrors if on_host else DeviceRateErrors
            self._errors = make_errors(problem, options, device, width)

    @property
    def weights(self) -> Weights:
        """The weights so far."""
        return self._weights.current

    def loop(self, index: int) -> LoopResult:
        """Run loop `index`: one update."""
        problem, o, errors = self._problem, self._options, self._errors
        network = problem.simulator.network
        self._weights.adopt()
        conditions = drawn_conditions(problem.fitted, o.conditions_per_loop, network.seed, index)
        together = max(1, -(-self._work.together // o.trials))
        rates, means, compared = [], [], []
        for first in range(0, len(conditions), together):
            some = conditions[first : first + together].tolist()
            asked, starts, signals, seen = self._begin(some, index, self._work, errors)
            for k, found in enumerate(self._work.gradient(asked, starts, signals)):
                self._weights.add(some[k], found.synapses, found.parameters)
                rates.append(errors.populations_hz(found.counts))
                problem.progress(some[k], rates[-1], partial(errors.condition_correlation, some[k], found.counts))
                means.append(errors.per_trial(found.counts))
            compared += seen
        try:
            self._weights.step(index)
        except TrainingError as error:
            raise TrainingError(f"{error}{self._origin(conditions, index)}") from None
        exc, inh = np.mean(rates, axis=0)
        correlation = errors.correlation(conditions, errors.remember(conditions.tolist(), means, compared))
        return LoopResult(forcing=0.0, rate_exc_hz=float(exc), rate_inh_hz=float(inh), correlation=correlation, frozen=False)

    def not_finite(self) -> tuple[int, int] | None:
        """See `fitrec.learn.rule.not_finite`."""
        return self._weights.not_finite()

    def _begin(
        self, conditions: list[int], index: int, work: Work[Any], errors: RateErrors
    ) -> tuple[list[Asked], list[Any], list[Any], list[Any]]:
        """Begin the trials of conditions in a loop, and say what their spikes should be more or fewer of.

        Returns
        -------
        asked, starts, signals
            As for the work.
        seen
            Mean spikes per trial that the errors come from, as of `errors`.

        """
        n = self._options.trials
        flat = self._weights.flat_on_cpu if work is self._on_cpu else self._weights.flat
        weights = {condition: flat(condition) for condition in conditions}

        def of_trials(first: int) -> list[Asked]:
            return [Asked(flat, c, range(first + index * n, first + (index + 1) * n)) for c, flat in weights.items()]

        asked = of_trials(FIRST_GRADIENT_TRIAL)
        starts = work.starts(asked)
        seen = [errors.expected(condition) for condition in conditions]
        if errors.takes_turns:
            others = of_trials(FIRST_ERROR_TRIAL)
            seen = [errors.per_trial(counts) for counts in work.count(others, work.starts(others))]
        elif seen[0] is None:  # before the first loop there is nothing but its own trials
            seen = [errors.per_trial(counts) for counts in work.count(asked, starts)]
        signals = [errors.signal(mean, c) for c, mean in zip(conditions, seen, strict=True)]
        return asked, starts, signals, seen

    def _origin(self, conditions: NDArray[np.int64], index: int) -> str:
        """Say in which trial and step a gradient that is not finite became so, and what to do about it."""
        network, worker = self._problem.simulator.network, self._on_cpu.worker
        errors = RateErrors(self._problem, self._options)
        errors.restore(self._errors.state())
        for condition in conditions.tolist():
            (asked,), (starts,), (signal,), _ = self._begin([condition], index, self._on_cpu, errors)
            for start in starts:

                def gradient(
                    steps: tuple[int, int] | None = None,
                    flat: NDArray[np.float32] = asked.flat,
                    start: Start = start,
                    signal: NDArray[np.float32] = signal,
                ) -> NDArray[Any]:
                    found = worker(flat, start, signal, steps)[0]
                    return np.concatenate((found.plastic, found.parameters.reshape(-1)))

                def passable(steps: tuple[int, int] | None = None, of: Callable[..., NDArray[Any]] = gradient) -> bool:
                    found = of(steps)
                    return bool((np.abs(found) <= self._options.optimiser.largest(found.dtype)).all())

                if passable():
                    continue
                step = first_bad_step(passable, network.window_steps, backward=worker.goes_back)
                where = f"condition {network.condition_names[condition]!r}, trial {start.trial - FIRST_GRADIENT_TRIAL + 1}"
                what = "too large" if np.isfinite(gradient()).all() else "not finite"
                text = (
                    f"; it is {what} from step {step + 1} of {network.window_steps} on{' back' * worker.goes_back} "
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
        return {**self._weights.state(), **self._errors.state()}

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self._weights.restore(state)
        self._errors.restore(state)
