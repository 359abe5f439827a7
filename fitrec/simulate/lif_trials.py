"""Trials of a network of the built-in neurons, on the CPU."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif, philox
from fitrec.kernels.cpu.trial import run_trial
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.constants import network_constants
from fitrec.simulate.inputs import condition_inputs
from fitrec.simulate.record import TrialRecord
from fitrec.simulate.wiring import NetworkWiring
from fitrec.threads import together

F = np.float32


class LifTrials:
    """Runs trials of one network; safe to use from several threads at once."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.constants = network_constants(network)
        self._wiring = NetworkWiring(network)
        self._inputs: dict[int, lif.Inputs] = {}

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
        capacity = self.expected_spikes() if spikes else 0
        while True:
            recorder = lif.Recorder(
                spike_step=np.empty(capacity, np.int32),
                spike_neuron=np.empty(capacity, np.int32),
                spike_count=np.zeros(1, np.int64),
                sample_every=self.sample_every(chunk_steps) if traces else 0,
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

    def sample_every(self, chunk_steps: int) -> int:
        """Return the steps between samples of the static current."""
        return max(1, min(chunk_steps, round(1.0 / self.network.dt_ms)))

    def expected_spikes(self) -> int:
        """Room for the spikes of a trial, 25 Hz on average; a trial with more is run again."""
        net = self.network
        return int(net.n_neurons * (1 + 0.025 * net.window_steps * net.dt_ms))
