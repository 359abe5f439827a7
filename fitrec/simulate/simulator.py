"""Turns a Network and its Weights into the kernels' arguments and runs trials."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif, philox
from fitrec.kernels.cpu.trial import run_trial
from fitrec.kernels.cuda import lif as cuda
from fitrec.kernels.cuda.device import Device
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.batches import BatchRunner, Options
from fitrec.simulate.constants import network_constants
from fitrec.simulate.device_trials import DeviceModelTrials
from fitrec.simulate.inputs import condition_inputs
from fitrec.simulate.model_trials import ModelTrials
from fitrec.simulate.record import TrialRecord
from fitrec.simulate.wiring import NetworkWiring
from fitrec.threads import thread_map, together

F = np.float32
Result = TypeVar("Result")


class Simulator:
    """Runs trials of one network. On the CPU it is safe to use from several threads at once.

    Parameters
    ----------
    network : Network
    device : Device, optional
        Where `map_trials` runs; the CPU without it. The results are the same, bit for bit.

    """

    def __init__(self, network: Network, device: Device | None = None) -> None:
        self.network, self.device = network, device
        self.constants = network_constants(network)
        self._wiring = NetworkWiring(network)
        self._batches = None if device is None or network.model is not None else BatchRunner(device, network, self._wiring)
        self._inputs: dict[int, lif.Inputs] = {}
        self._model = None if network.model is None else ModelTrials(network)
        self._trained: ModelTrials | None = None
        self._trained_names: tuple[str, ...] = ()
        self._device_model: DeviceModelTrials | None = None

    def sums_on_device(self, weights: Weights) -> bool:
        """Whether `device_batches` can leave the records on a device: of the built-in neurons, as they are."""
        return self._batches is not None and not weights.parameter_names

    def wiring(
        self, weights: Weights, condition: int, threads: int = 1, learned: NDArray[np.float32] | None = None
    ) -> lif.Wiring:
        """Kernel form of the projections with the given weights; see `NetworkWiring.wiring`."""
        return self._wiring.wiring(weights, condition, threads, learned)

    def initial_state(self, condition: int, trial: int) -> lif.State:
        """Random voltages ~ N(reset, (threshold - reset)^2), everything else zero (rls.md 1.1)."""
        net = self.network
        state = lif.new_state(net.n_neurons, net.n_feed_forward)
        philox.fill_normal(state.v, trial, condition, 0, net.seed, philox.INITIAL_VOLTAGE)
        for neuron, part in ((net.exc_neuron, slice(0, net.n_exc)), (net.inh_neuron, slice(net.n_exc, None))):
            state.v[part] = state.v[part] * F(neuron.threshold - neuron.reset) + F(neuron.reset)
        return state

    def trace_power(self, n_steps: int) -> NDArray[np.float32]:
        """``decay^k / tau`` for k = 0..n_steps: what a spike k steps ago contributes to its trace (1/ms)."""
        c = self.constants
        return (np.float64(c.decay_p) ** np.arange(n_steps + 1) * np.float64(c.charge_p)).astype(F)

    def inputs(self, condition: int) -> lif.Inputs:
        """Stimulus and feed-forward rates of a condition in kernel form, made when first asked for."""
        if condition not in self._inputs:
            self._inputs[condition] = condition_inputs(self.network, condition)
        return self._inputs[condition]

    def advance(
        self,
        wiring: lif.Wiring,
        state: lif.State,
        condition: int,
        drive: NDArray[np.float32],
        step: int,
        n_steps: int,
        *,
        trial: int,
        power: NDArray[np.float32],
        counts: NDArray[np.uint16],
        phase_ns: NDArray[np.int64] | None = None,
    ) -> None:
        """Advance a trial in closed loop by n_steps from absolute step `step`, on as many threads as `wiring` was cut for.

        Parameters
        ----------
        power : float32
            ``trace_power`` of at least n_steps.
        counts : (neuron,) uint16
            Advanced by each neuron's spikes.
        phase_ns : (part, phase) int64, optional
            Advanced by the time each thread spent in each of ``lif.PHASES``.

        """
        recorder = lif.Recorder(np.empty(0, np.int32), np.empty(0, np.int32), np.zeros(1, np.int64), 0, np.zeros(0, F))
        parts = len(wiring.bounds) - 1
        team = lif.new_team(len(drive), parts, np.zeros((0, 0), np.int64) if phase_ns is None else phase_ns)

        def run(part: int) -> None:
            lif.advance(
                self.constants,
                wiring,
                state,
                self.inputs(condition),
                drive,
                F(1),
                step,
                n_steps,
                trial,
                condition,
                power,
                recorder,
                counts,
                team,
                part,
            )

        together(run, parts)

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
            sample_every=self._sample_every(chunk_steps) if traces else 0,
            capacity=self._expected_spikes() if spikes else 0,
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

    def _sample_every(self, chunk_steps: int) -> int:
        """Return the steps between samples of the static current."""
        return max(1, min(chunk_steps, round(1.0 / self.network.dt_ms)))

    def _expected_spikes(self) -> int:
        """Room for the spikes of a trial, 25 Hz on average; a trial with more is run again."""
        net = self.network
        return int(net.n_neurons * (1 + 0.025 * net.window_steps * net.dt_ms))

    def run_trial(
        self,
        wiring: lif.Wiring,
        condition: int,
        trial: int,
        *,
        chunk_steps: int,
        own: float = 1.0,
        forced: NDArray[np.float32] | None = None,
        traces: bool = False,
        spikes: bool = False,
    ) -> TrialRecord:
        """Run one trial with frozen weights.

        Parameters
        ----------
        chunk_steps : int
            Steps per chunk of the window, the resolution of all that is recorded.
        own : float
            Weight of each neuron's own plastic current: 1 - teacher forcing.
        forced : (chunk, trained) float32, optional
            Drive added to the trained neurons during each chunk: teacher forcing x target.
        traces, spikes : bool
            Record presynaptic traces and static currents; record spike times.

        """
        net = self.network
        n, n_ff = net.n_neurons, net.n_feed_forward
        chunks = net.window_steps // chunk_steps
        counts = np.zeros((chunks, n), np.uint16)
        rows = chunks if traces else 0
        trace, ff_trace, current = np.zeros((rows, n), F), np.zeros((rows, n_ff), F), np.zeros((rows, n), F)
        power = self.trace_power(max(chunk_steps, net.window_start_step))
        capacity = self._expected_spikes() if spikes else 0
        while True:
            recorder = lif.Recorder(
                spike_step=np.empty(capacity, np.int32),
                spike_neuron=np.empty(capacity, np.int32),
                spike_count=np.zeros(1, np.int64),
                sample_every=self._sample_every(chunk_steps) if traces else 0,
                sample_sum=np.zeros(n, F),
            )
            run_trial(
                self.constants,
                wiring,
                self.initial_state(condition, trial),
                self.inputs(condition),
                net.drive,
                F(own),
                np.zeros((0, len(net.trained)), F) if forced is None else forced,
                net.window_start_step,
                chunk_steps,
                trial,
                condition,
                power,
                recorder,
                counts,
                trace,
                ff_trace,
                current,
            )
            n_spikes = int(recorder.spike_count[0])
            if not spikes or n_spikes <= capacity:
                break
            capacity = n_spikes  # the trial is reproducible, so the second run fits exactly
            counts[:] = 0
        kept = n_spikes if spikes else 0
        return TrialRecord(
            counts=counts,
            traces=trace,
            ff_traces=ff_trace,
            static_current=current,
            spike_step=recorder.spike_step[:kept] - np.int32(net.window_start_step),
            spike_neuron=recorder.spike_neuron[:kept],
        )
