"""The trials of a gradient fit and their gradients on a device; twin of `host_work`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.model import Wiring
from fitrec.kernels.cuda.model_gradient import Signals, add_trials
from fitrec.learn.gradient.device_base import DeviceGradient
from fitrec.learn.gradient.device_rules import device_rule, spike_signals
from fitrec.learn.gradient.host_work import Asked, Gradient
from fitrec.learn.gradient.rules import Rule
from fitrec.learn.gradient.windows import Windows
from fitrec.simulate.device_network import DeviceTrials
from fitrec.simulate.device_trials import DeviceModelTrials, DeviceStart
from fitrec.simulate.model_trials import ModelTrials


class DeviceWork:
    """Runs the trials of a fit on a device, as many at a time as its memory holds, and goes back over them.

    Parameters
    ----------
    rule : Rule

    Weights and signals are given, gradients and counts returned, on the device.

    """

    together = 1

    def __init__(self, device: Device, trials: ModelTrials, rule: Rule, windows: Windows, bin_steps: int) -> None:
        self._device, self._trials = device, DeviceModelTrials(device, trials)
        self._bin_steps, self._length = bin_steps, windows.steps
        self._rule = device_rule(self._trials.network, rule)
        cut = windows.steps < trials.network.window_steps
        self._overlap = windows.overlap and self._rule.goes_back and cut

    def starts(self, asked: Sequence[Asked]) -> list[list[DeviceStart]]:
        """Run trials up to their windows, in batches."""
        return [self._starts(some) for some in asked]

    def count(self, asked: Sequence[Asked], starts: Sequence[list[DeviceStart]]) -> list[Any]:
        """(bin, neuron) for each condition: spikes of its trials, summed."""
        return [self._count(some, own) for some, own in zip(asked, starts, strict=True)]

    def gradient(self, asked: Sequence[Asked], starts: Sequence[list[DeviceStart]], signals: Sequence[Any]) -> list[Gradient]:
        """Gradients of each condition; signals (bin, padded)."""
        return [self._gradient(*one) for one in zip(asked, starts, signals, strict=True)]

    def _starts(self, asked: Asked) -> list[DeviceStart]:
        tapes, wiring = 1 + self._overlap, self._trials.network.wired(asked.flat)
        batches = self._trials.batches(asked.trials, self._rule.trial_bytes(self._length), self._length, tapes=tapes)
        return [self._trials.start(wiring, asked.condition, some) for some in batches]

    def _count(self, asked: Asked, starts: Sequence[DeviceStart]) -> Any:
        net, wiring, counts = self._trials.network, self._trials.network.wired(asked.flat), self._new_counts()
        for start in starts:
            net.kernels.count(self._trials.window(wiring, start, start.begin()).record, self._bin_steps, counts)
        return counts

    def _gradient(self, asked: Asked, starts: Sequence[DeviceStart], signal: Any) -> Gradient:
        wiring, counts = self._trials.network.wired(asked.flat), self._new_counts()
        total = self._device.xp.zeros(len(asked.flat), np.float32)
        shape = self._trials.network.shape
        parameters = self._device.xp.zeros(shape.trainable * shape.width, np.float64)
        for start in starts:
            part = self._of_batch(wiring, start, signal, counts)
            add_trials(self._trials.network.kernels, part.plastic, total)
            add_trials(self._trials.network.kernels, part.parameters, parameters)
        return Gradient(total, parameters, counts)

    def _of_batch(self, wiring: Wiring, start: DeviceStart, signal: Any, counts: Any) -> DeviceGradient:
        """Gradients of a batch, as `windows.TrialGradient` goes through the windows."""
        rule, whole, n = self._rule, self._trials.host.network.window_steps, len(start.trials)
        gradient = rule.new_gradient(n)
        rule.begin(n)
        part = self._run(wiring, start, start.begin(), 0)
        for first in range(0, whole, self._length):
            last = min(first + self._length, whole)
            bins = counts[first // self._bin_steps : last // self._bin_steps]
            self._trials.network.kernels.count(part.record, self._bin_steps, bins)
            following = self._run(wiring, start, part, last) if self._overlap and last < whole else None
            after = None if following is None else rule.look_back(wiring, following, self._signals(signal, last))
            rule.add(wiring, part, self._signals(signal, first), gradient, after)
            if last < whole:
                part = self._run(wiring, start, part, last) if following is None else following
        return gradient

    def _run(self, wiring: Wiring, start: DeviceStart, before: DeviceTrials, first: int) -> DeviceTrials:
        last = min(first + self._length, self._trials.host.network.window_steps)
        return self._trials.window(wiring, start, before, first=first, last=last, tape=True)

    def _signals(self, signal: Any, first: int) -> Signals:
        last = min(first + self._length, self._trials.host.network.window_steps)
        rows = signal[first // self._bin_steps : -(-last // self._bin_steps)]
        return spike_signals(rows, self._bin_steps, self._trials.network)

    def _new_counts(self) -> Any:
        return self._trials.network.new_counts(self._trials.host.network.window_steps // self._bin_steps)
