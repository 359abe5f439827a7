"""The time loop against its reference in float64."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.record import TrialRecord
from fitrec.simulate.simulator import Simulator
from tests.small_network import ReferenceRun, advance, random_weights, reference_run, small_network

CHUNK = 100

CASES: dict[str, dict[str, Any]] = {
    "balanced": {"stimulus_sd": 0.0, "n_trained": 0},
    "noise": {"sigma": 0.5, "n_trained": 0},
    "plastic and stimulus": {},
    "everything": {"sigma": 0.3, "n_ff": 9, "refractory_steps": 7},
    "I neurons of their own": {"sigma": 0.3, "inh": [6.0, 0.8, -0.2, 0.1, 4]},
    "everything, exact": {"sigma": 0.3, "n_ff": 9, "integration": "exact", "dt_ms": 0.2, "threshold": 1.2, "reset": -0.3},
}


def compare(network: Network, record: TrialRecord, expected: ReferenceRun) -> None:
    start = network.window_start_step
    steps, neurons = np.nonzero(expected.spikes[start:])
    np.testing.assert_array_equal(record.spike_step, steps)
    np.testing.assert_array_equal(record.spike_neuron, neurons)
    # A learning step comes before the update of the step it stands at: it sees the traces of the step before, and these hold the
    # spikes up to one step before that.
    ends = start + CHUNK * np.arange(1, len(record.counts) + 1) - 1
    np.testing.assert_allclose(record.traces, expected.trace[ends], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(record.ff_traces, expected.ff_trace[ends], rtol=1e-5, atol=1e-9)
    samples = np.arange(len(expected.spikes)) % round(1 / network.dt_ms) == 0
    for chunk, counts in enumerate(record.counts):
        span = slice(start + chunk * CHUNK, start + (chunk + 1) * CHUNK)
        np.testing.assert_array_equal(counts, expected.spikes[span].sum(axis=0))
        current = expected.u_static[span][samples[span]].mean(axis=0)
        np.testing.assert_allclose(record.static_current[chunk], current, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("condition", [0, 1])
def test_equals_the_reference(case: str, condition: int) -> None:
    network = small_network(**CASES[case])
    simulator, weights = Simulator(network), random_weights(network)
    record = simulator.run_trial(simulator.wiring(weights, condition), condition, 3, chunk_steps=CHUNK, traces=True, spikes=True)
    expected = reference_run(simulator, weights, condition, 3, network.window_start_step + len(record.counts) * CHUNK)
    assert len(record.spike_step) > 40
    compare(network, record, expected)


def test_teacher_forcing_equals_the_reference() -> None:
    network = small_network(n_ff=9, sigma=0.3)
    simulator, weights = Simulator(network), random_weights(network)
    forced = np.random.default_rng(1).normal(0.5, 1.0, (6, len(network.trained))).astype(np.float32)
    wiring = simulator.wiring(weights, 1)
    record = simulator.run_trial(wiring, 1, 8, chunk_steps=CHUNK, own=0.25, forced=forced, traces=True, spikes=True)
    n_steps = network.window_start_step + 6 * CHUNK
    compare(network, record, reference_run(simulator, weights, 1, 8, n_steps, 0.25, forced, CHUNK))


def without_spikes(integration: str, dt_ms: float, **changes: Any) -> tuple[Simulator, Weights]:
    fields: dict[str, Any] = {"threshold": 1e9, "integration": integration, "dt_ms": dt_ms, "n_conditions": 1, "stimulus_sd": 0.0}
    network = small_network(4, 4, 0, n_trained=2, plastic=(1, 1), settle_ms=0.0, stimulus_ms=0.0, **{**fields, **changes})
    return Simulator(network), random_weights(network)


def subthreshold(simulator: Simulator, weights: Weights, n_steps: int) -> NDArray[np.float32]:
    """Voltages after n_steps of 1 ms chunks, from v = 0.2, both currents 1.5 and -0.7 and a constant drive of 0.4."""
    network = simulator.network
    state = simulator.initial_state(0, 0)
    state.v[:] = 0.2
    # The buffers hold what arrives at the beginning of the first step.
    state.in_static[:] = round(1.5 * network.tau_static_ms * lif.FIXED_ONE)
    state.in_plastic[:] = round(-0.7 * network.tau_plastic_ms * lif.FIXED_ONE)
    counts = advance(simulator, weights, state, n_steps, drive=np.full(network.n_neurons, 0.4, np.float32))
    assert counts.sum() == 0
    return state.v


def analytic(t_ms: float, tau_m: float, tau_s: float, tau_p: float) -> float:
    """Solution of tau_m v' = -v + 0.4 + u_s + u_p with exponentially decaying currents."""

    def response(tau: float) -> float:
        if tau == tau_m:
            return float(t_ms / tau * np.exp(-t_ms / tau))
        return float(tau / (tau_m - tau) * (np.exp(-t_ms / tau_m) - np.exp(-t_ms / tau)))

    decay = np.exp(-t_ms / tau_m)
    return float(0.2 * decay + 0.4 * (1 - decay) + 1.5 * response(tau_s) - 0.7 * response(tau_p))


@pytest.mark.parametrize("dt_ms", [0.1, 1.0])
@pytest.mark.parametrize("t_ms", [1, 5, 30])
@pytest.mark.parametrize("tau_static_ms", [3.0, 10.0])
def test_exact_integration_is_exact(dt_ms: float, t_ms: int, tau_static_ms: float) -> None:
    simulator, weights = without_spikes("exact", dt_ms, tau_static_ms=tau_static_ms)
    v = subthreshold(simulator, weights, round(t_ms / dt_ms))
    np.testing.assert_allclose(v, analytic(t_ms, 10.0, tau_static_ms, 150.0), atol=2e-6)


def test_euler_integration_is_of_first_order() -> None:
    def error(dt_ms: float) -> float:
        simulator, weights = without_spikes("euler", dt_ms)
        return abs(float(subthreshold(simulator, weights, round(5 / dt_ms))[0]) - analytic(5.0, 10.0, 3.0, 150.0))

    assert error(0.1) > 1e-3
    assert error(1.0) / error(0.1) == pytest.approx(10.0, rel=0.2)


def test_euler_factors_are_the_published_ones() -> None:
    simulator, _ = without_spikes("euler", 0.1, sigma=0.65)
    c = simulator.constants
    assert [c.exc.decay_v, c.exc.gain_x, c.exc.gain_s, c.exc.gain_p] == pytest.approx([0.99, 0.01, 0.01, 0.01], rel=1e-7)
    assert [c.decay_s, c.charge_s, c.decay_p, c.charge_p] == pytest.approx([1 - 0.1 / 3, 1 / 3, 1 - 0.1 / 150, 1 / 150], rel=1e-7)
    assert c.exc.noise == pytest.approx(0.65 * 0.1, rel=1e-7)


@pytest.mark.parametrize("refractory_steps", [0, 1, 5, 20])
def test_refractory_steps_are_counted_exactly(refractory_steps: int) -> None:
    n = 3
    drive = np.full(2 * n, 1e4, np.float32)  # above threshold after every single update
    network = small_network(
        n, n, 0, n_trained=0, settle_ms=0.0, stimulus_ms=0.0, stimulus_sd=0.0, drive=drive, refractory_steps=refractory_steps
    )
    simulator = Simulator(network)
    record = simulator.run_trial(simulator.wiring(random_weights(network), 0), 0, 0, chunk_steps=100, spikes=True)
    for neuron in range(2 * n):
        steps = record.spike_step[record.spike_neuron == neuron]
        np.testing.assert_array_equal(steps, np.arange(0, 600, refractory_steps + 1))


def test_threshold_is_strict() -> None:
    network = small_network(
        2,
        2,
        0,
        n_trained=0,
        settle_ms=0.0,
        stimulus_ms=0.0,
        stimulus_sd=0.0,
        integration="euler",
        tau_m_ms=0.1,
        drive=np.array([1.0, np.nextafter(np.float32(1), np.float32(2)), 0.0, 2.0], np.float32),
    )
    simulator = Simulator(network)  # tau_m = dt: the voltage is the drive
    record = simulator.run_trial(simulator.wiring(random_weights(network), 0), 0, 0, chunk_steps=10)
    assert (record.counts[0] > 0).tolist() == [False, True, False, True]
