"""Runs trials of a Network with its Weights wherever they run: on the CPU or a device, of built-in or compiled neurons."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda import lif as cuda
from fitrec.kernels.cuda.device import Device
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.batches import BatchRunner, Options
from fitrec.simulate.device_trials import DeviceModelTrials
from fitrec.simulate.lif_trials import LifTrials
from fitrec.simulate.model_trials import ModelTrials
from fitrec.simulate.record import TrialRecord
from fitrec.threads import thread_map

Result = TypeVar("Result")


class Simulator(LifTrials):
    """Runs trials of one network. On the CPU it is safe to use from several threads at once.

    Parameters
    ----------
    network : Network
    device : Device, optional
        Where `map_trials` runs; the CPU without it. The results are the same, bit for bit.

    """

    def __init__(self, network: Network, device: Device | None = None) -> None:
        super().__init__(network)
        self.device = device
        self._batches = None if device is None or network.model is not None else BatchRunner(device, network, self._wiring)
        self._model = None if network.model is None else ModelTrials(network)
        self._trained: ModelTrials | None = None
        self._trained_names: tuple[str, ...] = ()
        self._device_model: DeviceModelTrials | None = None

    def sums_on_device(self, weights: Weights) -> bool:
        """Whether `device_batches` can leave the records on a device: of the built-in neurons, as they are."""
        return self._batches is not None and not weights.parameter_names

    def map_trials(
        self,
        function: Callable[[TrialRecord], Result],
        weights: Weights,
        condition: int,
        trials: Iterable[int],
        *,
        chunk_steps: int,
        own: float = 1.0,
        forced: NDArray[np.float32] | None = None,
        traces: bool = False,
        spikes: bool = False,
        threads: int | None = None,
    ) -> list[Result]:
        """Run trials of a condition with frozen weights and apply a function to the record of each, in their order.

        Parameters are those of `run_trial`. `function` is applied as the records come, so that they need not be kept.

        Raises
        ------
        DeviceError
            If the device has too little memory for a trial.

        """
        model = self._model_of(weights)
        if model is not None and self.device is not None:
            if self._device_model is None or self._device_model.host is not model:
                self._device_model = DeviceModelTrials(self.device, model)
            records = self._device_model.records(weights, condition, [*trials], chunk_steps=chunk_steps, spikes=spikes)
            return [function(record) for record in records]
        if model is not None:
            return thread_map(
                lambda trial: function(model.record(weights, condition, trial, chunk_steps=chunk_steps, spikes=spikes)),
                trials,
                threads,
            )
        if self._batches is None:
            wiring = self.wiring(weights, condition)
            self.inputs(condition)  # once, before the threads ask for it

            def run(trial: int) -> Result:
                return function(
                    self.run_trial(
                        wiring, condition, trial, chunk_steps=chunk_steps, own=own, forced=forced, traces=traces, spikes=spikes
                    )
                )

            return thread_map(run, trials, threads)
        options = self._options(chunk_steps, own, forced, traces=traces, spikes=spikes)
        setting = self.device_setting(condition, chunk_steps)
        on_device = self._batches.wiring(weights, condition)
        return [function(record) for record in self._batches.run(setting, on_device, np.fromiter(trials, np.int64), options)]

    def _model_of(self, weights: Weights) -> ModelTrials | None:
        """Compiled neurons, where the network has a model of its own or parameters were trained; None for the kernels above."""
        names = tuple(weights.parameter_names or ())
        if names:
            if names != self._trained_names:
                self._trained, self._trained_names = ModelTrials(self.network, per_neuron=names), names
            assert self._trained is not None
            self._trained.adopt(weights)
            return self._trained
        return self._model

    def device_batches(
        self,
        weights: Weights,
        condition: int,
        trials: Iterable[int],
        *,
        chunk_steps: int,
        own: float = 1.0,
        forced: Any = None,
        traces: bool = False,
    ) -> Iterator[cuda.Output]:
        """Run trials as `map_trials` does, but leave what they record on the device, where `forced` is too, batch by batch."""
        assert self._batches is not None
        return self._batches.batches(
            self.device_setting(condition, chunk_steps),
            self._batches.wiring(weights, condition),
            np.fromiter(trials, np.int64),
            self._options(chunk_steps, own, forced, traces=traces, spikes=False),
        )

    def _options(self, chunk_steps: int, own: float, forced: Any, *, traces: bool, spikes: bool) -> Options:
        return Options(
            chunk_steps=chunk_steps,
            own=own,
            forced=forced,
            sample_every=self.sample_every(chunk_steps) if traces else 0,
            capacity=self.expected_spikes() if spikes else 0,
        )

    def device_setting(self, condition: int, chunk_steps: int) -> cuda.Setting:
        """Say what trials of a condition on the device have in common, for chunks of up to `chunk_steps`; needs a device."""
        assert self._batches is not None
        power = self.trace_power(max(chunk_steps, self.network.window_start_step))
        return self._batches.setting(self.constants, condition, power)

    def device_batch(self, wiring: cuda.Wiring, condition: int, chunk_steps: int, trials: NDArray[np.int64]) -> cuda.Batch:
        """Trials of a condition on the device at their initial voltages, to be advanced by the caller; needs a device."""
        assert self.device is not None
        return cuda.Batch(self.device, self.device_setting(condition, chunk_steps), wiring, trials)

    def device_wiring(self, weights: Weights, condition: int) -> cuda.Wiring:
        """Projections with the given weights on the device, where they stay; needs a device."""
        assert self._batches is not None
        return self._batches.wiring(weights, condition)

    def device_wiring_of(self, learned: Any) -> cuda.Wiring:
        """Projections with the weights of a learner, (trained, ff + input) float32 on the device; needs one."""
        assert self._batches is not None
        return self._batches.take(learned)

    def device_weights_are(self, learned: Any, plastic: NDArray[np.float32]) -> None:
        """Spare the copy of plastic weights to the device that came from this learner there."""
        assert self._batches is not None
        self._batches.same(learned, plastic)
