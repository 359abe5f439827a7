from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fitrec import store
from fitrec.errors import NetworkError
from fitrec.networks.network import Network
from fitrec.stages import build
from fitrec.stages.build import build_network
from tests.tiny_fit import tiny_config, tiny_network, tiny_targets


def test_the_network_fits_the_targets() -> None:
    network, targets = tiny_network(), tiny_targets()
    assert network.condition_names == targets.condition_names
    assert (network.stimulus_start_step, network.window_start_step, network.window_steps) == (600, 1000, 5000)
    assert network.ff_rate_hz.shape == (2, 500, 20)
    assert (np.diff(network.trained) > 0).all()
    assert network.trained.max() < network.n_exc
    assert sorted(network.trained_unit.tolist()) == list(range(12))
    assert network.plastic_pre.shape == network.plastic_weight.shape == (12, 40)
    np.testing.assert_array_equal(network.plastic_weight[:, :20], np.float32(0.596))
    np.testing.assert_array_equal(network.plastic_weight[:, 20:], np.float32(-0.323))
    assert (np.diff(network.static_indptr) == 40).all()
    assert 0.5 < network.untrained_rate_hz.mean() < 100
    assert (np.diff(network.fi_rate_hz) >= 0).all()


def test_inhibitory_neurons_of_their_own() -> None:
    same = build_network(tiny_targets(), tiny_config(neuron_inh={}), seed=3, threads=1)
    np.testing.assert_array_equal(same.untrained_rate_hz, tiny_network().untrained_rate_hz)
    lazy = build_network(tiny_targets(), tiny_config(neuron_inh={"threshold": 1.5, "t_ref_ms": 2.0}), seed=3, threads=1)
    assert lazy.inh_neuron == (10.0, 1.5, 0.0, 0.0, 20)
    assert lazy.exc_neuron == tiny_network().exc_neuron
    assert (lazy.untrained_rate_hz != tiny_network().untrained_rate_hz).any()


def test_procedural_connectivity_stores_no_synapse(tmp_path: Path) -> None:
    config = tiny_config(balanced={**tiny_config().balanced.model_dump(), "connectivity": "procedural"})
    store.save(tmp_path / "targets.zarr", tiny_targets(), {})
    built = build.run(tmp_path / "targets.zarr", tmp_path / "network.zarr", config, seed=3, threads=1)
    network = store.load(tmp_path / "network.zarr", Network)
    assert network.static_indices.size == network.static_weight.size == 0
    assert (network.static_out_degree, network.n_static) == (40, 200 * 40)
    assert network.static_pair_weight == built.static_pair_weight
    stored_hz, found_hz = tiny_network().untrained_mean_hz, network.untrained_mean_hz
    np.testing.assert_allclose(found_hz, stored_hz, rtol=0.2)
    assert (np.diff(network.fi_rate_hz) >= 0).all()


def test_units_go_to_the_neurons_with_the_nearest_rates() -> None:
    """Units of clearly different rates: the order of the neurons' untrained rates is that of the units."""
    rate_hz = np.broadcast_to(np.geomspace(1.0, 40.0, 12), (2, 25, 12)).copy()
    network = build_network(tiny_targets(rate_hz=rate_hz), tiny_config(), seed=3, threads=1)
    of_unit = network.untrained_rate_hz[network.trained][np.argsort(network.trained_unit)]
    assert (np.diff(of_unit) >= 0).all()
    assert of_unit[-1] > of_unit[0]


def test_held_out_units_are_not_trained() -> None:
    targets = tiny_targets()
    units = targets.units.assign(held_out=np.arange(12) % 3 == 1)
    network = build_network(tiny_targets(units=units), tiny_config(), seed=3, threads=1)
    assert sorted(network.trained_unit.tolist()) == [0, 2, 3, 5, 6, 8, 9, 11]


def test_threads_and_calls_change_no_bit_but_the_seed_does(tmp_path: Path) -> None:
    targets = tmp_path / "targets.zarr"
    store.save(targets, tiny_targets(), {})
    for name, seed in (("a", 3), ("b", 4)):
        build.run(targets, tmp_path / name, tiny_config(), seed=seed, threads=2)
    store.save(tmp_path / "one thread", tiny_network(), store.read_attributes(tmp_path / "a"))
    digest = {path.name: store.content_sha256(path) for path in tmp_path.iterdir()}
    assert digest["a"] == digest["one thread"] != digest["b"]
    other = store.load(tmp_path / "b", Network)
    assert (other.static_indices != tiny_network().static_indices).any()
    assert (other.plastic_pre != tiny_network().plastic_pre).any()


@pytest.mark.parametrize(
    ("targets", "config", "sentence"),
    [
        ({"n_units": 121}, {}, r"121 units .* only 120 model neurons .* enlarge"),
        ({}, {"balanced": {"n_exc": 50, "n_inh": 50, "k": 50}}, r"balanced\.k = 50 .* lower k"),
        ({}, {"plastic": {"n_exc": 12, "n_inh": 5, "exc_sources": "trained"}}, r"plastic\.n_exc = 12 .* at most 11"),
        ({}, {"plastic": {"n_exc": 5, "n_inh": 80}}, r"plastic\.n_inh = 80 .* at most 79"),
        ({"bin_s": 0.02005}, {}, r"bin width in ms = 20\.05 ms is not a whole number of steps of network\.dt_ms = 0\.1"),
        ({}, {"dt_ms": 0.3}, r"is not a whole number of steps of network\.dt_ms = 0\.3"),
        ({}, {"settle_ms": 60.05}, r"settle_ms .* not a whole number of steps"),
        (
            {},
            {"neuron_inh": {"tau_m_ms": 5.0}, "assignment": {"population": "all"}},
            r"population is all, but .*neuron_inh differs",
        ),
    ],
)
def test_what_cannot_be_built(targets: dict[str, Any], config: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    store.save(tmp_path / "targets.zarr", tiny_targets(**targets), {})
    with pytest.raises(NetworkError, match=sentence):
        build.run(tmp_path / "targets.zarr", tmp_path / "network.zarr", tiny_config(**config), seed=1, threads=1)
    assert [path.name for path in tmp_path.iterdir()] == ["targets.zarr"]


def test_the_table_of_units_is_not_touched() -> None:
    targets = tiny_targets()
    before = targets.units.copy()
    build_network(targets, tiny_config(feed_forward={"n_inputs": 0}), seed=3, threads=1)
    pd.testing.assert_frame_equal(targets.units, before)
