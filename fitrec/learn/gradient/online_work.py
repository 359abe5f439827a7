"""Trials that are learned from while they run, bin by bin, on the CPU or on a device, with the same bits."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.learn.gradient.device_rules import device_rule, device_signals
from fitrec.learn.gradient.rules import EPropPlus, Signals
from fitrec.neurons.observation import RATE
from fitrec.simulate.device_trials import DeviceModelTrials
from fitrec.simulate.model_trials import ModelTrials, bin_counts


class OnlineWork(Protocol):
    """Runs one trial at a time; `flat` are the weights as they are then (`LearnedWeights.flat`)."""

    def begin(self, flat: Any, condition: int, trial: int) -> None:
        """Run a trial up to its window."""

    def run_bin(self, flat: Any, k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Run bin k; return spikes and, at its end, observed rates (per ms), (neuron,)."""

    def gradient(self, flat: Any, signal: NDArray[np.float64]) -> tuple[Any, Any]:
        """Gradients of the last bin for `LearnedWeights.add`, given those by the observed rates, (neuron,)."""


class HostOnline:
    """On the CPU."""

    def __init__(self, trials: ModelTrials, rule: EPropPlus, bin_steps: int) -> None:
        self._trials, self._rule, self._steps = trials, rule, bin_steps
        self._tape = trials.model_network.new_tape(bin_steps)

    def begin(self, flat: NDArray[np.float32], condition: int, trial: int) -> None:
        """Run a trial up to its window."""
        self._trial, self._inputs = (condition, trial), self._trials.inputs(condition, trial)
        self._part = self._trials.before_window(flat, self._inputs, condition, trial)
        self._rule.begin()

    def run_bin(self, flat: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Run bin k; return spikes and observed rates, (neuron,)."""
        first, last = k * self._steps, (k + 1) * self._steps
        self._part = part = self._trials.window(
            flat, self._inputs, *self._trial, self._part, first=first, last=last, tape=self._tape, rows=(RATE,)
        )
        return bin_counts(part, self._steps, self._trials.network.n_neurons)[0].astype(np.int64), part.sampled[-1, 0]

    def gradient(self, flat: NDArray[np.float32], signal: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Gradients of the last bin by the synapses and by (parameter, neuron)."""
        assert self._part is not None
        gradient = self._rule.new_gradient()
        self._rule.add(flat, self._part, _signals(signal, self._steps), gradient)
        return gradient.plastic, gradient.parameters


class DeviceOnline:
    """On a device, where weights, traces and gradients stay."""

    def __init__(self, device: Device, trials: ModelTrials, rule: EPropPlus, bin_steps: int) -> None:
        self._device, self._trials, self._steps = device, DeviceModelTrials(device, trials), bin_steps
        self._network, self._on_cpu = self._trials.network, rule
        self._rule = device_rule(self._network, rule)

    def begin(self, flat: Any, condition: int, trial: int) -> None:
        """Run a trial up to its window."""
        (trials,) = self._trials.batches([trial], self._rule.trial_bytes(self._steps), self._steps, tapes=1)
        self._start = self._trials.start(self._network.wired(flat), condition, trials)
        self._part = self._start.before
        self._rule.begin(1)

    def run_bin(self, flat: Any, k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Run bin k; return spikes and observed rates, (neuron,); waits."""
        first, last, wiring = k * self._steps, (k + 1) * self._steps, self._network.wired(flat)
        self._part = part = self._trials.window(wiring, self._start, self._part, first=first, last=last, tape=True, rows=(RATE,))
        observed = self._device.to_host(part.record.sampled)[0, -1, : self._network.shape.n]
        return self._network.counts(part, self._steps, 0)[0], observed

    def gradient(self, flat: Any, signal: NDArray[np.float64]) -> tuple[Any, Any]:
        """Gradients of the last bin by the synapses and by the neurons' parameters, on the device."""
        signals = device_signals(self._on_cpu, [_signals(signal, self._steps)], self._network)
        gradient = self._rule.new_gradient(1)
        self._rule.add(self._network.wired(flat), self._part, signals, gradient)
        return gradient.plastic[0], gradient.parameters[0]


def _signals(signal: NDArray[np.float64], bin_steps: int) -> Signals:
    return Signals(rows=(RATE,), every=bin_steps, states=signal[None, None])
