"""Spike train statistics against processes whose statistics are known, and against brute force."""

import numpy as np
import pytest

from fitrec.evaluate.baselines import mean_rate_r2
from fitrec.evaluate.spiking import cv_isi, fano_factor, noise_correlations, sample_pairs, weight_statistics


def test_cv_of_gamma_processes() -> None:
    rng = np.random.default_rng(0)
    shapes = (1.0, 4.0, 100.0)
    spikes = [(u, np.cumsum(rng.gamma(k, 1 / k, 20_000))) for u, k in enumerate(shapes)]
    unit = np.concatenate([np.full(len(t), u) for u, t in spikes])
    time = np.concatenate([t for _, t in spikes])
    shuffled = rng.permutation(len(unit))
    cv = cv_isi(unit[shuffled], np.zeros(len(unit), int), time[shuffled], 4)
    np.testing.assert_allclose(cv[:3], [k**-0.5 for k in shapes], rtol=0.02)
    assert np.isnan(cv[3])


def test_intervals_do_not_span_trials() -> None:
    time = np.tile(np.arange(11) * 0.1, 3)
    trial = np.repeat([0, 1, 2], 11)
    assert cv_isi(np.zeros(33, int), trial, time, 1)[0] == pytest.approx(0, abs=1e-5)
    assert np.isnan(cv_isi(np.zeros(33, int), trial, time, 1, min_intervals=31)[0])


def test_cv_without_spikes() -> None:
    empty = np.empty(0, int)
    assert np.isnan(cv_isi(empty, empty, empty, 2)).all()


def test_fano_factor_known_answers() -> None:
    rng = np.random.default_rng(1)
    condition = np.repeat([0, 1], 4000)
    mean = np.where(condition == 0, 5.0, 20.0)  # the difference between conditions must not count as variability
    counts = np.stack([rng.poisson(mean), mean, rng.poisson(mean * rng.gamma(10, 0.1, 8000)), np.zeros(8000)], axis=1)
    fano = fano_factor(counts, condition)
    assert fano[0] == pytest.approx(1, abs=0.05)
    assert fano[1] == 0
    assert fano[2] == pytest.approx(1 + np.mean([5.0, 20.0]) / 10, rel=0.08)
    assert np.isnan(fano[3])


def test_fano_factor_leaves_out_missing_trials() -> None:
    counts = np.array([[1, 2], [3, 2], [99, 4], [99, 8]])
    observed = np.array([[True, True], [True, True], [False, True], [False, False]])
    fano = fano_factor(counts, np.zeros(4, int), observed)
    np.testing.assert_allclose(fano, [np.var([1, 3], ddof=1) / 2, np.var([2, 2, 4], ddof=1) / np.mean([2, 2, 4])])


def test_noise_correlations_equal_numpy_and_ignore_the_stimulus() -> None:
    rng = np.random.default_rng(2)
    condition = np.repeat([0, 1, 2], 50)
    shared = rng.normal(size=150)
    counts = rng.normal(size=(150, 4)) + shared[:, None] * [1, 1, 0, 0] + 100 * condition[:, None]
    pairs = np.array([[0, 1], [2, 3]])
    residual = counts - np.stack([counts[condition == c].mean(axis=0) for c in range(3)])[condition]
    expected = [np.corrcoef(residual[:, a], residual[:, b])[0, 1] for a, b in pairs]
    np.testing.assert_allclose(noise_correlations(counts, condition, pairs), expected)
    assert abs(expected[0] - 0.5) < 0.2
    constant = np.concatenate([counts, np.full((150, 1), 3.0)], axis=1)
    assert np.isnan(noise_correlations(constant, condition, np.array([[0, 4]])))[0]


@pytest.mark.parametrize(("n", "wanted", "expected"), [(0, 5, 0), (1, 5, 0), (4, 10, 6), (200, 300, 300)])
def test_pairs_are_different(n: int, wanted: int, expected: int) -> None:
    units = np.arange(n) * 3
    pairs = sample_pairs(units, wanted, seed=1)
    assert pairs.shape == (expected, 2)
    assert len({(a, b) for a, b in pairs.tolist()}) == expected
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert np.isin(pairs, units).all()


def test_weight_statistics() -> None:
    before = np.array([[1.0, 1.0, -1.0]])
    after = np.array([[2.0, -2.0, -3.0]])
    table = weight_statistics(before, after, 2)
    assert table["exc"] == {"mean_before": 1.0, "mean_after": 0.0, "sd_after": 2.0, "sign_changed": 0.5}
    assert table["inh"]["sign_changed"] == 0.0
    assert weight_statistics(before[:, :2], after[:, :2], 2)["inh"]["mean_after"] is None


def test_mean_rate_explains_nothing() -> None:
    rng = np.random.default_rng(3)
    train, test = rng.gamma(2, 1, (2, 2, 50, 8))
    r2 = mean_rate_r2(train, test)
    assert (r2 <= 0).all()
    assert mean_rate_r2(test, test) == pytest.approx(0, abs=1e-12)
