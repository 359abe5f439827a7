"""The library's lif, compiled, has the bits of the hand-written time loop."""

from typing import Any

import numpy as np
import pytest

from fitrec.networks.network import Network
from fitrec.simulate.model_trials import ModelTrials
from fitrec.simulate.simulator import Simulator
from tests.small_network import advance, random_weights, small_network

NETWORKS: dict[str, dict[str, Any]] = {
    "euler": {},
    "exact": {"integration": "exact"},
    "two populations": {"inh": [8.0, 1.1, 0.1, 0.0, 25]},
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
