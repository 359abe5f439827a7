"""Trials that are learned from while they run, bin by bin, on the CPU or on a device, with the same bits."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.learn.gradient.device_rules import device_rule, device_signals
from fitrec.learn.gradient.rules import EPropPlus, Signals
from fitrec.simulate.device_trials import DeviceModelTrials
from fitrec.simulate.model_trials import ModelTrials, bin_counts


class OnlineWork(Protocol):
    """Runs one trial at a time; `flat` are the weights as they are then (`LearnedWeights.flat`)."""

    def begin(self, flat: Any, condition: int, trial: int) -> None:
        """Run a trial up to its window."""

    def run_bin(self, flat: Any, k: int) -> Any:
        """Run bin k; return what neurons observe of their rates at its end, where the work is done, (neuron,) or (padded,)."""

    def gradient(self, flat: Any, signal: Any) -> tuple[Any, Any]:
        """Gradients of the last bin for `LearnedWeights.add`, given those by what was observed, where and as this is."""

    def counts(self) -> Any:
        """(bin, neuron) int64, where the work is done: spikes of the trial so far."""


class HostOnline:
    """On the CPU."""

    def __init__(self, trials: ModelTrials, rule: EPropPlus, bin_steps: int) -> None:
        self._trials, self._rule, self._steps, self._rows = trials, rule, bin_steps, observed_rows(trials)
        self._tape = trials.model_network.new_tape(bin_steps)

    def begin(self, flat: NDArray[np.float32], condition: int, trial: int) -> None:
        """Run a trial up to its window."""
        self._trial, self._inputs = (condition, trial), self._trials.inputs(condition, trial)
        self._part = self._trials.before_window(flat, self._inputs, condition, trial)
        self._rule.begin()
        self._counts: list[NDArray[np.int64]] = []

    def run_bin(self, flat: NDArray[np.float32], k: int) -> NDArray[Any]:
        """Run bin k; return observed rates, (neuron,)."""
        first, last = k * self._steps, (k + 1) * self._steps
        self._part = part = self._trials.window(
            flat, self._inputs, *self._trial, self._part, first=first, last=last, tape=self._tape, rows=self._rows
        )
        self._counts.append(bin_counts(part, self._steps, self._trials.network.n_neurons)[0].astype(np.int64))
        observed: NDArray[Any] = part.sampled[-1, 0]
        return observed

    def gradient(self, flat: NDArray[np.float32], signal: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Gradients of the last bin by the synapses and by (parameter, neuron)."""
        assert self._part is not None
        gradient = self._rule.new_gradient()
        self._rule.add(flat, self._part, Signals(rows=self._rows, every=self._steps, states=signal[None, None]), gradient)
        return gradient.plastic, gradient.parameters

    def counts(self) -> NDArray[np.int64]:
        """(bin, neuron): spikes of the trial so far."""
        return np.stack(self._counts)


class DeviceOnline:
    """On a device, where weights, traces and gradients stay."""

    def __init__(self, device: Device, trials: ModelTrials, rule: EPropPlus, bin_steps: int) -> None:
        self._trials, self._steps = DeviceModelTrials(device, trials), bin_steps
        self._network, self._rule = self._trials.network, device_rule(self._trials.network, rule)
        self._rows = observed_rows(trials)
        nothing = Signals(rows=self._rows, every=bin_steps, states=np.zeros((1, 1, trials.network.n_neurons)))
        self._signals = device_signals(rule, [nothing], self._network)
        self._bins = trials.network.window_steps // bin_steps

    def begin(self, flat: Any, condition: int, trial: int) -> None:
        """Run a trial up to its window."""
        (trials,) = self._trials.batches([trial], self._rule.trial_bytes(self._steps), self._steps, tapes=1)
        self._start = self._trials.start(self._network.wired(flat), condition, trials)
        self._part = self._start.before
        self._rule.begin(1)
        self._counts = self._network.new_counts(self._bins)

    def run_bin(self, flat: Any, k: int) -> Any:
        """Run bin k; return observed rates, (padded,)."""
        first, last, wiring = k * self._steps, (k + 1) * self._steps, self._network.wired(flat)
        self._part = part = self._trials.window(
            wiring, self._start, self._part, first=first, last=last, tape=True, rows=self._rows
        )
        self._network.kernels.count(part.record, self._steps, self._counts[k : k + 1])
        return part.record.sampled[0, -1]

    def gradient(self, flat: Any, signal: Any) -> tuple[Any, Any]:
        """Gradients of the last bin by the synapses and by the neurons' parameters, on the device."""
        signals = self._signals._replace(states=signal[None, None])
        gradient = self._rule.new_gradient(1)
        self._rule.add(self._network.wired(flat), self._part, signals, gradient)
        return gradient.plastic[0], gradient.parameters[0]

    def counts(self) -> Any:
        """(bin, neuron): spikes of the trial so far."""
        return self._counts


def observed_rows(trials: ModelTrials) -> tuple[str]:
    """Return the state in which neurons observe their rates."""
    assert trials.observed is not None
    return (trials.observed.row,)
