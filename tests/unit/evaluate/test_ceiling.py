"""Ceilings against what is true by construction: Poisson trials around known rates."""

from functools import partial

import numpy as np
import pytest

from fitrec.evaluate.ceiling import poisson_ceiling, spearman_brown, split_half_ceiling
from fitrec.evaluate.psth import correlate
from fitrec.targets.smoothing import smooth

BIN_S = 0.02
SMOOTH = partial(smooth, bin_size_s=BIN_S, kernel="gaussian", width_s=0.04)


def true_rates(n_units: int = 40, n_bins: int = 50, n_conditions: int = 2) -> np.ndarray:
    """Smooth rates (condition, time, unit) of a few Hz with different depths of modulation."""
    rng = np.random.default_rng(7)
    t = np.linspace(0, 1, n_bins)[None, :, None]
    phase, cycles = rng.uniform(0, 2 * np.pi, (n_conditions, 1, n_units)), rng.uniform(1, 3, (n_conditions, 1, n_units))
    depth = np.linspace(0.5, 1, n_units)
    return 8 * (1 + depth * np.sin(2 * np.pi * cycles * t + phase))


def poisson_trials(rate_hz: np.ndarray, per_condition: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    condition = np.repeat(np.arange(len(rate_hz)), per_condition)
    return np.random.default_rng(seed).poisson(rate_hz[condition] * BIN_S), condition


def psth(counts: np.ndarray, condition: np.ndarray) -> np.ndarray:
    return SMOOTH(np.stack([counts[condition == c].mean(axis=0) / BIN_S for c in np.unique(condition)]), axis=1)


@pytest.mark.parametrize("method", ["concatenated", "per_condition"])
def test_ceiling_is_what_the_true_rates_reach(method: str) -> None:
    rate = true_rates()
    reached, ceiling = [], []
    for seed in range(6):
        counts, condition = poisson_trials(rate, 20, seed)
        reached.append(correlate(SMOOTH(rate, axis=1), psth(counts, condition), method))
        ceiling.append(split_half_ceiling(counts, condition, SMOOTH, splits=20, method=method).r)
    # 40 units x 6 repetitions: the standard error of the mean is below 0.005.
    assert np.nanmean(ceiling) == pytest.approx(np.mean(reached), abs=0.02)
    per_unit = np.nanmean(ceiling, axis=0) - np.mean(reached, axis=0)
    assert np.abs(per_unit).max() < 0.12


def test_an_odd_number_of_trials_is_halved() -> None:
    rate = true_rates(10)
    even, odd = (split_half_ceiling(*poisson_trials(rate, n, 3), SMOOTH).r for n in (20, 21))
    assert np.nanmean(odd) == pytest.approx(np.nanmean(even), abs=0.05)


def test_missing_trials_are_left_out_per_unit() -> None:
    rate = true_rates(6)
    counts, condition = poisson_trials(rate, 24, 5)
    observed = np.ones((48, 6), bool)
    observed[::2, 0] = False
    observed[condition == 1, 1] = False  # one condition only
    observed[1:, 2] = False  # a single trial
    spoiled = np.where(observed[:, None, :], counts, 1000)
    ceiling = split_half_ceiling(spoiled, condition, SMOOTH, observed=observed, seed=1)
    complete = split_half_ceiling(counts, condition, SMOOTH, seed=1)
    np.testing.assert_array_equal(ceiling.half_r[3:], complete.half_r[3:])
    alone = split_half_ceiling(counts[condition == 0][:, :, 1:2], condition[condition == 0], SMOOTH, seed=1)
    assert ceiling.r[1] == pytest.approx(alone.r[0], abs=0.1)
    assert 0 < ceiling.r[0] < 1
    assert np.isnan(ceiling.r[2])
    assert ceiling.reason[2] == "no condition with two test trials"


def test_undefined_ceilings_are_named() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.0, (8, 60, 30))  # no signal: about half of the units have halves that anticorrelate
    counts[:, :, 0] = 0
    ceiling = split_half_ceiling(counts, np.zeros(8, int), SMOOTH)
    assert ceiling.reason[0] == "too few spikes to halve the test trials"
    negative = ceiling.half_r <= 0
    assert 3 < negative.sum() < 29
    assert np.isnan(ceiling.r[negative]).all()
    assert {ceiling.reason[u] for u in np.flatnonzero(negative)} == {"halves of the test trials do not correlate"}
    assert all(ceiling.reason[u] == "" for u in np.flatnonzero(ceiling.half_r > 0))


def test_spearman_brown() -> None:
    np.testing.assert_allclose(spearman_brown(np.array([0.5, 1.0])), [2 / 3, 1.0])
    assert np.isnan(spearman_brown(np.array([0.0, -0.3, np.nan]))).all()


@pytest.mark.parametrize("blurred", [True, False])
def test_poisson_ceiling_is_what_poisson_trials_reach(blurred: bool) -> None:
    rate = true_rates()
    expected = []
    for seed in range(40):
        counts, condition = poisson_trials(rate, 10, seed)
        reached = psth(counts, condition)
        expected.append(correlate(reached if blurred else rate + reached - SMOOTH(rate, axis=1), rate))
    ceiling = poisson_ceiling(rate, 10, BIN_S, SMOOTH, blurred=blurred, draws=40)
    np.testing.assert_allclose(ceiling, np.mean(expected, axis=0), atol=0.04)
    assert ceiling.mean() == pytest.approx(np.mean(expected), abs=0.005)


def test_poisson_ceiling_follows_the_signal_to_noise_ratio() -> None:
    rate = true_rates()
    n = np.array([5, 20, 80, 320])
    r = np.array([poisson_ceiling(rate, int(k), BIN_S, SMOOTH, blurred=False).mean() for k in n])
    assert np.all(np.diff(r) > 0)
    assert r[-1] > 0.99
    # With little noise 1 / r^2 - 1 is the noise-to-signal ratio, which falls as 1 / trials.
    ratio = 1 / r**2 - 1
    assert ratio[2] / ratio[3] == pytest.approx(4, rel=0.15)


def test_poisson_ceiling_of_a_constant_or_missing_target_is_undefined() -> None:
    rate = true_rates(3)
    rate[:, :, 0] = np.nan
    rate[:, :, 1] = 0
    assert np.isnan(poisson_ceiling(rate, 5, BIN_S, SMOOTH)[:2]).all()
