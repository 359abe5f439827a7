"""Batches of trials of a Network on a device, by the kernels compiled from its neurons' equations; twin of `model_trials`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.model_state import Events
from fitrec.kernels.cuda.device import Device, require_memory
from fitrec.kernels.cuda.model import Wiring
from fitrec.networks.weights import Weights
from fitrec.simulate.device_network import DeviceModelNetwork, DeviceTrials
from fitrec.simulate.model_network import Recording
from fitrec.simulate.model_trials import ModelTrials
from fitrec.simulate.record import TrialRecord

Item = TypeVar("Item")

SHARE = 0.8  # of the free memory; the rest is for what the allocator loses
_REMEDY = "take fewer neurons or synapses, or shorter windows (train.gradient.window_ms)"


@dataclass(frozen=True, kw_only=True)
class DeviceStart:
    """Trials of a condition at the beginning of their windows of interest."""

    condition: int
    trials: Sequence[int]
    inputs: Sequence[Events]
    before: DeviceTrials

    def begin(self) -> DeviceTrials:
        """Return what the trials go on from; it is used up, so everyone gets their own."""
        return self.before.copied()


class DeviceModelTrials:
    """Runs trials of a network on a device, with the bits of `ModelTrials`.

    Parameters
    ----------
    trials : ModelTrials
        The same on the CPU.

    """

    def __init__(self, device: Device, trials: ModelTrials) -> None:
        self.host, self.network = trials, DeviceModelNetwork(device, trials.model_network)
        self._device = device

    def batches(self, trials: Sequence[int], further_bytes: int, n_steps: int, *, tapes: int = 0) -> Iterator[Sequence[int]]:
        """Cut trials into batches that fit into the device's memory.

        Parameters
        ----------
        further_bytes : int
            That each trial needs beside its state, its spikes, and so many `tapes` of `n_steps`.

        Raises
        ------
        DeviceError
            If not even one trial fits.

        """
        net = self.host.network
        whole = self.network.trial_bytes(max(net.window_steps, net.window_start_step), tape=False)
        one = whole + further_bytes + tapes * self.network.trial_bytes(n_steps, tape=True)
        return batches(self._device, trials, one, _REMEDY)

    def start(self, wiring: Wiring, condition: int, trials: Sequence[int]) -> DeviceStart:
        """Run trials up to their windows."""
        inputs = [self.host.inputs(condition, trial) for trial in trials]
        state, part = self.network.rest([self.host.initial(condition, trial) for trial in trials]), None
        for first, last, current in self.host.parts_before_window(condition):
            part = self._run(wiring, inputs, condition, trials, first, last, part, current, Recording(), state)
        if part is None:
            part = self.network.nothing_yet(state)
        return DeviceStart(condition=condition, trials=trials, inputs=inputs, before=part)

    def window(
        self,
        wiring: Wiring,
        start: DeviceStart,
        before: DeviceTrials,
        *,
        first: int = 0,
        last: int | None = None,
        tape: bool = False,
        rows: tuple[str, ...] = (),
    ) -> DeviceTrials:
        """Start running steps `first` to `last` of the trials' windows, of all of them by default; `before` is used up.

        The states named in `rows` are recorded at the end.
        """
        net = self.host.network
        begin, end = net.window_start_step + first, net.window_start_step + (net.window_steps if last is None else last)
        recording = Recording(tape=tape, rows=rows, every=end - begin)
        return self._run(
            wiring, start.inputs, start.condition, start.trials, begin, end, before, self.host.constant, recording, None
        )

    def records(
        self, weights: Weights, condition: int, trials: Sequence[int], *, chunk_steps: int, spikes: bool = False
    ) -> Iterator[TrialRecord]:
        """Run trials with frozen weights; see `ModelTrials.record`."""
        wiring = self.network.wiring(self.host.flat_weights(weights, condition))
        none = np.zeros((0, 0), np.float32)
        for some in self.batches(trials, 0, 0):
            start = self.start(wiring, condition, some)
            run = self.window(wiring, start, start.before)
            for b in range(len(some)):
                step, neuron = self.network.spikes(run, b) if spikes else (np.zeros(0, np.int32),) * 2
                yield TrialRecord(
                    counts=self.network.counts(run, chunk_steps, b).astype(np.uint16),
                    traces=none,
                    ff_traces=none,
                    static_current=none,
                    spike_step=step,
                    spike_neuron=neuron,
                )

    def _run(
        self,
        wiring: Wiring,
        inputs: Sequence[Events],
        condition: int,
        trials: Sequence[int],
        first: int,
        last: int,
        before: DeviceTrials | None,
        current: NDArray[np.float32],
        recording: Recording,
        state: Any,
    ) -> DeviceTrials:
        return self.network.run(
            wiring,
            [Events(given.indptr[first : last + 1], given.source) for given in inputs],
            recording=recording,
            trials=trials,
            current=current,
            state=state if before is None else None,
            before=before,
            first_step=first,
            condition=condition,
        )


def batches(device: Device, trials: Sequence[Item], trial_bytes: int, remedy: str) -> Iterator[Sequence[Item]]:
    """Cut trials, each of which needs so much memory, into batches that fit into that of the device.

    Raises
    ------
    DeviceError
        If not even one trial fits; the sentence says what to do, the `remedy`.

    """
    require_memory(device, int(trial_bytes / SHARE), "one trial of this network", remedy)
    size = max(1, int(SHARE * device.free_bytes()) // trial_bytes)
    for first in range(0, len(trials), size):
        yield trials[first : first + size]
