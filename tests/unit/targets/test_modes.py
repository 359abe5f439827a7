"""Targets of few modes: what is kept, and how much of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fitrec.errors import TargetsError
from fitrec.recordings.recording import Recording, exclusion_table
from fitrec.targets.build import TargetOptions, build_targets
from fitrec.targets.modes import leading_modes
from fitrec.targets.reliable import Trials, measure_reliability, reliable_part
from fitrec.targets.targets import Targets


def shared_rates(n_modes: int, n_units: int = 60, seed: int = 0) -> np.ndarray:
    """Rates (2 conditions, 40 bins, unit) spanned by a few smooth time courses."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1, 40)
    courses = np.stack([np.sin(2 * np.pi * (0.5 + 0.4 * mode) * time + rng.uniform(0, 6, (2, 1))) for mode in range(n_modes)])
    return 12.0 + 3.0 / np.sqrt(n_modes) * np.einsum("mct,mu->ctu", courses, rng.normal(size=(n_modes, n_units)))


def recording(rates: np.ndarray, n_trials: int, seed: int = 1) -> Recording:
    rng = np.random.default_rng(seed)
    condition = np.tile([0, 1], n_trials)
    return Recording(
        name="x",
        kind="counts",
        units=pd.DataFrame({"unit_id": np.arange(rates.shape[2]), "area": ""}),
        excluded=exclusion_table([], [], []),
        trials=pd.DataFrame({"stimulus": condition}),
        counts=rng.poisson(np.maximum(rates, 0.0)[condition] * 0.02).astype(np.uint8),
        bin_size_s=0.02,
        t_start_s=0.0,
    )


def options(**given: object) -> TargetOptions:
    return TargetOptions(condition_by=["stimulus"], smoothing={"kernel": "gaussian", "width_s": 0.04}, **given)  # type: ignore[arg-type]


def error(targets: Targets, rates: np.ndarray, values: np.ndarray) -> float:
    return float(((values - rates[:, :, targets.units["unit_id"]]) ** 2).mean())


def test_rates_of_few_modes_are_kept() -> None:
    rates = np.maximum(shared_rates(3), 0.1)
    np.testing.assert_allclose(leading_modes(rates, 60), rates, rtol=1e-9)
    gentle = 20.0 + 0.1 * (shared_rates(3) - 12.0)
    # The scaling of the units is linear, so three modes remain three.
    np.testing.assert_allclose(leading_modes(gentle, 3), gentle, rtol=1e-9)
    assert np.abs(leading_modes(gentle, 2) - gentle).max() > 0.01


@pytest.mark.parametrize("n_modes", [2, 5])
def test_reliable_modes_come_closer_to_the_truth(n_modes: int) -> None:
    rates = shared_rates(n_modes)
    targets = build_targets(recording(rates, 24), options(modes="auto"))
    assert targets.target_hz is not None
    assert error(targets, rates, targets.target_hz) < 0.75 * error(targets, rates, targets.rate_hz)
    np.testing.assert_array_equal(targets.wanted_hz, targets.target_hz)


def trials_of(given: Recording, observed: np.ndarray | None = None) -> Trials:
    assert given.counts is not None
    return Trials(
        counts=given.counts,
        condition=given.trials["stimulus"].to_numpy(np.int32),
        n_conditions=2,
        bin_size_s=0.02,
        smoother=lambda rate: rate,
        observed=observed,
    )


def test_reliability_tells_what_recurs() -> None:
    """Many trials: the modes of the rates are relied on and the rest is not; no signal: nothing is."""
    found = measure_reliability(trials_of(recording(shared_rates(3), 400)), 1)
    assert (found.mode[:3] > 0.9).all()
    assert (found.mode[4:] < 0.1).all()
    assert (found.own < 0.2).all()
    noise = measure_reliability(trials_of(recording(np.full((2, 40, 60), 10.0), 400)), 1)
    assert (noise.mode < 0.1).all()
    # 400 trials of each condition at 10 Hz in bins of 20 ms.
    np.testing.assert_allclose(noise.noise_hz, np.sqrt(10.0 / 0.02 / 400), rtol=0.2)


def test_a_units_own_course_is_kept() -> None:
    """One unit follows a time course of its own: no mode of the population, but it recurs."""
    rates = shared_rates(2)
    rates[:, :, 7] = 12.0 + 4.0 * np.sign(np.sin(np.arange(80.0).reshape(2, 40)))
    given = recording(rates, 60)
    assert given.counts is not None
    trials = trials_of(given)
    found = measure_reliability(trials, 1)
    assert found.own[7] > np.delete(found.own, 7).max()
    assert found.energy[7] > np.median(found.energy)
    measured = np.stack([given.counts[trials.condition == c].mean(axis=0) / 0.02 for c in range(2)])
    kept, of_modes = (
        np.corrcoef(reliable_part(measured, known)[:, :, 7].ravel(), rates[:, :, 7].ravel())[0, 1]
        for known in (found, replace(found, own=np.zeros(60)))
    )
    assert kept > of_modes + 0.03


def test_units_seen_in_few_trials_do_no_harm() -> None:
    """A unit that some halves lack is scaled by its rate; the others keep their figures."""
    given = recording(shared_rates(3), 20)
    observed = np.ones((40, 60), np.bool_)
    observed[1:, 5] = False
    assert given.counts is not None
    found = measure_reliability(trials_of(given, observed), 1)
    for figure in (found.noise_hz, found.energy, found.own):
        assert np.isfinite(figure).all()
    assert 0.2 < found.noise_hz[5] / np.median(found.noise_hz) < 5


def test_one_training_trial_in_each_condition_tells_nothing() -> None:
    with pytest.raises(TargetsError, match="one training trial in each condition"):
        build_targets(recording(shared_rates(2), 2), options(modes="auto"))


def test_test_trials_and_held_out_units_have_no_part() -> None:
    rates = shared_rates(3)
    given = recording(rates, 20)
    targets = build_targets(given, options(modes="auto", held_out_units=0.2))
    held_out = targets.units["held_out"].to_numpy(bool)
    assert targets.target_hz is not None
    assert targets.trial_is_test is not None
    assert targets.trial_id is not None
    np.testing.assert_array_equal(targets.target_hz[:, :, held_out], targets.rate_hz[:, :, held_out])
    assert given.counts is not None
    other = given.counts.copy()
    other[targets.trial_id[targets.trial_is_test]] += 1
    other[:, :, held_out] += 1
    changed = build_targets(Recording(**{**vars(given), "counts": other}), options(modes="auto", held_out_units=0.2))
    assert changed.target_hz is not None
    np.testing.assert_array_equal(changed.target_hz[:, :, ~held_out], targets.target_hz[:, :, ~held_out])


def test_without_modes_the_psths_are_wanted() -> None:
    targets = build_targets(recording(shared_rates(2), 8), options())
    assert targets.target_hz is None
    assert targets.wanted_hz is targets.rate_hz


def test_rates_only_need_a_number() -> None:
    rates = Recording(
        name="x",
        kind="rates",
        units=pd.DataFrame({"unit_id": np.arange(60), "area": ""}),
        excluded=exclusion_table([], [], []),
        trials=pd.DataFrame(),
        rate_hz=np.maximum(shared_rates(3), 0.1),
        condition_names=["a", "b"],
        bin_size_s=0.02,
        t_start_s=0.0,
    )
    given = TargetOptions(smoothing={"kernel": "none", "width_s": 0.0}, modes="auto")
    with pytest.raises(TargetsError, match="rates only"):
        build_targets(rates, given)
    assert build_targets(rates, TargetOptions(modes=3)).target_hz is not None
