"""Options of RLS in a whole training: what they keep, and what they change."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fitrec.learn.rls_learner import automatic_rank, flushes_half
from fitrec.learn.rule import Rule
from fitrec.networks.network import Network
from fitrec.stages.build import build_network
from tests.tiny_fit import tiny_config, tiny_network, tiny_targets, tiny_training


def trained(network: Network | None = None, threads: int = 1, loops: int = 2, **options: Any) -> Rule:
    rule = tiny_training(threads, network, rule="rls", rls={"loops": loops, "scaling": "relative", **options}).rule
    for index in range(loops):
        rule.loop(index)
    return rule


@pytest.fixture(scope="module")
def pools() -> Network:
    plastic = {"n_exc": 20, "n_inh": 20, "exc_sources": "all", "pool_size": 5}
    return build_network(tiny_targets(), tiny_config(plastic=plastic), seed=3, threads=1)


def test_packed_p_trains_to_the_same_bits_in_less_memory() -> None:
    full, packed = trained().state(), trained(p_storage="packed").state()
    assert packed["p"].nbytes < 0.75 * full["p"].nbytes
    for name in ("plastic", "feed_forward"):
        np.testing.assert_array_equal(full[name], packed[name])


def test_half_of_p_trains_to_the_same_bits() -> None:
    whole, half = trained().state(), trained(flush="half").state()
    for name in whole:
        np.testing.assert_array_equal(whole[name], half[name])


@pytest.mark.parametrize(
    ("flush", "storage", "n_inputs", "half"),
    [
        ("auto", "full", 511, False),
        ("auto", "full", 512, True),
        ("auto", "int16", 512, False),
        ("half", "full", 2, True),
        ("whole", "full", 9999, False),
    ],
)
def test_many_inputs_are_flushed_by_half(flush: str, storage: str, n_inputs: int, half: bool) -> None:
    assert flushes_half(flush, storage, n_inputs) == half


def test_16_bits_train_to_nearly_the_same_weights_in_half_the_memory() -> None:
    full, short = trained(loops=1).state(), trained(p_storage="int16", loops=1).state()
    assert short["p"].nbytes == full["p"].nbytes // 2
    np.testing.assert_allclose(short["plastic"], full["plastic"], atol=5e-3 * np.abs(full["plastic"]).max())
    assert (short["plastic"] != full["plastic"]).any()


def test_dale_keeps_the_sign_of_every_plastic_weight() -> None:
    network = tiny_network()
    n_exc = network.n_plastic_exc
    free, kept = (trained(dale=dale, loops=4, penalty=0.02, penalty_row_sum=0.0).weights for dale in (False, True))
    assert (free.plastic[:, :n_exc] < 0).any()
    assert (free.plastic[:, n_exc:] > 0).any()
    assert (kept.plastic[:, :n_exc] >= 0).all()
    assert (kept.plastic[:, n_exc:] <= 0).all()
    assert (kept.feed_forward < 0).any()


@pytest.mark.parametrize("storage", ["full", "packed", "int16"])
def test_pools_keep_one_p_each_and_threads_change_no_bit(pools: Network, storage: str) -> None:
    """12 neurons make two pools of five and one of two."""
    one, two = (trained(pools, threads, p_storage=storage).state() for threads in (1, 2))
    assert len(one["p"]) == 3
    assert len(one["plastic"]) == 12
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    assert len(np.unique(one["plastic"], axis=0)) == 12


def test_a_shared_p_changes_no_bit(pools: Network) -> None:
    """Neurons with the same inputs have the same P anyhow."""
    shared, apart = trained(pools).state(), trained(replace(pools, plastic_pool_size=1)).state()
    np.testing.assert_array_equal(shared["plastic"], apart["plastic"])
    np.testing.assert_array_equal(shared["p"], apart["p"][::5])


@pytest.mark.parametrize(("n_inputs", "rank"), [(1, 8), (90, 8), (264, 16), (400, 16), (1000, 32)])
def test_automatic_rank(n_inputs: int, rank: int) -> None:
    assert automatic_rank(n_inputs) == rank
