"""PSTHs against their targets: smoothing, correlations, validations."""

from dataclasses import replace

import numpy as np
import pytest

from fitrec.kernels.reference import psth as reference
from fitrec.learn.psth_fit import correlation_of, fit_correlation, mean_correlation, moments, validate
from fitrec.learn.regions import Regions
from fitrec.learn.trial_sums import TrialSums
from fitrec.simulate.trials import run_trials
from fitrec.targets.smoothing import kernel_weights, smooth_with
from tests.tiny_fit import tiny_training


def test_mean_correlation_is_pearsons_r_within_conditions() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(5, 1, (3, 40, 6)), rng.normal(2, 3, (3, 40, 6))
    b += 2 * a
    a[1] += 100  # differences between conditions do not count
    expected = np.mean([np.corrcoef(a[c, :, u], b[c, :, u])[0, 1] for c in range(3) for u in range(6)])
    assert mean_correlation(a, b) == pytest.approx(expected, rel=1e-9)
    assert mean_correlation(a, 3 * a + 1) == pytest.approx(1.0)
    assert mean_correlation(a, -a) == pytest.approx(-1.0)


def test_targets_without_variance_are_left_out_and_silent_neurons_count_as_0() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(2, 30, 3))
    b = a.copy()
    a[0, :, 1], b[1, :, 2] = 4.7, 0.0
    b[0, :, 0] *= -1
    assert mean_correlation(a, b) == pytest.approx((1 + 1 + 1 - 1 + 0) / 5)
    assert np.isnan(mean_correlation(np.zeros((2, 30, 3)), b))


def test_regions_are_compared_by_those_of_their_units_that_were_recorded() -> None:
    """In continuous time; where none of a region's was, the region does not count."""
    rng = np.random.default_rng(3)
    rate, target = rng.gamma(2, 3, (3, 30, 5)), rng.gamma(2, 3, (3, 30, 5))
    target[1, :, [0, 3]] = target[2, :, 1] = np.nan
    problem = replace(tiny_training().problem, continuous=True, regions=Regions(["b", "a", "a", "", "b"]))
    b = [np.concatenate((x[0][:, [0, 4]].mean(axis=1), x[1, :, 4], x[2][:, [0, 4]].mean(axis=1))) for x in (rate, target)]
    a = [np.concatenate((x[:2, :, [1, 2]].mean(axis=2).ravel(), x[2, :, 2])) for x in (rate, target)]
    expected = (np.corrcoef(*a)[0, 1] + np.corrcoef(*b)[0, 1]) / 2
    assert fit_correlation(problem, rate, np.arange(3), target) == pytest.approx(expected)
    unknown = target.copy()
    unknown[1, :, [0, 1, 2, 4]] = np.nan  # of the second segment only a unit without a region is left
    assert replace(problem, rate_hz=target).fitted.tolist() == [0, 1, 2]
    assert replace(problem, rate_hz=unknown).fitted.tolist() == [0, 2]
    target[1, :, 4] = np.nan
    b = [np.concatenate((x[0][:, [0, 4]].mean(axis=1), x[2][:, [0, 4]].mean(axis=1))) for x in (rate, target)]
    expected = (np.corrcoef(*a)[0, 1] + np.corrcoef(*b)[0, 1]) / 2
    assert fit_correlation(problem, rate, np.arange(3), target) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(1, 40, 3), (2, 30, 1030)])
def test_equals_the_textbook_forms(shape: tuple[int, int, int]) -> None:
    """Several pieces of work, on any number of threads."""
    rng = np.random.default_rng(2)
    x, goal, weights = rng.gamma(2, 3, shape), rng.gamma(2, 3, shape), kernel_weights(0.02, "gaussian", 0.05)
    smoothed = smooth_with(x, weights, 1)
    np.testing.assert_allclose(smoothed, reference.smooth(x, weights, 1), rtol=1e-13)
    found = moments(smoothed, goal)
    r = found[0] / np.sqrt(found[1] * found[2])
    np.testing.assert_allclose(r, reference.correlations(smoothed, goal), rtol=1e-10)
    assert correlation_of(found) == pytest.approx(r.mean(), rel=1e-12)
    for threads in (2, 3):
        np.testing.assert_array_equal(smooth_with(x, weights, 1, threads), smoothed)
        np.testing.assert_array_equal(moments(smoothed, goal, threads), found)


def test_a_validation_is_of_closed_loop_trials_with_frozen_weights() -> None:
    training = tiny_training(validation_trials=3)
    problem, weights = training.problem, training.rule.weights
    network = problem.simulator.network
    correlation, (exc, inh) = validate(problem, weights, 3, 70)
    everyone = np.arange(network.n_neurons, dtype=np.int32)
    rates, psth = [], []
    for condition in range(2):
        trials = run_trials(network, weights, condition, np.arange(70, 73), bin_steps=problem.bin_steps, neurons=everyone)
        psth.append(trials.counts[:, :, network.trained].mean(axis=0) / problem.bin_s)
        sums = problem.sum_trials(weights, condition, range(70, 73))
        assert isinstance(sums, TrialSums)
        np.testing.assert_allclose(sums.psth_hz(problem.bin_s), psth[-1])
        rates.append(trials.total_spikes.mean(axis=0) / 0.5)
    r = reference.correlations(reference.smooth(np.stack(psth), problem.smoothing, 1), problem.rate_hz)
    assert correlation == pytest.approx(np.nan_to_num(r).mean(), rel=1e-12)
    rate = np.mean(rates, axis=0)
    assert exc == pytest.approx(rate[: network.n_exc].mean())
    assert inh == pytest.approx(rate[network.n_exc :].mean())
    assert exc > 0.5
