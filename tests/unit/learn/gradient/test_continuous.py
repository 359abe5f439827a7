"""Continuous fits: which segments are learned from, what they learn, and that nothing but the seed matters."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitrec import store
from fitrec.config.train import TrainConfig
from fitrec.errors import TrainingError
from fitrec.learn.gradient.minibatch import drawn_conditions
from fitrec.learn.training import Training
from fitrec.networks.feed_forward import recorded_rates
from fitrec.stages.train import make_training
from fitrec.targets.targets import Targets
from tests.tiny_continuous import segment_network, tiny_segments
from tests.tiny_training import run_training, train_partly, without_seconds

GRADIENT: dict[str, Any] = {"loops": 3, "evaluate_every": 2, "conditions_per_loop": 3}
RULES: dict[str, dict[str, Any]] = {
    "local-adjoint": {"rule": "local-adjoint"},
    "poisson": {"rule": "local-adjoint", "gradient": {"loss": "poisson", "trials": 2}},
    "all segments": {"rule": "local-adjoint", "gradient": {"loops": 1, "conditions_per_loop": None}},
    "pp-prop": {"rule": "pp-prop"},
    "d-rtrl": {"rule": "d-rtrl", "gradient": {"loops": 2}},
    "bptt": {"rule": "bptt", "gradient": {"loops": 2, "window_ms": 40.0}},
    "e-prop": {"rule": "e-prop"},
    "e-prop-plus": {"rule": "e-prop-plus", "gradient": {"learning_rate": 0.01, "loops": 2, "conditions_per_loop": 1}},
}


def config(rule: str = "local-adjoint", **gradient: Any) -> TrainConfig:
    section = {**RULES[rule], "validation_trials": 2, "checkpoint_every_s": 0.0}
    return TrainConfig.model_validate({**section, "gradient": {**GRADIENT, **RULES[rule].get("gradient", {}), **gradient}})


def training(targets: Targets | None = None, rule: str = "local-adjoint", **gradient: Any) -> Training:
    return make_training(segment_network(), targets or tiny_segments(), config(rule, **gradient), 1)


def test_segments_take_turns_and_only_training_time_is_learned_from() -> None:
    conditions = np.array([0, 2, 3, 5, 8, 9, 10])
    drawn = [drawn_conditions(conditions, 3, 1, loop) for loop in range(7)]
    assert all(np.isin(d, conditions).all() and len(np.unique(d)) == len(d) <= 3 for d in drawn)
    # Seven loops of three draw each of the seven conditions three times, but for those that came twice at once.
    times = np.bincount(np.concatenate(drawn), minlength=11)[conditions]
    assert times.max() == 3
    assert times.sum() >= 21 - 2
    np.testing.assert_array_equal(drawn[4], drawn_conditions(conditions, 3, 1, 4))
    assert any((a != b).any() for a, b in zip(drawn[:2], [drawn_conditions(conditions, 3, 2, k) for k in range(2)], strict=True))
    np.testing.assert_array_equal(drawn_conditions(conditions, None, 1, 0), conditions)
    problem = training().problem
    np.testing.assert_array_equal(problem.fitted, np.flatnonzero(~tiny_segments().trial_is_test))
    assert np.isin(problem.validated, problem.fitted).all()


@pytest.mark.parametrize("rule", RULES)
def test_held_out_time_changes_nothing(rule: str) -> None:
    """Other spikes in held-out time give the same weights, bit for bit."""
    targets = tiny_segments()
    counts = targets.counts.copy()
    counts[targets.trial_is_test] = 7
    test_hz = np.where(targets.trial_is_test[:, None, None], 350.0, np.nan) * np.ones_like(targets.rate_hz)
    weights = [training(t, rule).run(lambda *_: None) for t in (targets, replace(targets, counts=counts, rate_test_hz=test_hz))]
    np.testing.assert_array_equal(weights[0].feed_forward, weights[1].feed_forward)
    np.testing.assert_array_equal(weights[0].plastic, weights[1].plastic)
    assert weights[0].feed_forward.shape == (1, 5, 4)
    assert weights[0].feed_forward.any()


@pytest.mark.parametrize("rule", ["local-adjoint", "e-prop-plus"])
def test_resumed_and_threaded_fits_are_the_same(rule: str, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    store.save(inputs / "network.zarr", segment_network(), {})
    store.save(inputs / "targets.zarr", tiny_segments(), {})
    settings = config(rule)
    whole = run_training(inputs, tmp_path / "whole", settings)
    threaded = run_training(inputs, tmp_path / "threaded", settings, threads=2)
    train_partly(inputs, tmp_path / "cut", settings, settings.gradient.loops - 1)
    resumed = run_training(inputs, tmp_path / "cut" / "fit", settings, checkpoints=tmp_path / "cut" / "checkpoints", resume=True)
    for other in (threaded, resumed):
        np.testing.assert_array_equal(whole.plastic, other.plastic)
        np.testing.assert_array_equal(whole.feed_forward, other.feed_forward)
    assert without_seconds(tmp_path / "whole" / "curve.csv").equals(without_seconds(tmp_path / "cut" / "fit" / "curve.csv"))


def test_a_unit_learns_nothing_from_segments_it_was_not_recorded_in() -> None:
    """Its neuron's weights stay where they were, while the others learn."""
    targets = tiny_segments()
    rate_hz, observed = targets.rate_hz.copy(), np.ones((20, 5), bool)
    last = int(np.flatnonzero(~targets.trial_is_test)[-1])
    observed[np.arange(20) != last, 2] = False
    rate_hz[:last, :, 2] = np.nan
    fit = training(replace(targets, rate_hz=rate_hz, observed=observed), conditions_per_loop=1, averaging=0).rule
    drawn = [int(drawn_conditions(training().problem.fitted, 1, 3, loop)[0]) for loop in range(14)]
    neuron = segment_network().trained_unit.tolist().index(2)
    for loop, condition in enumerate(drawn[: drawn.index(last)][:4]):
        before = fit.weights.feed_forward.copy()
        fit.loop(loop)
        changed = (fit.weights.feed_forward != before).any(axis=(0, 2))
        assert condition != last
        assert not changed[neuron]
        assert changed.sum() >= 3


@pytest.mark.parametrize("rule", ["ridge", "rls"])
def test_least_squares_are_refused(rule: str) -> None:
    with pytest.raises(TrainingError, match=f"train.rule is {rule}, which averages trials of a condition, but targets.cont"):
        make_training(segment_network(), tiny_segments(), TrainConfig(rule=rule), 1)  # type: ignore[arg-type]


def test_targets_that_are_not_finite_are_named() -> None:
    targets = tiny_segments()
    rate_hz = targets.rate_hz.copy()
    rate_hz[0, 3, 1] = np.nan
    with pytest.raises(TrainingError, match=r"target rate of unit 105 .* is nan in condition '0 s', bin 4 \(1 bins in all\)"):
        training(replace(targets, rate_hz=rate_hz))


def test_inputs_carry_recorded_rates() -> None:
    """Scaled to their mean in training time, interpolated, ahead by what synapses delay, with what was recorded before."""
    time_ms = np.arange(200) * 20.0 + 10
    recorded = np.stack([5 + 0.01 * time_ms, 3 + 0 * time_ms], axis=1).reshape(4, 50, 2)
    training = np.array([True, False, True, True])
    rates = recorded_rates(recorded, training, bin_ms=20.0, lead_ms=100.0, ahead_ms=30.0, rate_hz=60.0, largest_hz=1e9)
    assert rates.shape == (4, 1100, 2)
    np.testing.assert_allclose(rates[..., 1], 60.0, rtol=1e-6)
    scale = 60 / recorded[training][..., 0].mean()
    wanted_ms = 2000 + np.arange(-100, 1000) + 0.5 + 30
    np.testing.assert_allclose(rates[2, :, 0], (5 + 0.01 * wanted_ms) * scale, rtol=1e-5)
    assert rates[0, 0, 0] == pytest.approx(recorded[0, 0, 0] * scale)  # before the recording its first value holds
    cut = recorded_rates(recorded, training, bin_ms=20.0, lead_ms=0.0, ahead_ms=0.0, rate_hz=60.0, largest_hz=70.0)
    assert cut.max() == 70
