"""Turns a Network and its Weights into the kernels' arguments and runs trials."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import NetworkError
from fitrec.kernels.cpu import lif, philox
from fitrec.kernels.cpu.wiring import cut_rows, transpose_rows
from fitrec.kernels.cuda import lif as cuda
from fitrec.kernels.cuda.device import Device
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.batches import BatchRunner
from fitrec.simulate.constants import network_constants
from fitrec.simulate.inputs import condition_inputs
from fitrec.simulate.record import TrialRecord
from fitrec.simulate.threads import thread_map, together

F = np.float32
LEAST_NEURONS_PER_THREAD = 1000  # fewer are updated in less than a microsecond, as long as threads need to meet
Result = TypeVar("Result")


def fixed_point(weight: NDArray[np.float32]) -> NDArray[np.int64]:
    """Weights as integers of 2**-32 charge units."""
    return np.rint(np.asarray(weight, np.float64) * lif.FIXED_ONE).astype(np.int64)


def _runs(
    indptr: NDArray[np.int64], weight: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find runs of equal weight within each row: run_indptr (neuron + 1,), run_end (run,), run_fixed (run,)."""
    starts = np.zeros(len(weight), bool)
    starts[1:] = weight[1:] != weight[:-1]
    starts[indptr[:-1][np.diff(indptr) > 0]] = True
    first = np.flatnonzero(starts)
    return np.searchsorted(first, indptr), np.append(first[1:], len(weight)), fixed_point(weight[first])


class _Partition(NamedTuple):
    """Rows of targets cut at the borders of the parts of the neurons; see lif.Wiring."""

    bounds: NDArray[np.int64]
    static_indptr: NDArray[np.int64]
    plastic_indptr: NDArray[np.int64]
    run_indptr: NDArray[np.int64]
    run_end: NDArray[np.int64]
    run_fixed: NDArray[np.int64]


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
        self._batches = None if device is None else BatchRunner(device, network)
        self.constants = network_constants(network)
        n = network.n_neurons
        index: Any = np.uint16 if n <= 1 << 16 else np.uint32
        self._static_indices = network.static_indices.astype(index)
        self.plastic_indptr = np.zeros(n + 1, np.int64)
        size = network.plastic_pre.size
        rows, self.plastic_slot = np.empty(size, np.int32), np.empty(size, np.int32)
        ascending = np.argsort(network.trained, kind="stable").astype(np.int32)  # so that rows of targets ascend
        transpose_rows(network.plastic_pre[ascending], n, self.plastic_indptr, rows, self.plastic_slot)
        rows = self.plastic_row = ascending[rows]
        self._plastic_post = network.trained[rows].astype(index)
        self._inputs: dict[int, lif.Inputs] = {}
        self._partitions: dict[int, _Partition] = {}

    def wiring(
        self, weights: Weights, condition: int, threads: int = 1, learned: NDArray[np.float32] | None = None
    ) -> lif.Wiring:
        """Kernel form of the projections with the given weights; feed-forward weights are those of the condition.

        Parameters
        ----------
        threads : int
            It is cut for as many threads as are worth their meetings, at most so many, to advance a trial together.
        learned : (trained, >= ff + input) float32, optional
            Weights that may change between steps, feed-forward inputs first: plastic weights are taken from here at each spike
            instead of from `weights`.

        """
        net = self.network
        fixed = np.zeros(0, np.int64)
        if learned is None:
            fixed = fixed_point(weights.plastic[self.plastic_row, self.plastic_slot])
        parts = max(1, min(threads, net.n_neurons // LEAST_NEURONS_PER_THREAD))
        if parts not in self._partitions:
            self._partitions[parts] = self._partition(parts)
        cut = self._partitions[parts]
        return lif.Wiring(
            bounds=cut.bounds,
            static_indptr=cut.static_indptr,
            static_indices=self._static_indices,
            run_indptr=cut.run_indptr,
            run_end=cut.run_end,
            run_fixed=cut.run_fixed,
            plastic_indptr=cut.plastic_indptr,
            plastic_indices=self._plastic_post,
            plastic_fixed=fixed,
            plastic_row=self.plastic_row,
            plastic_slot=self.plastic_slot,
            learned=np.zeros((0, 0), F) if learned is None else learned,
            learned_first=net.n_feed_forward,
            trained=net.trained,
            ff_fixed=np.ascontiguousarray(fixed_point(weights.feed_forward[condition]).T),
        )

    def _partition(self, parts: int) -> "_Partition":
        net = self.network
        bounds = (np.arange(parts + 1) * net.n_neurons // parts) & ~np.int64(63)  # whole cache lines
        bounds[-1] = net.n_neurons
        static_indptr, plastic_indptr = net.static_indptr, self.plastic_indptr
        if parts > 1:
            static_indptr, plastic_indptr = (np.empty(net.n_neurons * parts + 1, np.int64) for _ in range(2))
            row = cut_rows(net.static_indptr, self._static_indices, bounds, static_indptr)
            if row >= 0:
                raise NetworkError(f"the static targets of neuron {row} do not ascend; sort the targets of each neuron")
            cut_rows(self.plastic_indptr, self._plastic_post, bounds, plastic_indptr)
        return _Partition(bounds, static_indptr, plastic_indptr, *_runs(static_indptr, net.static_weight))

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
        wiring = self.wiring(weights, condition)
        if self._batches is None:
            self.inputs(condition)  # once, before the threads ask for it

            def run(trial: int) -> Result:
                return function(
                    self.run_trial(
                        wiring, condition, trial, chunk_steps=chunk_steps, own=own, forced=forced, traces=traces, spikes=spikes
                    )
                )

            return thread_map(run, trials, threads)
        records = self._batches.run(
            self.device_setting(condition, chunk_steps),
            wiring,
            np.fromiter(trials, np.int64),
            chunk_steps=chunk_steps,
            own=own,
            forced=forced,
            sample_every=self._sample_every(chunk_steps) if traces else 0,
            capacity=self._expected_spikes() if spikes else 0,
        )
        return [function(record) for record in records]

    def device_setting(self, condition: int, chunk_steps: int) -> cuda.Setting:
        """Say what trials of a condition on the device have in common, for chunks of up to `chunk_steps`; needs a device."""
        assert self._batches is not None
        power = self.trace_power(max(chunk_steps, self.network.window_start_step))
        return self._batches.setting(self.constants, condition, power)

    def device_wiring(self, weights: Weights, condition: int) -> cuda.Wiring:
        """Projections with the given weights on the device; needs a device."""
        assert self._batches is not None
        return self._batches.upload(self.wiring(weights, condition))

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
            lif.run_trial(
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
