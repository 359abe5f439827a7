"""The trials of a gradient fit and their gradients, one thread per trial."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitrec.learn.gradient.rules import Rule
from fitrec.learn.gradient.windows import Start, TrialGradient, Windows
from fitrec.simulate.model_network import ModelNetwork
from fitrec.simulate.model_trials import ModelTrials, bin_counts
from fitrec.simulate.threads import thread_map

Starts = TypeVar("Starts")


class Work(Protocol[Starts]):
    """Runs the trials of a fit, on the CPU or on a device, with the same bits."""

    def starts(self, flat: Any, condition: int, trials: range) -> Starts:
        """Run trials up to their windows; `flat` are the weights (`LearnedWeights.flat`)."""

    def count(self, flat: Any, starts: Starts) -> NDArray[np.int64]:
        """(bin, neuron): spikes of the trials, summed."""

    def gradient(
        self, flat: Any, starts: Starts, signal: NDArray[np.float32]
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.int64]]:
        """Gradients by the synapses and by (parameter, neuron), and spikes (bin, neuron): summed in the order of trials.

        Parameters
        ----------
        signal : (bin, neuron)
            Derivative of the loss by a spike in a bin.

        """


class HostWork:
    """Trials and gradients on the CPU."""

    def __init__(
        self,
        trials: ModelTrials,
        make_rule: Callable[[ModelNetwork], Rule],
        windows: Windows,
        bin_steps: int,
        threads: int | None,
    ) -> None:
        self._trials, self._bin_steps, self._threads = trials, bin_steps, threads
        self._workers = [TrialGradient(trials, make_rule, windows, bin_steps) for _ in range(windows.workers)]

    @property
    def worker(self) -> TrialGradient:
        """One of those that go through trials."""
        return self._workers[0]

    @property
    def rule(self) -> Rule:
        """The gradient rule."""
        return self.worker.rule

    def starts(self, flat: NDArray[np.float32], condition: int, trials: range) -> list[Start]:
        """Run trials up to their windows."""

        def run(trial: int) -> Start:
            inputs = self._trials.inputs(condition, trial)
            return Start(condition, trial, inputs, self._trials.before_window(flat, inputs, condition, trial))

        return thread_map(run, trials, self._threads)

    def count(self, flat: NDArray[np.float32], starts: list[Start]) -> NDArray[np.int64]:
        """(bin, neuron): spikes of the trials, summed."""
        n = self._trials.network.n_neurons

        def run(start: Start) -> NDArray[np.uint16]:
            window = self._trials.window(flat, start.inputs, start.condition, start.trial, start.begin())
            return bin_counts(window, self._bin_steps, n)

        return np.asarray(np.sum(thread_map(run, starts, self._threads), axis=0, dtype=np.int64))

    def gradient(
        self, flat: NDArray[np.float32], starts: list[Start], signal: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
        """Gradients by the synapses and by (parameter, neuron), and spikes (bin, neuron): summed in the order of trials."""
        total, parameters = np.zeros(len(flat), np.float32), np.zeros(self.rule.new_gradient().parameters.shape)
        counts: list[NDArray[np.uint16]] = []
        for first in range(0, len(starts), len(self._workers)):
            some = list(zip(self._workers, starts[first : first + len(self._workers)], strict=False))
            for part, spikes in thread_map(lambda item: item[0](flat, item[1], signal), some, self._threads):
                total += part.plastic
                parameters += part.parameters
                counts.append(spikes)
        return total, parameters, np.sum(counts, axis=0, dtype=np.int64)
