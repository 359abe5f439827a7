"""Scores of held-out time: bits per spike, and the linear regression beside the network."""

import numpy as np
import pytest
from scipy.stats import poisson

from fitrec.evaluate.continuous import bits_per_spike, linear_rates, score_held_out_time

BIN_S = 0.02


def test_bits_per_spike_are_the_log_likelihood_beyond_the_mean() -> None:
    rng = np.random.default_rng(1)
    rate_hz = rng.uniform(5, 30, (4, 50, 3))
    counts = rng.poisson(rate_hz * BIN_S)
    mean_hz = np.array([10.0, 12.0, 20.0])
    use = np.ones(counts.shape, bool)
    use[2, :, 1] = False
    found = bits_per_spike(rate_hz, mean_hz, counts, use, BIN_S)
    for unit in range(3):
        k, seen = counts[..., unit], use[..., unit]
        gain = poisson.logpmf(k, rate_hz[..., unit] * BIN_S) - poisson.logpmf(k, mean_hz[unit] * BIN_S)
        assert found[unit] == pytest.approx(gain[seen].sum() / k[seen].sum() / np.log(2))
    np.testing.assert_allclose(bits_per_spike(np.broadcast_to(mean_hz, counts.shape), mean_hz, counts, use, BIN_S), 0, atol=1e-12)


def test_a_spike_where_the_rate_is_zero_costs_a_finite_amount() -> None:
    counts = np.ones((1, 1, 1), int)
    found = bits_per_spike(np.zeros((1, 1, 1)), np.array([10.0]), counts, counts > 0, BIN_S)
    assert found[0] == pytest.approx(-np.log2(10) + 0.9 * 10 * BIN_S / np.log(2))
    assert np.isnan(bits_per_spike(np.ones((1, 1, 1)), np.array([10.0]), 0 * counts, counts > 0, BIN_S)[0])


def test_the_regression_finds_a_linear_relation_from_training_time_alone() -> None:
    rng = np.random.default_rng(2)
    inputs = rng.uniform(0, 10, (12, 40, 3))
    truth = 4 + inputs @ rng.uniform(0, 2, (3, 2))
    train = truth + 0.1 * rng.normal(size=truth.shape)
    train[::3] = np.nan  # held out
    train[4:8, :, 1] = np.nan  # not recorded
    np.testing.assert_allclose(linear_rates(inputs, train), truth, rtol=0.02)


def test_the_penalty_keeps_noise_out() -> None:
    """Inputs that tell nothing predict hardly more than the mean."""
    rng = np.random.default_rng(3)
    inputs, train = rng.uniform(0, 10, (10, 20, 30)), rng.uniform(0, 10, (10, 20, 4))
    predicted = linear_rates(inputs, train)
    assert predicted.std(axis=(0, 1)).max() < 0.5
    np.testing.assert_allclose(predicted.mean(axis=(0, 1)), train.mean(axis=(0, 1)), rtol=0.05)


def test_scores_are_those_of_the_held_out_segments() -> None:
    rng = np.random.default_rng(4)
    rate_hz = rng.uniform(5, 30, (6, 50, 2))
    counts = rng.poisson(rate_hz * BIN_S)
    test = np.array([False, True, False, False, True, False])[:, None, None]
    train_hz, test_hz = np.where(test, np.nan, rate_hz), np.where(test, rate_hz, np.nan)
    columns = score_held_out_time(rate_hz, 2 * rate_hz, None, train_hz, test_hz, counts, BIN_S)
    np.testing.assert_allclose(columns["r_linear"], 1)
    assert (columns["bits_per_spike"] > columns["bits_per_spike_linear"]).all()
    assert np.isnan(columns["bits_per_spike_untrained"]).all()
    other = np.where(test, rate_hz, 1e3)  # what a model does in training time does not count
    again = score_held_out_time(other, other, None, train_hz, test_hz, counts, BIN_S)
    np.testing.assert_allclose(again["bits_per_spike"], columns["bits_per_spike"])
