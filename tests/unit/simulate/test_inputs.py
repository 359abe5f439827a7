"""Stimulus and feed-forward inputs: when they act, and how they are distributed."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator
from tests.small_network import advance, random_weights, small_network


def silent(**changes: Any) -> Simulator:
    """Return neurons that never fire and have no other input."""
    n = changes.get("n_exc", 40) + changes.get("n_inh", 40)
    fields = {"k": 0, "n_trained": 0, "threshold": 1e9, "drive": np.zeros(n, np.float32)}
    return Simulator(small_network(**{**fields, **changes}))


def voltages(simulator: Simulator, n_steps: int) -> NDArray[np.float32]:
    """Voltages after each step of condition 0, starting from 0.3."""
    state, weights = simulator.initial_state(0, 0), random_weights(simulator.network)
    state.v[:] = 0.3
    rows = []
    for step in range(n_steps):
        advance(simulator, weights, state, 1, step=step)
        rows.append(state.v.copy())
    return np.array(rows)


def test_the_stimulus_acts_between_settling_and_window_only() -> None:
    simulator = silent()
    v = voltages(simulator, 300).astype(np.float64)
    added = v[1:] - 0.99 * v[:-1]  # by steps 1, 2, ...
    expected = np.zeros((299, 80))
    expected[99:199] = 0.01 * simulator.inputs(0).stimulus  # steps 100 to 199
    assert np.abs(expected[99:199]).max() > 1e-3
    np.testing.assert_allclose(added, expected, atol=1e-6)


def test_stimulus_statistics() -> None:
    """It starts from zero and approaches its stationary distribution with its correlation time."""
    simulator = silent(n_exc=2000, n_inh=2000, stimulus_ms=100.0, stimulus_sd=0.7, stimulus_tau_ms=15.0)
    stimulus = simulator.inputs(0).stimulus
    assert stimulus.shape == (1000, 4000)
    assert np.abs(stimulus[0]).max() < 0.5
    assert stimulus[600:].std() == pytest.approx(0.7, rel=0.02)
    assert stimulus[149].std() == pytest.approx(0.7 * np.sqrt(1 - np.exp(-2)), rel=0.04)
    assert np.corrcoef(stimulus[800], stimulus[950])[0, 1] == pytest.approx(np.exp(-1), abs=0.06)
    other = simulator.inputs(1).stimulus
    assert abs(np.corrcoef(stimulus[900], other[900])[0, 1]) < 0.06


def test_no_stimulus_without_amplitude_or_duration() -> None:
    assert silent(stimulus_sd=0.0).inputs(0).stimulus.shape == (0, 80)
    assert silent(stimulus_ms=0.0).inputs(0).stimulus.shape == (0, 80)


def test_feed_forward_inputs_follow_their_rates_from_the_windows_start_on() -> None:
    """At 1 / dt an input fires in every step, at 0 in none."""
    rate = np.zeros((2, 60, 3), np.float32)
    rate[:, :, 0] = 10_000.0
    rate[:, 20:25, 1] = 10_000.0
    simulator = silent(n_ff=3, ff_rate_hz=rate)
    record = simulator.run_trial(simulator.wiring(random_weights(simulator.network), 0), 0, 0, chunk_steps=100, traces=True)
    d, c = np.float64(simulator.constants.decay_p), np.float64(simulator.constants.charge_p)
    for chunk, trace in enumerate(record.ff_traces):
        last = 100 * (chunk + 1) - 2  # the last spike that a learning step at the chunk's end sees
        always = c * (d ** (last - np.arange(0, last + 1))).sum()
        burst = np.arange(200, min(last + 1, 250))
        np.testing.assert_allclose(trace, [always, c * (d ** (last - burst)).sum(), 0.0], rtol=2e-5)


def test_feed_forward_inputs_may_begin_before_the_window() -> None:
    """With a lead the first chunk's trace holds the spikes before the window too, and rates count from the lead's beginning."""
    rate = np.zeros((2, 65, 2), np.float32)
    rate[:, :, 0] = 10_000.0
    rate[:, 5:, 1] = 10_000.0
    simulator = silent(n_ff=2, ff_rate_hz=rate, ff_lead_steps=50)
    record = simulator.run_trial(simulator.wiring(random_weights(simulator.network), 0), 0, 0, chunk_steps=100, traces=True)
    d, c = np.float64(simulator.constants.decay_p), np.float64(simulator.constants.charge_p)
    led, from_window = (c * (d ** np.arange(0, 99 + lead)).sum() for lead in (50, 0))
    np.testing.assert_allclose(record.ff_traces[0], [led, from_window], rtol=2e-5)


def test_feed_forward_spikes_are_poisson() -> None:
    n_ff, window_ms = 400, 200
    rate = np.full((1, window_ms, n_ff), 25.0, np.float32)
    simulator = silent(n_ff=n_ff, ff_rate_hz=rate, window_ms=float(window_ms), n_conditions=1, tau_plastic_ms=1e7)
    wiring = simulator.wiring(random_weights(simulator.network), 0)
    traces = [simulator.run_trial(wiring, 0, t, chunk_steps=2000, traces=True).ff_traces[0] for t in range(10)]
    counts = np.rint(np.concatenate(traces) * 1e7)  # hardly any decay: the trace counts
    expected = 25.0 * window_ms * 1e-3
    assert counts.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / len(counts)))
    assert counts.var() == pytest.approx(expected, rel=0.1)
    assert abs(np.corrcoef(traces[0], traces[1])[0, 1]) < 0.2


def test_feed_forward_weights_belong_to_their_condition() -> None:
    network = small_network(n_ff=4, n_trained=2, plastic=(1, 1), ff_rate_hz=np.full((2, 60, 4), 10_000.0, np.float32))
    simulator = Simulator(network)
    feed_forward = np.zeros((2, 2, 4), np.float32)
    feed_forward[1, 0, 2] = 40.0
    weights = Weights(plastic=np.zeros_like(network.plastic_weight), feed_forward=feed_forward)
    untouched = Weights(plastic=weights.plastic, feed_forward=np.zeros_like(feed_forward))

    def counts(weights: Weights, condition: int) -> NDArray[np.uint16]:
        return simulator.run_trial(simulator.wiring(weights, condition), condition, 0, chunk_steps=600).counts[0]

    np.testing.assert_array_equal(counts(weights, 0), counts(untouched, 0))
    assert counts(weights, 1)[network.trained[0]] > counts(untouched, 1)[network.trained[0]] + 10
