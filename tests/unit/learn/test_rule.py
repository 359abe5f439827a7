import numpy as np
import pytest

from fitrec.errors import TrainingError
from fitrec.learn.rule import frozen_psth, mean_correlation, require_finite
from fitrec.networks.weights import Weights
from fitrec.simulate.trials import run_trials
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


def test_frozen_psth_is_the_mean_of_closed_loop_trials() -> None:
    training = tiny_training(validation_trials=3)
    problem, weights = training.problem, training.rule.weights
    network = problem.simulator.network
    psth, (exc, inh) = frozen_psth(problem, weights, 3, 70)
    everyone = np.arange(network.n_neurons, dtype=np.int32)
    rates = []
    for condition in range(2):
        trials = run_trials(network, weights, condition, np.arange(70, 73), bin_steps=problem.bin_steps, neurons=everyone)
        np.testing.assert_allclose(psth[condition], trials.counts[:, :, network.trained].mean(axis=0) / problem.bin_s)
        rates.append(trials.total_spikes.mean(axis=0) / 0.5)
    rate = np.mean(rates, axis=0)
    assert exc == pytest.approx(rate[: network.n_exc].mean())
    assert inh == pytest.approx(rate[network.n_exc :].mean())
    assert exc > 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["plastic", "feed_forward"])
def test_weights_that_are_not_finite_name_their_neuron(value: float, part: str) -> None:
    weights = Weights(plastic=np.ones((4, 3), np.float32), feed_forward=np.ones((2, 4, 5), np.float32))
    neurons = np.array([3, 8, 11, 40], np.int32)
    require_finite(weights, neurons, 2)
    if part == "plastic":
        weights.plastic[2, 1] = weights.plastic[3, 0] = value
    else:
        weights.feed_forward[1, 2, 4] = weights.feed_forward[0, 3, 0] = value
    with pytest.raises(TrainingError, match=r"neuron 11 \(2 neurons in all\) .* loop 3"):
        require_finite(weights, neurons, 2)
