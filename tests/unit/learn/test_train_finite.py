"""Weights and targets that are not finite stop a training; what it has reached is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitrec import store
from fitrec.errors import FitrecError, TrainingError
from fitrec.learn.drive_targets import DriveTargets
from fitrec.learn.gradient.fit import GradientFit
from fitrec.learn.gradient.online import OnlineFit
from fitrec.learn.ridge import Ridge
from fitrec.learn.rls import Rls
from fitrec.learn.rule import LoopResult
from tests.tiny_fit import tiny_network, tiny_targets
from tests.tiny_training import LEAST_SQUARES, RULES, run_training, save_inputs, train_config

LEARNERS = {"ridge": Ridge, "gathered": Ridge, "rls": Rls, "e-prop-plus": OnlineFit}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("rule", RULES)
def test_weights_that_are_not_finite_stop_the_training(inputs: Path, tmp_path: Path, rule: str) -> None:
    weights = tiny_network().plastic_weight.copy()
    weights[3, 0] = np.nan
    neuron = tiny_network().trained[3]
    with pytest.raises(FitrecError, match=rf"neuron {neuron}\b.*(infinite or NaN|not finite)"):
        run_training(
            save_inputs(tmp_path, plastic_weight=weights),
            tmp_path / "fit",
            train_config(rule),
            checkpoints=tmp_path / "checkpoints",
        )
    assert not (tmp_path / "fit").exists()
    assert list((tmp_path / "checkpoints").glob("*.npz")) == []


@pytest.mark.parametrize("rule", RULES)
def test_the_last_good_checkpoint_outlives_weights_that_are_not_finite(
    inputs: Path, uninterrupted: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    learner: Any = LEARNERS.get(rule, GradientFit)
    loop = learner.loop

    def poisoned(self: Any, index: int) -> LoopResult:
        result = loop(self, index)
        if index == 2:
            self.weights.plastic[5, 1] = np.inf
        return result

    with monkeypatch.context() as patch:
        patch.setattr(learner, "loop", poisoned)
        with pytest.raises(TrainingError, match=rf"neuron {tiny_network().trained[5]} .* in loop 3") as caught:
            run_training(inputs, tmp_path / "fit", train_config(rule), checkpoints=tmp_path / "checkpoints")
    # That of loop 1 where its writing was still under way when loop 2 ended.
    kept = {path.name for path in (tmp_path / "checkpoints").glob("loop-*.npz")}
    assert kept & {"loop-000001.npz", "loop-000002.npz"}
    assert "loop-000003.npz" not in kept
    assert str(caught.value).endswith(f"; the last good checkpoint is {tmp_path / 'checkpoints' / max(kept)}")
    run_training(inputs, tmp_path / "fit", train_config(rule), checkpoints=tmp_path / "checkpoints", resume=True)
    assert store.content_sha256(tmp_path / "fit" / "weights.zarr") == uninterrupted[rule]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_targets_that_are_not_finite_are_refused(inputs: Path, tmp_path: Path, value: float) -> None:
    rates = tiny_targets().rate_hz.copy()
    rates[1, 7, 4] = value
    store.save(tmp_path / "targets.zarr", tiny_targets(rate_hz=rates), {})
    (tmp_path / "network.zarr").symlink_to(inputs / "network.zarr")
    neuron = tiny_network().trained[tiny_network().trained_unit.tolist().index(4)]
    with pytest.raises(TrainingError, match=rf"unit 4 \(neuron {neuron}\) is {value} in condition 'right', bin 8 \(1 bins"):
        run_training(tmp_path, tmp_path / "fit", train_config(), checkpoints=tmp_path / "checkpoints")
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("rule", LEAST_SQUARES)
def test_drive_targets_that_become_infinite_are_named(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    drive = DriveTargets.plastic_drive

    def poisoned(self: DriveTargets) -> Any:
        wanted = drive(self)
        wanted[0, 3, 2] = np.inf
        return wanted

    monkeypatch.setattr(DriveTargets, "plastic_drive", poisoned)
    with pytest.raises(
        TrainingError, match=rf"drive of neuron {tiny_network().trained[2]} became inf in loop 1, .*'left', bin 4 "
    ):
        run_training(inputs, tmp_path / "fit", train_config(rule))
