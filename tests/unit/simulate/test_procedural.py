"""Procedural static wiring equals a stored table of the same draw, bit for bit, and has the statistics of a random one."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fitrec.errors import NetworkError
from fitrec.kernels.reference.procedural import targets
from fitrec.networks.balanced import StaticProjection, balanced_projection
from fitrec.networks.network import Network
from fitrec.simulate import wiring as module
from fitrec.simulate.simulator import Simulator
from tests.small_network import KIM_WEIGHTS, fields_of, random_weights, small_network
from tests.unit.simulate.test_team import run


def procedural(n_exc: int, n_inh: int, k: int, **changes: Any) -> Network:
    return small_network(n_exc, n_inh, k, connectivity="procedural", **changes)


def stored(network: Network) -> Network:
    """Return the network with its procedural synapses in a table."""
    n, degree = network.n_neurons, network.static_out_degree
    table = targets(n, degree, network.seed)
    weight = np.array(network.static_pair_weight, np.float32).reshape(2, 2)
    inhibitory = np.arange(n) >= network.n_exc
    projection = StaticProjection(
        indptr=np.arange(n + 1, dtype=np.int64) * degree,
        indices=table.ravel().astype(np.int32),
        weight=weight[inhibitory[:, None].astype(int), inhibitory[table].astype(int)].ravel(),
    )
    return replace(network, **projection.network_fields())


@pytest.mark.parametrize(
    ("n_exc", "n_inh", "k"),
    [(40, 40, 10), (60, 21, 5), (41, 40, 40), (3, 200, 33), (200, 3, 90), (5, 4, 1), (90, 90, 64)],
)
def test_trials_equal_those_of_the_table(n_exc: int, n_inh: int, k: int) -> None:
    network = procedural(n_exc, n_inh, k, n_trained=3, plastic=(2, 2), sigma=0.5, drives=(2.0, 2.0))
    assert network.static_indices.size == 0
    records = []
    for each in (network, stored(network)):
        simulator = Simulator(each)
        wiring = simulator.wiring(random_weights(each), 0)
        records.append(simulator.run_trial(wiring, 0, 3, chunk_steps=100, traces=True, spikes=True))
    assert len(records[0].spike_step) > 3 * network.n_neurons
    for name, values in fields_of(records[0]).items():
        np.testing.assert_array_equal(values, fields_of(records[1])[name], err_msg=name)


@pytest.mark.parametrize(("n_exc", "n_inh", "k"), [(200, 200, 10), (101, 300, 190), (350, 50, 2)])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_deliver_each_synapse_once(n_exc: int, n_inh: int, k: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Borders of the parts fall before, onto and behind the border of the populations."""
    monkeypatch.setattr(module, "LEAST_NEURONS_PER_THREAD", 50)
    network = procedural(n_exc, n_inh, k, sigma=0.5)
    found = run(Simulator(network), threads, [37, 60])
    expected = run(Simulator(stored(network)), 1, [37, 60])
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("n", "degree"), [(10, 9), (12, 8), (101, 7), (64, 64 - 1), (1000, 1)])
def test_targets_are_distinct_and_never_the_neuron_itself(n: int, degree: int) -> None:
    table = targets(n, degree, 5)
    assert table.min() >= 0
    assert table.max() < n
    assert (np.diff(table, axis=1) > 0).all()
    assert (table != np.arange(n)[:, None]).all()


def test_every_target_is_equally_likely() -> None:
    n, degree, draws = 20, 8, 400  # strata of two and of three neurons
    count = np.zeros((n, n))
    for seed in range(draws):
        np.add.at(count, (np.repeat(np.arange(n), degree), targets(n, degree, seed).ravel()), 1)
    p = np.zeros(n)  # of the place on the circle
    edges = np.arange(degree + 1) * (n - 1) // degree
    for low, high in pairwise(edges):
        p[low:high] = 1 / (high - low)
    place = (np.arange(n)[None, :] - np.arange(n)[:, None] - 1) % n
    off_diagonal = ~np.eye(n, dtype=bool)
    wanted = p[place][off_diagonal]
    z = (count[off_diagonal] - draws * wanted) / np.sqrt(draws * wanted * (1 - wanted))
    assert np.abs(z).max() < 4.5
    assert z.std() == pytest.approx(1.0, abs=0.12)
    np.testing.assert_allclose(np.where(off_diagonal, p[place], 0).sum(axis=0), degree)  # the mean in-degree of each neuron


def test_in_degrees_spread_as_those_of_random_wiring() -> None:
    n, degree = 2000, 100
    in_degree = np.bincount(targets(n, degree, 3).ravel(), minlength=n)
    assert in_degree.mean() == degree
    assert in_degree.std() == pytest.approx(np.sqrt(degree * (1 - degree / n)), rel=0.05)


def test_a_fixed_in_degree_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"connectivity is procedural, .*degree is in; set degree to out, or connectivity"):
        balanced_projection(n_exc=40, n_inh=40, k=10, degree="in", gain=1.0, seed=1, connectivity="procedural", **KIM_WEIGHTS)
