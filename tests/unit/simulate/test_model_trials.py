"""Trials by compiled kernels: lif has the bits of the hand-written time loop; networks with a neuron model of their own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fitrec.errors import NetworkError
from fitrec.networks.network import Network
from fitrec.simulate.model_trials import ModelTrials, bin_counts, spike_list
from fitrec.simulate.simulator import Simulator
from tests.small_network import advance, random_weights, small_network, with_model

NETWORKS: dict[str, dict[str, Any]] = {
    "euler": {},
    "exact": {"integration": "exact"},
    "two populations": {"inh": [8.0, 1.1, 0.1, 0.0, 25]},
    "feed-forward input before the window": {
        "ff_lead_steps": 50,
        "ff_rate_hz": np.random.default_rng(1).uniform(0.0, 80.0, (2, 185, 9)).astype(np.float32),
    },
    "window at once": {"settle_ms": 0.0, "stimulus_ms": 0.0, "stimulus_sd": 0.0},
}


def network_of(name: str, **changes: Any) -> Network:
    return small_network(n_ff=9, **{"window_ms": 180.0, "sigma": 0.4, "refractory_steps": 15, **NETWORKS[name], **changes})


@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_lif_runs_bit_for_bit_as_the_hand_written_loop(name: str) -> None:
    network = network_of(name)
    weights = random_weights(network, scale=2.0)
    simulator, trials = Simulator(network), ModelTrials(network)
    for condition, trial in ((0, 0), (1, 3)):
        wanted = simulator.run_trial(simulator.wiring(weights, condition), condition, trial, chunk_steps=10, spikes=True)
        found = trials.record(weights, condition, trial, chunk_steps=10, spikes=True)
        assert wanted.counts.sum() > 400
        np.testing.assert_array_equal(found.counts, wanted.counts)
        order = np.lexsort((wanted.spike_neuron, wanted.spike_step))
        np.testing.assert_array_equal(found.spike_step, wanted.spike_step[order])
        np.testing.assert_array_equal(found.spike_neuron, wanted.spike_neuron[order])


def test_states_have_the_same_bits_after_2000_steps() -> None:
    network = network_of("euler", window_ms=220.0, settle_ms=0.0, stimulus_ms=0.0, n_conditions=1)
    simulator, trials = Simulator(network), ModelTrials(network)
    weights = random_weights(network, scale=2.0)
    state = simulator.initial_state(0, 5)
    advance(simulator, weights, state, 2000, trial=5)
    run = trials.window(trials.flat_weights(weights, 0), trials.inputs(0, 5), 0, 5, None, last=2000)
    rows = run.state.states.reshape(3, -1)[:, : network.n_neurons]
    for row, wanted in zip(rows, (state.v, state.u_static, state.u_plastic), strict=True):
        np.testing.assert_array_equal(row, wanted)


def test_windows_of_a_trial_join_to_the_whole_of_it() -> None:
    network = network_of("two populations")
    trials, weights = ModelTrials(network), random_weights(network)
    flat, inputs = trials.flat_weights(weights, 1), trials.inputs(1, 2)
    whole = trials.window(flat, inputs, 1, 2, trials.before_window(flat, inputs, 1, 2))
    part, steps, neurons = trials.before_window(flat, inputs, 1, 2), [], []
    for first in range(0, network.window_steps, 600):
        part = trials.window(flat, inputs, 1, 2, part, first=first, last=first + 600)
        step, neuron = spike_list(part)
        steps.append(step + first)
        neurons.append(neuron)
    expected = spike_list(whole)
    np.testing.assert_array_equal(np.concatenate(steps), expected[0])
    np.testing.assert_array_equal(np.concatenate(neurons), expected[1])
    np.testing.assert_array_equal(bin_counts(whole, 100, network.n_neurons), trials.record(weights, 1, 2, chunk_steps=100).counts)


def test_flat_weights_are_those_of_the_synapses() -> None:
    network = small_network(n_ff=7)
    trials, weights = ModelTrials(network), random_weights(network)
    plastic, feed_forward = trials.unflatten(trials.flat_weights(weights, 1))
    np.testing.assert_array_equal(plastic, weights.plastic)
    np.testing.assert_array_equal(feed_forward, weights.feed_forward[1])


def test_the_library_model_of_the_same_neurons_gives_the_same_spikes() -> None:
    """`lif` as a network's own model, in place of the membrane parameters."""
    plain = small_network(settle_ms=0.0, stimulus_ms=0.0, stimulus_sd=0.0, drive=np.full(80, 1.8, np.float32))
    parameters = {"tau_m": "10 ms", "v_th": 1.0, "v_reset": 0.0, "tau_static": "3 ms", "tau_plastic": "150 ms", "t_ref": "0.1 ms"}
    own = replace(with_model("lif", parameters), **{
        name: getattr(plain, name)
        for name in ("drive", "static_weight", "plastic_weight", "stimulus_start_step", "window_start_step", "stimulus_sd")
    })  # fmt: skip
    assert own.model is not None
    assert own.model["scatter"] == 1.0  # from reset to threshold
    weights = random_weights(plain)
    expected = Simulator(plain).map_trials(lambda record: record.counts, weights, 0, range(2), chunk_steps=50, threads=1)
    found = Simulator(own).map_trials(lambda record: record.counts, weights, 0, range(2), chunk_steps=50, threads=2)
    assert expected[0].sum() > 100
    np.testing.assert_array_equal(found, expected)


def test_inhibitory_ports_take_magnitudes() -> None:
    network = with_model("coba")
    assert network.model is not None
    assert network.model["ports"]["static_inh"] != network.model["ports"]["static_exc"]
    trials = ModelTrials(network)
    synapses, width = trials.model_network.plastic, trials.model_network.width
    ports = [p.name for p in trials.compiled.model.ports]
    source = np.repeat(np.arange(len(synapses.indptr) - 1), np.diff(synapses.indptr))
    port = synapses.target // width
    assert (port[source < network.n_exc] == ports.index(network.model["ports"]["plastic_exc"])).all()
    assert (port[source >= network.n_exc] == ports.index(network.model["ports"]["plastic_inh"])).all()


def test_procedural_wiring_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"network\.balanced\.connectivity: stored"):
        ModelTrials(small_network(connectivity="procedural"))
