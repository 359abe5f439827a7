import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitrec.errors import TargetsError
from fitrec.targets.split import hold_out_units, split_trials


@given(st.lists(st.integers(2, 30), min_size=1, max_size=5), st.floats(0.01, 0.99), st.integers(0, 2**31))
def test_every_condition_is_split_alike(sizes: list[int], fraction: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    condition = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int32)
    names = [str(i) for i in range(len(sizes))]
    is_test = split_trials(condition, names, fraction, seed)
    np.testing.assert_array_equal(is_test, split_trials(condition, names, fraction, seed))
    for index, size in enumerate(sizes):
        n_test = int(is_test[condition == index].sum())
        assert 1 <= n_test <= size - 1
        assert abs(n_test - fraction * size) <= 1


def test_seeds_differ() -> None:
    condition = np.zeros(40, np.int32)
    assert (split_trials(condition, ["a"], 0.5, 1) != split_trials(condition, ["a"], 0.5, 2)).any()


def test_split_is_frozen() -> None:
    # Another result here would silently change every published fit.
    assert np.flatnonzero(split_trials(np.zeros(8, np.int32), ["a"], 0.5, 1)).tolist() == [0, 1, 4, 5]


def test_one_trial_cannot_be_split() -> None:
    with pytest.raises(TargetsError, match="condition b has 1 trial, so it cannot be split"):
        split_trials(np.array([0, 0, 1], np.int32), ["a", "b"], 0.5, 1)
    assert not split_trials(np.array([0, 0, 1], np.int32), ["a", "b"], 0.0, 1).any()


@given(st.integers(1, 100), st.floats(0, 0.99), st.integers(0, 1000))
def test_held_out_units(n_units: int, fraction: float, seed: int) -> None:
    if round(fraction * n_units) == n_units:
        with pytest.raises(TargetsError, match="leaves none"):
            hold_out_units(n_units, fraction, seed)
    else:
        assert hold_out_units(n_units, fraction, seed).sum() == round(fraction * n_units)
