"""Turns a Network and its Weights into the kernels' arguments and runs trials."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import NetworkError
from fitrec.kernels.cpu import lif, philox
from fitrec.kernels.cpu.wiring import cut_rows, transpose_rows
from fitrec.networks.network import LifNeuron, Network
from fitrec.networks.weights import Weights
from fitrec.simulate.threads import together

F = np.float32
LEAST_NEURONS_PER_THREAD = 1000  # fewer are updated in less than a microsecond, as long as threads need to meet


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


def lif_constants(
    *,
    dt_ms: float,
    integration: str,
    tau_m_ms: float,
    tau_static_ms: float,
    tau_plastic_ms: float,
    threshold: float,
    reset: float,
    sigma: float,
    refractory_steps: int,
    seed: int,
) -> lif.Constants:
    """Factors of the linear update, computed once in float64, the same for all neurons.

    ``euler``: forward Euler in the order of TrainSpikingNet (rls.md 1.1). ``exact``: the propagator of the linear system with the
    inputs of a step arriving at its beginning (Rotter & Diesmann 1999).
    """
    if integration == "euler":
        decay_v, gain_x = 1.0 - dt_ms / tau_m_ms, dt_ms / tau_m_ms
        gain_s = gain_p = gain_x
        decay_s, decay_p = 1.0 - dt_ms / tau_static_ms, 1.0 - dt_ms / tau_plastic_ms
    else:
        decay_v, decay_s, decay_p = (float(np.exp(-dt_ms / tau)) for tau in (tau_m_ms, tau_static_ms, tau_plastic_ms))
        gain_x = 1.0 - decay_v
        gain_s, gain_p = (_current_gain(dt_ms, tau_m_ms, tau) for tau in (tau_static_ms, tau_plastic_ms))
    membrane = lif.Membrane(
        decay_v=F(decay_v),
        gain_x=F(gain_x),
        gain_s=F(gain_s),
        gain_p=F(gain_p),
        threshold=F(threshold),
        reset=F(reset),
        noise=F(sigma * np.sqrt(dt_ms / tau_m_ms)),
        refractory_steps=np.int32(refractory_steps),
    )
    return lif.Constants(
        exc=membrane,
        inh=membrane,
        n_exc=np.int64(0),
        decay_s=F(decay_s),
        charge_s=F(1.0 / tau_static_ms),
        decay_p=F(decay_p),
        charge_p=F(1.0 / tau_plastic_ms),
        seed=np.int64(seed),
    )


def _network_constants(network: Network) -> lif.Constants:
    def constants(neuron: LifNeuron) -> lif.Constants:
        return lif_constants(
            dt_ms=network.dt_ms,
            integration=network.integration,
            tau_static_ms=network.tau_static_ms,
            tau_plastic_ms=network.tau_plastic_ms,
            seed=network.seed,
            **neuron._asdict(),
        )

    return constants(network.exc_neuron)._replace(inh=constants(network.inh_neuron).inh, n_exc=np.int64(network.n_exc))


def _current_gain(dt_ms: float, tau_m_ms: float, tau_s_ms: float) -> float:
    """Change of the voltage within a step by a unit current that decays with tau_s from the step's beginning."""
    if abs(tau_m_ms - tau_s_ms) < 1e-9 * tau_m_ms:
        return float(dt_ms / tau_m_ms * np.exp(-dt_ms / tau_m_ms))
    return float(tau_s_ms / (tau_m_ms - tau_s_ms) * (np.exp(-dt_ms / tau_m_ms) - np.exp(-dt_ms / tau_s_ms)))


class _Partition(NamedTuple):
    """Rows of targets cut at the borders of the parts of the neurons; see lif.Wiring."""

    bounds: NDArray[np.int64]
    static_indptr: NDArray[np.int64]
    plastic_indptr: NDArray[np.int64]
    run_indptr: NDArray[np.int64]
    run_end: NDArray[np.int64]
    run_fixed: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One simulated trial: counts and traces per chunk of the window.

    Attributes
    ----------
    counts : (chunk, neuron) uint16
    traces : (chunk, neuron) float32
        Presynaptic traces (1/ms) a learning step at the end of each chunk sees.
    ff_traces : (chunk, ff) float32
    static_current : (chunk, neuron) float32
        Mean static current of each chunk (threshold units).
    spike_step, spike_neuron : (spike,) int32
        Spikes in the window, steps counted from its start; empty unless asked for.

    """

    counts: NDArray[np.uint16]
    traces: NDArray[np.float32]
    ff_traces: NDArray[np.float32]
    static_current: NDArray[np.float32]
    spike_step: NDArray[np.int32]
    spike_neuron: NDArray[np.int32]


class Simulator:
    """Runs trials of one network. Safe to use from several threads at once."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.constants = _network_constants(network)
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
        self._inputs = [self._condition_inputs(c) for c in range(network.n_conditions)]
        self._partitions: dict[int, _Partition] = {}

    def _condition_inputs(self, condition: int) -> lif.Inputs:
        net = self.network
        steps = net.window_start_step - net.stimulus_start_step
        stimulus = np.zeros((steps if net.stimulus_sd > 0 else 0, net.n_neurons), F)
        if len(stimulus):
            decay = np.exp(-net.dt_ms / net.stimulus_tau_ms)
            noise = net.stimulus_sd * np.sqrt(1.0 - decay**2)
            start = np.zeros(net.n_neurons, F)  # the published process starts at its mean, 0
            philox.ornstein_uhlenbeck(stimulus, start, F(decay), F(noise), F(0), condition, 0, net.seed, philox.STIMULUS)
        return lif.Inputs(
            stimulus=stimulus,
            stimulus_start=net.stimulus_start_step,
            ff_probability=(net.ff_rate_hz[condition] * F(net.dt_ms * 1e-3)).astype(F),
            window_start=net.window_start_step,
            steps_per_ms=round(1.0 / net.dt_ms),
        )

    def wiring(self, weights: Weights, condition: int, threads: int = 1) -> lif.Wiring:
        """Kernel form of the projections with the given weights; feed-forward weights are those of the condition.

        It is cut for as many threads as are worth their meetings, at most `threads`, to advance a trial together.
        """
        net = self.network
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
            plastic_fixed=fixed_point(weights.plastic[self.plastic_row, self.plastic_slot]),
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
        """Stimulus and feed-forward rates of a condition in kernel form."""
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
                self._inputs[condition],
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
        # Room for 25 Hz on average; a trial with more spikes is run again.
        capacity = int(n * (1 + 0.025 * net.window_steps * net.dt_ms)) if spikes else 0
        while True:
            recorder = lif.Recorder(
                spike_step=np.empty(capacity, np.int32),
                spike_neuron=np.empty(capacity, np.int32),
                spike_count=np.zeros(1, np.int64),
                sample_every=max(1, min(chunk_steps, round(1.0 / net.dt_ms))) if traces else 0,
                sample_sum=np.zeros(n, F),
            )
            lif.run_trial(
                self.constants,
                wiring,
                self.initial_state(condition, trial),
                self._inputs[condition],
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
