"""Fits of PSTHs by gradients: a learning rule of the pipeline beside `rls` and `ridge`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.kernels.cpu.model_state import Events, State
from fitrec.learn.gradient.constraints import Limits, Parameter
from fitrec.learn.gradient.losses import FiringRate, Loss
from fitrec.learn.gradient.optimisers import Optimiser, Settings
from fitrec.learn.gradient.rules import Gradient, Rule, Signals
from fitrec.learn.rule import Arrays, LoopResult, Problem, mean_correlation
from fitrec.networks.weights import Weights
from fitrec.neurons.model import Surrogate
from fitrec.simulate.model_network import ModelNetwork, Trial
from fitrec.simulate.model_trials import ModelTrials, bin_counts
from fitrec.simulate.threads import available_threads, thread_map

FIRST_GRADIENT_TRIAL = 2_000


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
    loss : Loss
        Of the smoothed mean rate (Hz) of the trials against the targets.
    regularisation : FiringRate or None
        On the rates of all neurons.
    optimiser : Settings
    dale : str
    bounds : (float, float)
        Of the plastic weights.
    frozen : tuple of str
        Of ``plastic``, ``feed_forward``, ``exc``, ``inh`` (plastic inputs by their presynaptic neurons): not learned.
    trainable : tuple of str
        Parameters of the neurons that are learned, one value per trained neuron.
    window_steps : int
        Steps whose tape is kept at a time; 0: the whole window of a trial.
    evaluate_every : int
    surrogate : Surrogate or None
        In place of the model's own.

    """

    name: str
    make_rule: Callable[[ModelNetwork], Rule]
    loops: int
    trials: int
    loss: Loss
    regularisation: FiringRate | None
    optimiser: Settings
    dale: Any
    bounds: tuple[float, float]
    frozen: tuple[str, ...]
    window_steps: int
    evaluate_every: int
    surrogate: Surrogate | None


class _Start(NamedTuple):
    """A trial at the beginning of its window."""

    trial: int
    inputs: Events
    before: Trial | None

    def begin(self) -> Trial | None:
        """Return what the window goes on from; it is used up, so everyone gets their own."""
        if self.before is None:
            return None
        return replace(self.before, state=State._make(a.copy() for a in self.before.state))


class GradientFit:
    """One loop: run trials of every condition, compare their mean with the targets, follow the gradient through the trials.

    The trials are run twice: once for the spikes, from which the error of the mean follows, and once more, the same to the bit,
    with what the derivatives need, window by window. So memory does not grow with the number of trials, and little with their
    length. The observation, mean rates smoothed as the targets were, is a linear filter of the binned spikes; its derivative
    is exact, and enters as a learning signal on the spikes of each bin.
    """

    def __init__(self, problem: Problem, options: FitOptions) -> None:
        network = problem.simulator.network
        self._problem, self._options = problem, options
        self.name, self.n_loops = options.name, options.loops
        self._trials = ModelTrials(network, spike_signal=True, surrogate=options.surrogate)
        n_conditions, n_bins, n_trained = problem.rate_hz.shape
        # Column b is what a rate of 1 Hz in bin b looks like after smoothing.
        self._smoothing = problem.smooth(np.eye(n_bins)[None])[0]
        self.weights = Weights(
            plastic=network.plastic_weight.copy(),
            feed_forward=np.zeros((n_conditions, n_trained, network.n_feed_forward), np.float32),
        )
        self._optimiser = Optimiser(self._parameters(), options.optimiser, threads=problem.threads)
        workers = problem.threads or available_threads()
        self._rules = [options.make_rule(self._trials.model_network) for _ in range(workers)]
        self._length = options.window_steps or network.window_steps
        self._tapes = [self._trials.model_network.new_tape(self._length) for _ in range(workers)]

    def _parameters(self) -> list[Parameter]:
        network, o = self._problem.simulator.network, self._options
        n_conditions, _, n_ff = self.weights.feed_forward.shape
        limits = Limits(dale=o.dale, w_min=o.bounds[0], w_max=o.bounds[1])
        exc = np.repeat(network.trained, network.n_plastic_exc)
        inh = np.repeat(network.trained, network.plastic_pre.shape[1] - network.n_plastic_exc)
        self._exc = np.ascontiguousarray(self.weights.plastic[:, : network.n_plastic_exc]).reshape(-1)
        self._inh = np.ascontiguousarray(self.weights.plastic[:, network.n_plastic_exc :]).reshape(-1)
        self._feed_forward = self.weights.feed_forward.reshape(-1).copy()
        return [
            Parameter("plastic E weights", self._exc, limits, exc, frozen="exc" in o.frozen),
            Parameter("plastic I weights", self._inh, limits, inh, frozen="inh" in o.frozen),
            Parameter(
                "feed-forward weights",
                self._feed_forward,
                neuron=np.tile(np.repeat(network.trained, n_ff), n_conditions),
                frozen="feed_forward" in o.frozen or n_ff == 0,
            ),
        ]

    def loop(self, index: int) -> LoopResult:
        """Run loop `index`: one update."""
        problem, o = self._problem, self._options
        network = problem.simulator.network
        n_conditions, n_bins, _ = problem.rate_hz.shape
        plastic = np.zeros(self.weights.plastic.shape, np.float64)
        feed_forward = np.zeros(self.weights.feed_forward.shape, np.float32)
        rates, smooth_hz = [], np.zeros(problem.rate_hz.shape)
        for condition in range(n_conditions):
            first = FIRST_GRADIENT_TRIAL + index * o.trials
            trials = range(first, first + o.trials)
            flat = self._trials.flat_weights(self.weights, condition)
            starts = self._starts(flat, condition, trials)
            counts = self._count(flat, condition, starts)
            psth = counts[:, network.trained] / (o.trials * problem.bin_s)
            smooth_hz[condition] = self._smoothing @ psth
            signal = self._signal(counts, smooth_hz[condition], condition)
            of_condition = self._gradient(flat, condition, starts, signal.astype(np.float32))
            by_plastic, by_ff = self._trials.unflatten(of_condition)
            plastic += by_plastic
            feed_forward[condition] = by_ff
            mean = counts.sum(axis=0) / (o.trials * n_bins * problem.bin_s)
            rates.append((float(mean[: network.n_exc].mean()), float(mean[network.n_exc :].mean())))
            problem.progress(condition, rates[-1], psth)
        self._update(plastic.astype(np.float32), feed_forward, index)
        exc, inh = np.mean(rates, axis=0)
        correlation = mean_correlation(smooth_hz, problem.rate_hz)
        return LoopResult(forcing=0.0, rate_exc_hz=float(exc), rate_inh_hz=float(inh), correlation=correlation, frozen=False)

    def _signal(self, counts: NDArray[np.int64], smooth_hz: NDArray[np.float64], condition: int) -> NDArray[np.float64]:
        """(bin, neuron): derivative of the loss by a spike in a bin of one of the trials."""
        problem, o, network = self._problem, self._options, self._problem.simulator.network
        _, by_rate = o.loss(smooth_hz, problem.rate_hz[condition])
        signal = np.zeros(counts.shape)
        signal[:, network.trained] = self._smoothing.T @ by_rate / (o.trials * problem.bin_s)
        if o.regularisation is not None:
            duration_s = len(counts) * problem.bin_s * o.trials
            signal += o.regularisation(counts.sum(axis=0), duration_s)[1]
        return signal

    def _starts(self, flat: NDArray[np.float32], condition: int, trials: range) -> list["_Start"]:
        """Run the trials up to their windows."""

        def run(trial: int) -> _Start:
            inputs = self._trials.inputs(condition, trial)
            return _Start(trial, inputs, self._trials.before_window(flat, inputs, condition, trial))

        return thread_map(run, trials, self._problem.threads)

    def _count(self, flat: NDArray[np.float32], condition: int, starts: list["_Start"]) -> NDArray[np.int64]:
        """(bin, neuron): spikes of the trials, summed."""
        net = self._problem.simulator.network

        def run(start: _Start) -> NDArray[np.uint16]:
            window = self._trials.window(flat, start.inputs, condition, start.trial, start.begin())
            return bin_counts(window, self._problem.bin_steps, net.n_neurons)

        return np.asarray(np.sum(thread_map(run, starts, self._problem.threads), axis=0, dtype=np.int64))

    def _gradient(
        self, flat: NDArray[np.float32], condition: int, starts: list["_Start"], signal: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Gradient by the condition's weights: the sum over trials, in their order."""
        total = np.zeros(len(flat), np.float32)
        for first in range(0, len(starts), len(self._rules)):
            together = list(enumerate(starts[first : first + len(self._rules)]))
            parts = thread_map(
                lambda item: self._trial_gradient(item[0], flat, condition, item[1], signal), together, self._problem.threads
            )
            for part in parts:
                total += part.plastic
        return total

    def _trial_gradient(
        self, worker: int, flat: NDArray[np.float32], condition: int, start: "_Start", signal: NDArray[np.float32]
    ) -> Gradient:
        """Run a trial again, and back, window by window."""
        net, bin_steps, rule = self._problem.simulator.network, self._problem.bin_steps, self._rules[worker]
        gradient, part = rule.new_gradient(), start.begin()
        rule.begin()
        for first in range(0, net.window_steps, self._length):
            last = min(first + self._length, net.window_steps)
            part = self._trials.window(
                flat, start.inputs, condition, start.trial, part, first=first, last=last, tape=self._tapes[worker]
            )
            rows = signal[first // bin_steps : last // bin_steps]
            rule.add(flat, part, Signals(spikes=rows, spikes_every=bin_steps), gradient)
        return gradient

    def _update(self, plastic: NDArray[np.float32], feed_forward: NDArray[np.float32], index: int) -> None:
        network = self._problem.simulator.network
        n_exc = network.n_plastic_exc
        gradients = {
            "plastic E weights": np.ascontiguousarray(plastic[:, :n_exc]).reshape(-1),
            "plastic I weights": np.ascontiguousarray(plastic[:, n_exc:]).reshape(-1),
            "feed-forward weights": feed_forward.reshape(-1),
        }
        try:
            self._optimiser.step(gradients)
        except TrainingError as error:
            raise TrainingError(f"loop {index + 1}: {error}") from None
        self.weights = self._joined()

    def _joined(self) -> Weights:
        n_trained = len(self.weights.plastic)
        plastic = np.hstack((self._exc.reshape(n_trained, -1), self._inh.reshape(n_trained, -1)))
        return Weights(plastic=plastic, feed_forward=self._feed_forward.reshape(self.weights.feed_forward.shape).copy())

    def validates(self, index: int) -> bool:
        """Return True every so many loops and after the last one."""
        return (index + 1) % self._options.evaluate_every == 0 or index + 1 == self.n_loops

    def state(self) -> Arrays:
        """Return weights and the state of the optimiser."""
        return {
            "plastic": self.weights.plastic,
            "feed_forward": self.weights.feed_forward,
            **{f"optimiser/{name}": values for name, values in self._optimiser.state().items()},
        }

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        n_exc = self._problem.simulator.network.n_plastic_exc
        self._exc[:] = state["plastic"][:, :n_exc].reshape(-1)
        self._inh[:] = state["plastic"][:, n_exc:].reshape(-1)
        self._feed_forward[:] = state["feed_forward"].reshape(-1)
        self.weights = self._joined()
        prefix = "optimiser/"
        self._optimiser.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})


def window_that_fits(trials: ModelTrials, budget_bytes: float, threads: int) -> int:
    """Return the most steps whose tape, on so many threads, fits into a budget."""
    network = trials.model_network
    per_step = trials.compiled.blocks.kept * network.width * network.dtype.itemsize * threads
    return int(budget_bytes // per_step)
