from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.learn.drive_targets import DriveTargets, measure_static_current
from fitrec.learn.rule import Problem
from fitrec.targets.drive import inverse_curve, invert
from tests.small_network import advance
from tests.tiny_fit import tiny_network, tiny_training


def make_problem(**changes: Any) -> Problem:
    return replace(tiny_training().problem, **{"sharpening": 0, **changes})


def rates_at(drive: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rates the f-I curve gives at total drives."""
    network = tiny_network()
    return np.asarray(np.interp(drive, network.fi_drive, network.fi_rate_hz))


def test_the_plastic_drive_supplies_what_the_constant_drive_does_not() -> None:
    problem, network = make_problem(), tiny_network()
    total = DriveTargets(problem).plastic_drive() + network.drive[network.trained]
    curve = inverse_curve(network.fi_drive, network.fi_rate_hz)
    np.testing.assert_allclose(total, invert(problem.rate_hz, curve, problem.rate_floor_hz))
    np.testing.assert_allclose(rates_at(total), problem.rate_hz, atol=0.6)
    order = np.argsort(problem.rate_hz, axis=1)
    assert (np.diff(np.take_along_axis(total, order, axis=1), axis=1) >= 0).all()


def test_rates_below_the_floor_are_raised_to_it() -> None:
    rate_hz = np.full((2, 25, 12), 3.0)
    rate_hz[0, :5] = 0.0
    rate_hz[0, 5:10] = 0.4
    drives = DriveTargets(make_problem(rate_hz=rate_hz, rate_floor_hz=0.4)).plastic_drive()
    np.testing.assert_allclose(drives[0, :5], drives[0, 5:10])
    assert np.isfinite(drives).all()


def test_sharpened_targets_are_closer_once_they_are_smoothed_again() -> None:
    def error(sharpening: int) -> float:
        problem, network = make_problem(sharpening=sharpening), tiny_network()
        rate = rates_at(DriveTargets(problem).plastic_drive() + network.drive[network.trained])
        return float(np.abs(problem.smooth(rate) - problem.rate_hz).mean())

    assert error(3) < 0.6 * error(0)


def test_static_current_is_subtracted() -> None:
    drives = DriveTargets(make_problem())
    before = drives.plastic_drive()
    per_neuron = np.random.default_rng(1).normal(-0.5, 0.3, 12)
    current = np.broadcast_to(per_neuron, (2, 25, 12))
    drives.observe_static_current(np.stack([current, current]), weight=1.0)
    np.testing.assert_allclose(drives.plastic_drive(), before - per_neuron)
    drives.observe_static_current(np.zeros((2, 2, 25, 12)), weight=0.25)
    np.testing.assert_allclose(drives.plastic_drive(), before - 0.75 * per_neuron)


def test_static_current_is_smoothed_over_as_long_as_was_asked_for() -> None:
    bin_s = tiny_training().problem.bin_s
    current = np.zeros((2, 2, 25, 12))
    current[:, :, 12] = 1.0  # one bin, the same in both halves of the trials

    def supplied(width_s: float) -> NDArray[np.float64]:
        drives = DriveTargets(make_problem(static_smoothing_s=width_s))
        before = drives.plastic_drive()
        drives.observe_static_current(current, weight=1.0)
        return np.asarray(before - drives.plastic_drive())[0, :, 0]

    sharp, wide = supplied(bin_s), supplied(5 * bin_s)
    np.testing.assert_allclose(sharp, np.eye(25)[12], atol=1e-12)
    assert np.flatnonzero(wide > 1e-9).tolist() == [10, 11, 12, 13, 14]
    np.testing.assert_allclose(wide[10:15] / wide[12], 1.0)


def test_correction_pushes_towards_the_target() -> None:
    problem = make_problem()
    met, too_low, too_high, twice = (DriveTargets(problem) for _ in range(4))
    before = met.plastic_drive()
    both = np.stack([problem.rate_hz, problem.rate_hz])
    met.observe_rates(both, gain=1.0)
    np.testing.assert_array_equal(met.plastic_drive(), before)
    too_low.observe_rates(0.7 * both, gain=0.5)
    too_high.observe_rates(1.4 * both, gain=0.5)
    twice.observe_rates(1.4 * both, gain=1.0)
    assert (too_low.plastic_drive() > before).all()
    assert (too_high.plastic_drive() < before).all()
    np.testing.assert_allclose(twice.plastic_drive() - before, 2 * (too_high.plastic_drive() - before))


def test_what_the_halves_do_not_share_is_hardly_corrected() -> None:
    """The same misses in both halves are corrected, opposite ones are not."""
    problem = make_problem()
    noise = 1.0 + 0.2 * np.random.default_rng(2).standard_normal(problem.rate_hz.shape)
    shared, opposite = DriveTargets(problem), DriveTargets(problem)
    shared.observe_rates(np.stack([noise, noise]) * problem.rate_hz, gain=1.0)
    opposite.observe_rates(np.stack([noise, 2.0 - noise]) * problem.rate_hz, gain=1.0)
    assert np.abs(opposite.correction).mean() < 0.15 * np.abs(shared.correction).mean()


def test_one_correction_is_bounded() -> None:
    problem = make_problem()
    silent = DriveTargets(problem)
    before = silent.plastic_drive()
    silent.observe_rates(np.zeros((2, *problem.rate_hz.shape)), gain=1.0)
    change = silent.plastic_drive() - before
    assert change.min() >= 0
    assert 0 < change.max() < 1.0


def test_measured_static_current_is_that_of_the_network_without_plastic_input() -> None:
    """One trial, followed step by step: the mean over the window of the static current, sampled every millisecond."""
    problem, network = make_problem(), tiny_network()
    simulator, weights = problem.simulator, tiny_training().rule.weights
    zero = type(weights)(plastic=0 * weights.plastic, feed_forward=0 * weights.feed_forward)
    measured = measure_static_current(problem, weights, 1, 5)
    assert measured.shape == (2, 1, 12)
    for condition in range(2):
        state, wiring = simulator.initial_state(condition, 5), simulator.wiring(zero, condition)
        samples = []
        for step in range(network.window_start_step + network.window_steps):
            advance(simulator, zero, state, 1, step=step, condition=condition, trial=5, wiring=wiring)
            if step >= network.window_start_step and step % 10 == 0:
                samples.append(state.u_static[network.trained].copy())
        expected = np.mean(samples, axis=0)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(measured[condition, 0], expected, atol=1e-5)


def test_static_current_averages_trials() -> None:
    problem, weights = make_problem(), tiny_training().rule.weights
    single = [measure_static_current(problem, weights, 1, trial) for trial in (3, 4)]
    np.testing.assert_allclose(measure_static_current(problem, weights, 2, 3), np.mean(single, axis=0), atol=1e-6)
    assert np.abs(single[0] - single[1]).max() > 1e-3


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(threads: int) -> None:
    weights = tiny_training().rule.weights
    one, more = (measure_static_current(make_problem(threads=n), weights, 4, 0) for n in (1, threads))
    np.testing.assert_array_equal(one, more)
