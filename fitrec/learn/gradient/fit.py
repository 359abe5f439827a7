"""Fits of PSTHs by gradients: a learning rule of the pipeline beside `rls` and `ridge`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.learn.gradient.learned import LearnedWeights
from fitrec.learn.gradient.losses import FiringRate
from fitrec.learn.gradient.optimisers import Settings
from fitrec.learn.gradient.rules import Rule
from fitrec.learn.gradient.windows import Start, TrialGradient, Windows, first_bad_step
from fitrec.learn.rule import Arrays, LoopResult, Problem, mean_correlation
from fitrec.networks.weights import Weights
from fitrec.simulate.model_network import ModelNetwork
from fitrec.simulate.model_trials import ModelTrials, bin_counts
from fitrec.simulate.threads import thread_map

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
    windows : Windows
        How trials are cut, and how many are gone through at a time.
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
    windows: Windows
    readout_ms: float | None
    evaluate_every: int


class _Measured(NamedTuple):
    """A condition with the weights of a loop: what its trials say, and what the gradient is to be taken of."""

    flat: NDArray[np.float32]  # (synapse,)
    starts: list[Start]
    counts: NDArray[np.int64]  # (bin, neuron), summed over the trials
    smooth_hz: NDArray[np.float64]  # (bin, trained)
    signal: NDArray[np.float32]  # (bin, neuron)


class GradientFit:
    """One loop: run trials of every condition, compare their mean with the targets, follow the gradient through the trials.

    The trials are run twice: once for the spikes, from which the error of the mean follows, and once more, the same to the bit,
    with what the derivatives need, window by window. So memory does not grow with the number of trials, and little with their
    length. The observation, mean rates smoothed as the targets were, is a linear filter of the binned spikes; its derivative
    is exact, and enters as a learning signal on the spikes of each bin.
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
        self._weights = LearnedWeights(problem, options)
        self._workers = [
            TrialGradient(trials, options.make_rule, options.windows, problem.bin_steps) for _ in range(options.windows.workers)
        ]

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
            measured = self._measure(condition, index)
            smooth_hz[condition] = measured.smooth_hz
            by_plastic, by_ff = self._trials.unflatten(self._gradient(measured))
            plastic += by_plastic
            feed_forward[condition] = by_ff
            mean = measured.counts.sum(axis=0) / (o.trials * n_bins * problem.bin_s)
            rates.append((float(mean[: network.n_exc].mean()), float(mean[network.n_exc :].mean())))
            problem.progress(condition, rates[-1], measured.counts[:, network.trained] / (o.trials * problem.bin_s))
        try:
            self._weights.step(plastic.astype(np.float32), feed_forward, index)
        except TrainingError as error:
            raise TrainingError(f"{error}{self._origin(index)}") from None
        exc, inh = np.mean(rates, axis=0)
        correlation = mean_correlation(smooth_hz, self._target_hz)
        return LoopResult(forcing=0.0, rate_exc_hz=float(exc), rate_inh_hz=float(inh), correlation=correlation, frozen=False)

    def _measure(self, condition: int, index: int) -> _Measured:
        """Run the trials of a condition in a loop, without derivatives."""
        problem, o = self._problem, self._options
        first = FIRST_GRADIENT_TRIAL + index * o.trials
        flat = self._trials.flat_weights(self.weights, condition)
        starts = self._starts(flat, condition, range(first, first + o.trials))
        counts = self._count(flat, starts)
        smooth_hz = self._smoothing @ (counts[:, problem.simulator.network.trained] / (o.trials * problem.bin_s))
        signal = self._signal(counts, smooth_hz, self._target_hz[condition])
        return _Measured(flat, starts, counts, smooth_hz, signal.astype(np.float32))

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

    def _starts(self, flat: NDArray[np.float32], condition: int, trials: range) -> list[Start]:
        """Run the trials up to their windows."""

        def run(trial: int) -> Start:
            inputs = self._trials.inputs(condition, trial)
            return Start(condition, trial, inputs, self._trials.before_window(flat, inputs, condition, trial))

        return thread_map(run, trials, self._problem.threads)

    def _count(self, flat: NDArray[np.float32], starts: list[Start]) -> NDArray[np.int64]:
        """(bin, neuron): spikes of the trials, summed."""
        net = self._problem.simulator.network

        def run(start: Start) -> NDArray[np.uint16]:
            window = self._trials.window(flat, start.inputs, start.condition, start.trial, start.begin())
            return bin_counts(window, self._problem.bin_steps, net.n_neurons)

        return np.asarray(np.sum(thread_map(run, starts, self._problem.threads), axis=0, dtype=np.int64))

    def _gradient(self, measured: _Measured) -> NDArray[np.float32]:
        """Gradient by the condition's weights: the sum over trials, in their order."""
        total = np.zeros(len(measured.flat), np.float32)
        for first in range(0, len(measured.starts), len(self._workers)):
            some = list(zip(self._workers, measured.starts[first : first + len(self._workers)], strict=False))
            parts = thread_map(lambda item: item[0](measured.flat, item[1], measured.signal), some, self._problem.threads)
            for part in parts:
                total += part.plastic
        return total

    def _origin(self, index: int) -> str:
        """Say in which trial and step a gradient that is not finite became so, and what to do about it."""
        network, worker = self._problem.simulator.network, self._workers[0]
        for condition in range(network.n_conditions):
            measured = self._measure(condition, index)
            for start in measured.starts:

                def gradient(
                    steps: tuple[int, int] | None = None, measured: _Measured = measured, start: Start = start
                ) -> NDArray[np.float32]:
                    return np.asarray(worker(measured.flat, start, measured.signal, steps).plastic)

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
        """Return weights and the state of the optimiser."""
        return self._weights.state()

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self._weights.restore(state)


def causal_filter(n_bins: int, bin_ms: float, tau_ms: float) -> NDArray[np.float64]:
    """Return the matrix (bin, bin) of an exponential filter that keeps the mean: each row sums to 1 where bins before exist."""
    decay = np.exp(-bin_ms / tau_ms)
    lag = np.arange(n_bins)[:, None] - np.arange(n_bins)
    weights = np.where(lag >= 0, decay ** np.maximum(lag, 0), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
