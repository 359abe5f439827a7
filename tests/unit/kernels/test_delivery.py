"""No spike is lost, and every synapse delivers its weight exactly."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator
from tests.small_network import advance, projection_of, random_weights, small_network

ONE = 2**32


def exact_sums(network: Network, weights: Weights, spiking: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Static and plastic charge in units of 2^-32 that each neuron receives when these neurons spike, in Python's integers."""
    n = network.n_neurons
    static, plastic = [0] * n, [0] * n
    for i in np.flatnonzero(spiking):
        for synapse in range(network.static_indptr[i], network.static_indptr[i + 1]):
            static[network.static_indices[synapse]] += round(float(network.static_weight[synapse]) * ONE)
    for u, post in enumerate(network.trained):
        for slot, pre in enumerate(network.plastic_pre[u]):
            if spiking[pre]:
                plastic[post] += round(float(weights.plastic[u, slot]) * ONE)
    return np.array(static, np.int64), np.array(plastic, np.int64)


def deliver(network: Network, weights: Weights, spiking: NDArray[np.bool_], *, wide: bool = False) -> lif.State:
    """State after one step in which exactly these neurons spike."""
    simulator = Simulator(network)
    state = lif.new_state(network.n_neurons, network.n_feed_forward)
    wiring = simulator.wiring(weights, 0)
    if wide:
        static, plastic = wiring.static_indices.astype(np.uint32), wiring.plastic_indices.astype(np.uint32)
        wiring = wiring._replace(static_indices=static, plastic_indices=plastic)
    advance(simulator, weights, state, 1, drive=np.where(spiking, 1e6, 0.0).astype(np.float32), wiring=wiring)
    np.testing.assert_array_equal(np.flatnonzero(spiking), state.spikes[: state.n_spikes[0]])
    return state


def arbitrary_network(seed: int, n: int = 300) -> Network:
    """Rows of every kind: empty, one weight throughout (also shared with the next row), runs of equal weights, no two equal."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[list[int], list[float]]] = []
    for i in range(n):
        size = int(rng.integers(1, 60))
        targets = np.sort(rng.permutation(n)[:size]).tolist()
        kinds = ([], [0.7] * size, rng.choice([0.3, -1.7], size).tolist(), rng.normal(size=size).tolist())
        kind = kinds[i % 4 if seed else 1]
        rows.append((targets if kind else [], kind))
    return small_network(
        n // 2,
        n - n // 2,
        projection=projection_of(rows),
        settle_ms=0.0,
        stimulus_ms=0.0,
        stimulus_sd=0.0,
        drive=np.zeros(n, np.float32),
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fraction", [0.05, 1.0])
def test_runs_of_equal_weights_deliver_every_synapse(seed: int, fraction: float) -> None:
    network = arbitrary_network(seed)
    weights = random_weights(network)
    spiking = np.random.default_rng(seed).random(network.n_neurons) < fraction
    state = deliver(network, weights, spiking)
    static, plastic = exact_sums(network, weights, spiking)
    assert np.count_nonzero(static) > 50
    np.testing.assert_array_equal(state.in_static, static)
    np.testing.assert_array_equal(state.in_plastic, plastic)


def test_narrow_and_wide_indices_deliver_the_same() -> None:
    network = arbitrary_network(1)
    weights, spiking = random_weights(network), np.ones(network.n_neurons, bool)
    narrow, wide = (deliver(network, weights, spiking, wide=wide) for wide in (False, True))
    for a, b in zip(narrow, wide, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [65_536, 65_537])
def test_the_last_neuron_is_reached_where_the_index_changes_its_width(n: int) -> None:
    rows: list[tuple[list[int], list[float]]] = [([], [])] * n
    rows[0], rows[n - 1] = ([1, n - 1], [0.5, -2.0]), ([0], [3.0])
    network = small_network(
        n - 10,
        10,
        projection=projection_of(rows),
        n_trained=0,
        settle_ms=0.0,
        stimulus_ms=0.0,
        stimulus_sd=0.0,
        drive=np.zeros(n, np.float32),
    )
    spiking = np.zeros(n, bool)
    spiking[[0, n - 1]] = True
    state = deliver(network, random_weights(network), spiking)
    expected = np.zeros(n, np.int64)
    expected[[0, 1, n - 1]] = np.array([6, 1, -4]) * (ONE // 2)
    np.testing.assert_array_equal(state.in_static, expected)


def test_no_spike_is_lost_when_all_fire_in_every_step() -> None:
    """With undamped currents and whole-numbered charges float32 holds the total exactly."""
    n, n_steps = 600, 150
    rng = np.random.default_rng(3)
    rows = [(np.sort(rng.permutation(n)[:40]).tolist(), rng.integers(-3, 4, 40).tolist()) for _ in range(n)]
    network = small_network(
        n // 2,
        n // 2,
        projection=projection_of(rows),
        settle_ms=0.0,
        stimulus_ms=0.0,
        stimulus_sd=0.0,
        refractory_steps=0,
        drive=np.full(n, 1e9, np.float32),
    )
    weights = Weights(
        plastic=rng.integers(-3, 4, network.plastic_pre.shape).astype(np.float32),
        feed_forward=np.zeros((2, len(network.trained), 0), np.float32),
    )
    simulator = Simulator(network)
    one = np.float32(1)
    simulator.constants = simulator.constants._replace(decay_s=one, charge_s=one, decay_p=one, charge_p=one)
    state = lif.new_state(n, 0)
    advance(simulator, weights, state, n_steps)
    static, plastic = exact_sums(network, weights, np.ones(n, bool))
    assert state.n_spikes[0] == n
    np.testing.assert_array_equal(state.in_static, static)  # of the last step, not yet delivered
    np.testing.assert_array_equal(state.in_plastic, plastic)
    np.testing.assert_array_equal(state.u_static, (n_steps - 1) * (static // ONE))
    np.testing.assert_array_equal(state.u_plastic, (n_steps - 1) * (plastic // ONE))
    assert np.abs(state.u_static).max() > 1000
