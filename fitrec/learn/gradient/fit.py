"""Fits of PSTHs by gradients: a learning rule of the pipeline beside `rls` and `ridge`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.model_state import Events, State
from fitrec.learn.gradient.learned import LearnedWeights
from fitrec.learn.gradient.losses import FiringRate
from fitrec.learn.gradient.optimisers import Settings
from fitrec.learn.gradient.rules import Gradient, Rule, Signals
from fitrec.learn.rule import Arrays, LoopResult, Problem, mean_correlation
from fitrec.networks.weights import Weights
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
    loss : callable
        Of the smoothed mean rates (Hz), (time, trained), against the targets: value and derivative by the rates.
    regularisation : FiringRate or None
        On the rates of all neurons.
    optimiser : Settings
    dale : str
    bounds : (float, float)
        Of the plastic weights.
    frozen : tuple of str
        Of ``plastic``, ``feed_forward``, ``exc``, ``inh`` (plastic inputs by their presynaptic neurons): not learned.
    window_steps : int
        Steps whose tape is kept at a time; 0: the whole window of a trial.
    readout_ms : float or None
        Time constant of a causal exponential filter that takes the place of the targets' smoothing in the error; None: none.
    evaluate_every : int

    """

    name: str
    make_rule: Callable[[ModelNetwork], Rule]
    loops: int
    trials: int
    loss: Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
    regularisation: FiringRate | None
    optimiser: Settings
    dale: Any
    bounds: tuple[float, float]
    frozen: tuple[str, ...]
    window_steps: int
    readout_ms: float | None
    evaluate_every: int


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

    def __init__(self, problem: Problem, trials: ModelTrials, options: FitOptions) -> None:
        network = problem.simulator.network
        self._problem, self._options = problem, options
        self.name, self.n_loops = options.name, options.loops
        self._trials = trials
        # Column b is what a rate of 1 Hz in bin b looks like after smoothing.
        self._smoothing = problem.smooth(np.eye(problem.rate_hz.shape[1])[None])[0]
        self._target_hz = problem.rate_hz
        if options.readout_ms is not None:
            self._smoothing = causal_filter(problem.rate_hz.shape[1], problem.bin_s * 1e3, options.readout_ms)
            self._target_hz = self._smoothing @ problem.rate_hz
        self._weights = LearnedWeights(problem, options)
        workers = problem.threads or available_threads()
        self._rules = [options.make_rule(self._trials.model_network) for _ in range(workers)]
        self._length = options.window_steps or network.window_steps
        self._tapes = [self._trials.model_network.new_tape(self._length) for _ in range(workers)]

    @property
    def weights(self) -> Weights:
        """The weights so far."""
        return self._weights.current

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
            signal = self._signal(counts, smooth_hz[condition], self._target_hz[condition])
            of_condition = self._gradient(flat, condition, starts, signal.astype(np.float32))
            by_plastic, by_ff = self._trials.unflatten(of_condition)
            plastic += by_plastic
            feed_forward[condition] = by_ff
            mean = counts.sum(axis=0) / (o.trials * n_bins * problem.bin_s)
            rates.append((float(mean[: network.n_exc].mean()), float(mean[network.n_exc :].mean())))
            problem.progress(condition, rates[-1], psth)
        self._weights.step(plastic.astype(np.float32), feed_forward, index)
        exc, inh = np.mean(rates, axis=0)
        correlation = mean_correlation(smooth_hz, self._target_hz)
        return LoopResult(forcing=0.0, rate_exc_hz=float(exc), rate_inh_hz=float(inh), correlation=correlation, frozen=False)

    def _signal(
        self, counts: NDArray[np.int64], smooth_hz: NDArray[np.float64], target_hz: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(bin, neuron): derivative of the loss by a spike in a bin of one of the trials."""
        problem, o, network = self._problem, self._options, self._problem.simulator.network
        _, by_rate = o.loss(smooth_hz, target_hz)
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

    def validates(self, index: int) -> bool:
        """Return True every so many loops and after the last one."""
        return (index + 1) % self._options.evaluate_every == 0 or index + 1 == self.n_loops

    def state(self) -> Arrays:
        """Return weights and the state of the optimiser."""
        return self._weights.state()

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self._weights.restore(state)


def window_that_fits(trials: ModelTrials, budget_bytes: float, threads: int) -> int:
    """Return the most steps whose tape, on so many threads, fits into a budget."""
    network = trials.model_network
    per_step = trials.compiled.blocks.kept * network.width * network.dtype.itemsize * threads
    return int(budget_bytes // per_step)


def causal_filter(n_bins: int, bin_ms: float, tau_ms: float) -> NDArray[np.float64]:
    """Return the matrix (bin, bin) of an exponential filter that keeps the mean: each row sums to 1 where bins before exist."""
    decay = np.exp(-bin_ms / tau_ms)
    lag = np.arange(n_bins)[:, None] - np.arange(n_bins)
    weights = np.where(lag >= 0, decay ** np.maximum(lag, 0), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
