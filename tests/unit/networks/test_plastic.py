from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitrec.errors import NetworkError
from fitrec.kernels.cpu.wiring import FEW_DRAWS
from fitrec.kernels.reference.philox import philox
from fitrec.networks import rows
from fitrec.networks.plastic import assign_neurons, plastic_inputs

TRAINED = np.arange(1, 60, 2, dtype=np.int32)  # of 60 E and 40 I neurons


def draw(trained: Any = TRAINED, seed: int = 1, **changes: Any) -> np.ndarray:
    options = {"n_exc": 60, "n_inh": 40, "inputs_exc": 9, "inputs_inh": 7, "exc_sources": "trained"}
    return plastic_inputs(trained=np.asarray(trained, np.int32), seed=seed, **{**options, **changes})


@pytest.mark.parametrize("exc_sources", ["trained", "all"])
@pytest.mark.parametrize("trained", [TRAINED, np.arange(20, 80)])
def test_pools_and_degrees(exc_sources: str, trained: np.ndarray) -> None:
    pre = draw(trained, exc_sources=exc_sources)
    assert pre.shape == (len(trained), 16)
    exc, inh = pre[:, :9], pre[:, 9:]
    pool = trained[trained < 60] if exc_sources == "trained" else np.arange(60)
    assert np.isin(exc, pool).all()
    assert inh.min() >= 60
    assert inh.max() < 100
    for part in (exc, inh):
        assert (np.diff(part, axis=1) > 0).all()  # ascending, hence no input twice
    assert (pre != trained[:, None]).all()


def test_consecutive_neurons_share_the_inputs_drawn_for_the_first() -> None:
    alone, shared = draw(), draw(pool_size=4)
    assert shared.shape == alone.shape
    np.testing.assert_array_equal(shared[0], alone[0])
    for first in range(0, len(TRAINED), 4):
        assert (shared[first : first + 4] == shared[first]).all()
        assert TRAINED[first] not in shared[first]
    assert len(np.unique(shared, axis=0)) == -(-len(TRAINED) // 4)


def test_all_of_a_pool_is_used() -> None:
    """With one less than the pool, every other neuron of the pool is an input."""
    pre = draw(inputs_exc=29)
    for neuron, inputs in zip(TRAINED, pre[:, :29], strict=True):
        np.testing.assert_array_equal(inputs, TRAINED[neuron != TRAINED])
    drawn = draw(exc_sources="all", inputs_exc=20)[:, :20]
    np.testing.assert_array_equal(np.unique(drawn), np.arange(60))


def test_populations_and_seeds_are_drawn_independently() -> None:
    assert (draw(seed=1) != draw(seed=2)).any()
    one = draw(exc_sources="all", inputs_exc=7, n_inh=60)
    assert (one[:, :7] != one[:, 7:] - 60).any()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"inputs_exc": 30}, r"plastic\.n_exc = 30 .* the 30 neurons of its pool .* at most 29"),
        ({"inputs_inh": 40}, r"plastic\.n_inh = 40 .* the 40 neurons of its pool .* at most 39"),
        ({"inputs_exc": 60, "exc_sources": "all"}, r"plastic\.n_exc = 60 .* at most 59"),
    ],
)
def test_more_inputs_than_the_pool_holds(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NetworkError, match=sentence):
        draw(**changes)


@pytest.mark.parametrize("kind", ["inputs_exc", "inputs_inh"])
def test_one_kind_of_input_alone(kind: str) -> None:
    other = {"inputs_exc": "inputs_inh", "inputs_inh": "inputs_exc"}[kind]
    pre = draw(**{kind: 5, other: 0})
    assert pre.shape == (30, 5)
    assert ((pre < 60) == (kind == "inputs_exc")).all()


def greedy(unit_rate: np.ndarray, neuron_rate: np.ndarray, candidates: np.ndarray) -> list[float]:
    """Distances of the published procedure, as a loop over lists."""
    free = [float(neuron_rate[c]) for c in candidates]
    distances = {}
    for unit in sorted(range(len(unit_rate)), key=lambda u: -unit_rate[u]):
        nearest = min(free, key=lambda rate: abs(rate - unit_rate[unit]))
        distances[unit] = abs(nearest - unit_rate[unit])
        free.remove(nearest)
    return [distances[unit] for unit in range(len(unit_rate))]


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_rate_matching(seed: int, n_units: int) -> None:
    rng = np.random.default_rng(seed)
    candidates = np.sort(rng.permutation(60)[:40]).astype(np.int32)
    neuron_rate = rng.exponential(5, 60).astype(np.float32)
    unit_rate = rng.exponential(5, n_units)
    chosen = assign_neurons("rate_matched", unit_rate, neuron_rate, candidates)
    assert np.isin(chosen, candidates).all()
    assert len(set(chosen.tolist())) == n_units
    np.testing.assert_allclose(np.abs(neuron_rate[chosen] - unit_rate), greedy(unit_rate, neuron_rate, candidates))


def test_rate_matching_takes_the_highest_rate_first() -> None:
    rates = np.array([1.0, 9.0, 10.0, 4.0], np.float32)
    chosen = assign_neurons("rate_matched", np.array([9.4, 9.6, 0.0]), rates, np.arange(4, dtype=np.int32))
    np.testing.assert_array_equal(chosen, [1, 2, 0])


def test_rate_matching_of_a_silent_network() -> None:
    chosen = assign_neurons("rate_matched", np.array([3.0, 2.0]), np.zeros(5, np.float32), np.arange(2, 5, dtype=np.int32))
    assert len(set(chosen.tolist())) == 2


def test_one_to_one() -> None:
    candidates = np.array([3, 5, 8], np.int32)
    np.testing.assert_array_equal(assign_neurons("one_to_one", np.array([9.0, 1.0]), np.zeros(9, np.float32), candidates), [3, 5])


@pytest.mark.parametrize("method", ["rate_matched", "one_to_one"])
def test_more_units_than_neurons(method: str) -> None:
    with pytest.raises(NetworkError, match=r"4 units .* only 3 model neurons .*(enlarge|fewer)"):
        assign_neurons(method, np.ones(4), np.ones(9, np.float32), np.arange(3, dtype=np.int32))


@pytest.mark.parametrize("draws", [5, FEW_DRAWS, FEW_DRAWS + 1, 690])
def test_samples_are_the_first_draws_that_differ(draws: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way they are kept apart, for any number of threads."""
    n_rows, pool, excluded = 9, np.arange(700, dtype=np.int32), np.array([-1, 3, 699] * 3)
    expected = []
    for row in range(n_rows):
        words = np.array(philox(row + 4, np.arange(9000), 0, 0, 21, 17)).T.ravel()
        numbers = [n for n in (words.astype(np.uint64) * 700) >> np.uint64(32) if n != excluded[row]]
        expected.append(sorted([*dict.fromkeys(numbers)][:draws]))
    monkeypatch.setattr(rows, "ROWS", 2)
    for threads in (1, 3):
        found = np.empty((n_rows, draws), np.int32)
        rows.sample_rows(found, pool, excluded, 17, 4, 21, threads)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("ordered", [True, False])
def test_transposed_rows(threads: int, ordered: bool) -> None:
    rng = np.random.default_rng(3)
    table = rng.integers(0, 40, (60, 7)).astype(np.int32)
    order = np.arange(60, dtype=np.int32) if ordered else rng.permutation(60).astype(np.int32)
    found = rows.transpose_rows(table, 42, None if ordered else order, threads=threads)
    for value in range(42):
        row, slot = np.nonzero(table[order] == value)
        part = slice(found.indptr[value], found.indptr[value + 1])
        np.testing.assert_array_equal(found.row[part], order[row])
        np.testing.assert_array_equal(found.slot[part], slot)
    assert found.indptr[-1] == table.size
    assert rows.transpose_rows(table, 42, slots=False).slot.size == 0
