"""The trials of a gradient fit and their gradients, one thread per trial."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitrec.learn.gradient.rules import Rule
from fitrec.learn.gradient.windows import Start, TrialGradient, Windows
from fitrec.simulate.model_network import ModelNetwork
from fitrec.simulate.model_trials import ModelTrials, bin_counts
from fitrec.threads import thread_map

Starts = TypeVar("Starts")
Result = TypeVar("Result")


class Asked(NamedTuple):
    """Trials of a condition; `flat` are the weights (`LearnedWeights.flat`)."""

    flat: Any
    condition: int
    trials: range


class Gradient(NamedTuple):
    """Sums over the trials of a condition, in their order."""

    synapses: Any  # (synapse,) float32, where the work is done
    parameters: Any  # (parameter, neuron) float64, or (parameter * padded,) on a device
    counts: Any  # (bin, neuron) int64, where the work is done: spikes


class Work(Protocol[Starts]):
    """Runs the trials of a fit, on the CPU or on a device, with the same bits.

    Attributes
    ----------
    together : int
        Trials that are worth being asked for at once, of whatever conditions.

    """

    together: int

    def starts(self, asked: Sequence[Asked]) -> list[Starts]:
        """Run trials up to their windows; one result for each condition that is asked for."""

    def count(self, asked: Sequence[Asked], starts: Sequence[Starts]) -> list[Any]:
        """(bin, neuron) int64 for each condition, where the work is done: spikes of its trials, summed."""

    def gradient(self, asked: Sequence[Asked], starts: Sequence[Starts], signals: Sequence[Any]) -> list[Gradient]:
        """Gradients of each condition.

        Parameters
        ----------
        signals : of (bin, neuron) float32, on a device (bin, padded)
            Derivative of the loss by a spike in a bin, for each condition.

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
        self.together = windows.workers

    @property
    def worker(self) -> TrialGradient:
        """One of those that go through trials."""
        return self._workers[0]

    @property
    def rule(self) -> Rule:
        """The gradient rule."""
        return self.worker.rule

    def starts(self, asked: Sequence[Asked]) -> list[list[Start]]:
        """Run trials up to their windows."""

        def run(item: tuple[Asked, int]) -> Start:
            (flat, condition, _), trial = item
            inputs = self._trials.inputs(condition, trial)
            return Start(condition, trial, inputs, self._trials.before_window(flat, inputs, condition, trial))

        items = [(some, trial) for some in asked for trial in some.trials]
        return _per_condition(asked, thread_map(run, items, self._threads))

    def count(self, asked: Sequence[Asked], starts: Sequence[list[Start]]) -> list[NDArray[np.int64]]:
        """(bin, neuron) for each condition: spikes of its trials, summed."""
        n = self._trials.network.n_neurons

        def run(item: tuple[Asked, Start]) -> NDArray[np.uint16]:
            some, start = item
            window = self._trials.window(some.flat, start.inputs, start.condition, start.trial, start.begin())
            return bin_counts(window, self._bin_steps, n)

        items = [(some, start) for some, own in zip(asked, starts, strict=True) for start in own]
        return [np.sum(counts, axis=0, dtype=np.int64) for counts in _per_condition(asked, thread_map(run, items, self._threads))]

    def gradient(
        self, asked: Sequence[Asked], starts: Sequence[list[Start]], signals: Sequence[NDArray[np.float32]]
    ) -> list[Gradient]:
        """Gradients of each condition."""
        results = [self._nothing(some) for some in asked]
        counts: list[list[NDArray[np.uint16]]] = [[] for _ in asked]
        items = [(k, start) for k, own in enumerate(starts) for start in own]
        for first in range(0, len(items), len(self._workers)):
            some = list(zip(self._workers, items[first : first + len(self._workers)], strict=False))
            found = thread_map(lambda w: w[0](asked[w[1][0]].flat, w[1][1], signals[w[1][0]]), some, self._threads)
            for (_, (k, _)), (part, spikes) in zip(some, found, strict=True):
                results[k].synapses[:] += part.plastic
                results[k].parameters[:] += part.parameters
                counts[k].append(spikes)
        return [r._replace(counts=np.sum(own, axis=0, dtype=np.int64)) for r, own in zip(results, counts, strict=True)]

    def _nothing(self, asked: Asked) -> Gradient:
        parameters = np.zeros(self.rule.new_gradient().parameters.shape)
        return Gradient(np.zeros(len(asked.flat), np.float32), parameters, np.zeros((0, 0), np.int64))


def _per_condition(asked: Sequence[Asked], results: list[Result]) -> list[list[Result]]:
    ends = np.cumsum([len(some.trials) for some in asked]).tolist()
    return [results[last - len(some.trials) : last] for some, last in zip(asked, ends, strict=True)]
