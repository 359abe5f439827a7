"""The gradient of a trial, window by window: memory grows with the window, not with the trial."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.model_state import Events, State
from fitrec.learn.gradient.rules import Gradient, Rule, Signals
from fitrec.simulate.model_network import ModelNetwork, Trial
from fitrec.simulate.model_trials import ModelTrials, bin_counts


class Start(NamedTuple):
    """A trial at the beginning of its window of interest."""

    condition: int
    trial: int
    inputs: Events
    before: Trial | None

    def begin(self) -> Trial | None:
        """Return what the trial goes on from; it is used up, so everyone gets their own."""
        if self.before is None:
            return None
        return replace(self.before, state=State._make(a.copy() for a in self.before.state))


@dataclass(frozen=True, kw_only=True)
class Windows:
    """How trials are cut.

    Attributes
    ----------
    steps : int
        Of a window, whole bins.
    overlap : bool
        Whether rules that go back begin one window later, without adding anything there: then every step sees the losses of at
        least the steps of a window after it. Rules that go forward carry their traces from window to window anyway.
    workers : int
        Trials at a time.

    """

    steps: int
    overlap: bool
    workers: int


class TrialGradient:
    """Runs a trial with what its derivatives need, and back; one trial at a time."""

    def __init__(self, trials: ModelTrials, make_rule: Callable[[ModelNetwork], Rule], windows: Windows, bin_steps: int) -> None:
        self._trials, self._bin_steps, self._length = trials, bin_steps, windows.steps
        self._rule = make_rule(trials.model_network)
        cut = windows.steps < trials.network.window_steps
        self._overlap = windows.overlap and self._rule.goes_back and cut
        self._tapes = [trials.model_network.new_tape(windows.steps) for _ in range(1 + self._overlap)]

    @property
    def rule(self) -> Rule:
        """The gradient rule."""
        return self._rule

    @property
    def goes_back(self) -> bool:
        """Whether the rule goes from the last step to the first."""
        return self._rule.goes_back

    def __call__(
        self, flat: NDArray[np.float32], start: Start, signal: NDArray[np.float32], steps: tuple[int, int] | None = None
    ) -> tuple[Gradient, NDArray[np.uint16]]:
        """Return the gradient of one trial, and its spikes (bin, neuron).

        Parameters
        ----------
        flat : (synapse,)
            Weights, `ModelTrials.flat_weights`.
        signal : (bin, neuron)
            Derivative of the loss by the spikes in a bin.
        steps : (int, int), optional
            Use derivatives of these steps only, to find out where they come to grief.

        """
        gradient, whole = self._rule.new_gradient(), self._trials.network.window_steps
        begin, end = (0, whole) if steps is None else steps
        self._rule.begin()
        part, counts = self._run(flat, start, start.begin(), 0), []
        for first in range(0, whole, self._length):
            last = min(first + self._length, whole)
            counts.append(bin_counts(part, self._bin_steps, self._trials.network.n_neurons))
            following = self._run(flat, start, part, last) if self._overlap and last < whole else None
            after = None
            if following is not None and last < end and last + following.n_steps > begin:
                after = self._rule.look_back(flat, *_cut(following, signal, self._bin_steps, last, begin, end))
            if first < end and last > begin:
                self._rule.add(flat, *_cut(part, signal, self._bin_steps, first, begin, end), gradient, after)
            if last < whole:
                part = self._run(flat, start, part, last) if following is None else following
        return gradient, np.concatenate(counts)

    def _run(self, flat: NDArray[np.float32], start: Start, before: Trial | None, first: int) -> Trial:
        last = min(first + self._length, self._trials.network.window_steps)
        tape = self._tapes[first // self._length % len(self._tapes)]
        return self._trials.window(flat, start.inputs, start.condition, start.trial, before, first=first, last=last, tape=tape)


def _cut(part: Trial, signal: NDArray[np.float32], bin_steps: int, first: int, begin: int, end: int) -> tuple[Trial, Signals]:
    """Return the steps of a window, which begins at step `first`, that lie between two others, and their learning signals."""
    last = first + part.n_steps
    low, high = max(first, begin), min(last, end)
    if (low, high) == (first, last):
        return part, Signals(spikes=signal[first // bin_steps : -(-last // bin_steps)], spikes_every=bin_steps)
    each = signal[np.arange(low, high) // bin_steps]
    return part.cut(low - first, high - first), Signals(spikes=each, spikes_every=1)


def first_bad_step(passable: Callable[[tuple[int, int]], bool], n_steps: int, *, backward: bool) -> int:
    """Find the step in which a gradient becomes not finite or too large, in the order in which a rule goes through the steps.

    Parameters
    ----------
    passable : callable
        Whether the gradient that the steps between two numbers have can be gone on with.
    backward : bool
        Whether the rule goes from the last step to the first.

    """
    good, bad = 0, n_steps  # numbers of steps, of which the gradient still is, and no longer is
    while bad - good > 1:
        middle = (good + bad) // 2
        some = (n_steps - middle, n_steps) if backward else (0, middle)
        if passable(some):
            good = middle
        else:
            bad = middle
    return n_steps - bad if backward else bad - 1


def plan_windows(
    step_bytes: int, whole: int, bin_steps: int, wanted_steps: int, budget_bytes: float, threads: int, *, overlap: bool
) -> Windows | int:
    """Choose windows within a budget of memory: as asked for, or, for 0, whole trials if they fit, else the longest that do.

    Parameters
    ----------
    step_bytes : int
        What the tape keeps of a step.
    whole : int
        Steps of a trial.

    Returns
    -------
    Windows, or int
        The most steps that fit, whole bins, where fewer than the wanted ones do. It does not depend on the threads, so that a fit
        does not either: where memory is short, fewer trials are gone through at a time.

    """
    once = int(budget_bytes // step_bytes)
    longest = whole if once >= whole else once // (1 + overlap) // bin_steps * bin_steps
    steps = min(wanted_steps or longest, whole)
    if steps > longest or not longest:
        return longest
    tapes = 1 + (overlap and steps < whole)
    return Windows(steps=steps, overlap=overlap, workers=max(1, min(threads, once // (tapes * steps))))
