"""The train stage: checkpoints, resuming after any interruption, the live curve, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fitrec import store
from fitrec.errors import StoreError, TrainingError
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.stages.train_progress import Status
from fitrec.store.checkpoint_writer import CheckpointWriter
from fitrec.store.curve import LiveCurve
from tests.tiny_fit import tiny_targets
from tests.tiny_training import RULES, run_training, save_inputs, train_config, train_partly, without_seconds


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loops", [1, 3])
def test_resumed_equals_uninterrupted(inputs: Path, uninterrupted: dict[str, str], tmp_path: Path, rule: str, loops: int) -> None:
    train_partly(inputs, tmp_path, train_config(rule), loops)
    assert len(list((tmp_path / "checkpoints").glob("*.npz"))) == min(loops, 2)  # the newest two
    run_training(inputs, tmp_path / "fit", train_config(rule), checkpoints=tmp_path / "checkpoints", resume=True, threads=2)
    assert store.content_sha256(tmp_path / "fit" / "weights.zarr") == uninterrupted[rule]
    pd.testing.assert_frame_equal(without_seconds(tmp_path / "fit" / "curve.csv"), without_seconds(inputs / rule / "curve.csv"))
    assert not list((tmp_path / "checkpoints").iterdir())  # they have served


def test_resuming_without_a_checkpoint_starts_from_the_beginning(
    inputs: Path, uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    run_training(inputs, tmp_path / "fit", train_config(), checkpoints=tmp_path / "checkpoints", resume=True)
    assert store.content_sha256(tmp_path / "fit" / "weights.zarr") == uninterrupted["ridge"]


def test_without_resume_earlier_checkpoints_are_not_used(inputs: Path, uninterrupted: dict[str, str], tmp_path: Path) -> None:
    train_partly(inputs, tmp_path, train_config(ridge={"forcing": [0.0, 0.0], "trials": 2}), 1)
    run_training(inputs, tmp_path / "fit", train_config(), checkpoints=tmp_path / "checkpoints")
    assert store.content_sha256(tmp_path / "fit" / "weights.zarr") == uninterrupted["ridge"]


def other_targets(folder: Path, inputs: Path) -> Path:
    store.save(folder / "targets.zarr", tiny_targets(rate_hz=tiny_targets().rate_hz + 0.1), {})
    (folder / "network.zarr").symlink_to(inputs / "network.zarr")
    return folder


def test_other_targets_are_named(inputs: Path, tmp_path: Path) -> None:
    train_partly(inputs, tmp_path, train_config(), 1)
    before = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    with pytest.raises(TrainingError, match=r"checkpoint .* made with another set of targets; "):
        run_training(
            other_targets(tmp_path, inputs), tmp_path / "fit", train_config(), checkpoints=tmp_path / "checkpoints", resume=True
        )
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == before
    assert not (tmp_path / "fit").exists()


def test_the_keys_that_differ_are_named(inputs: Path, tmp_path: Path) -> None:
    train_partly(inputs, tmp_path, train_config(), 1)
    ridge = {**RULES["ridge"]["ridge"], "penalty": 0.5}
    with pytest.raises(TrainingError) as caught:
        run_training(
            inputs,
            tmp_path / "fit",
            train_config(rate_floor_hz=0.2, ridge=ridge),
            checkpoints=tmp_path / "checkpoints",
            resume=True,
        )
    assert str(caught.value).startswith(
        f"the checkpoint {tmp_path / 'checkpoints' / 'loop-000001.npz'} was made with train.rate_floor_hz = 0.1 (now 0.2), "
        "train.ridge.penalty = 0.05 (now 0.5); train without --resume"
    )
    # How often checkpoints are written changes no result.
    run_training(
        inputs, tmp_path / "fit", train_config(checkpoint_every_s=9.0), checkpoints=tmp_path / "checkpoints", resume=True
    )


def test_a_damaged_checkpoint_is_passed_over(
    inputs: Path, uninterrupted: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_partly(inputs, tmp_path, train_config(), 3)
    newest = tmp_path / "checkpoints" / "loop-000003.npz"
    newest.write_bytes(newest.read_bytes()[:5000])
    with caplog.at_level("INFO"):
        run_training(inputs, tmp_path / "fit", train_config(), checkpoints=tmp_path / "checkpoints", resume=True)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "loop-000003.npz is damaged" in warnings[0]
    assert any("resumed after loop 2 of 4" in record.getMessage() for record in caplog.records)
    assert store.content_sha256(tmp_path / "fit" / "weights.zarr") == uninterrupted["ridge"]


def test_the_curve_can_be_watched(inputs: Path, uninterrupted: dict[str, str], tmp_path: Path) -> None:
    """After the checkpoint of loop 1, loops 2 and 3 are told, lost in the kill, and told again once."""
    live = tmp_path / "checkpoints" / "curve.csv"
    seen: list[int] = []
    append = LiveCurve.append

    def watched(self: LiveCurve, row: Any) -> None:
        append(self, row)
        seen.append(len(pd.read_csv(live)))
        if row["loop"] == 3:
            live.write_text(live.read_text() + "4,0.1")  # a row torn by the kill
            raise KeyboardInterrupt

    write = CheckpointWriter.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveCurve, "append", watched)
        patch.setattr(CheckpointWriter, "write", lambda self, c: write(self, c) if c.loops == 1 else None)
        with pytest.raises(KeyboardInterrupt):
            run_training(inputs, tmp_path / "fit", train_config("rls"), checkpoints=tmp_path / "checkpoints")
    assert seen == [1, 2, 3]
    texts: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveCurve, "remove", lambda self: texts.append(live.read_text()))
        run_training(inputs, tmp_path / "fit", train_config("rls"), checkpoints=tmp_path / "checkpoints", resume=True)
    assert texts[-1] == (tmp_path / "fit" / "curve.csv").read_text()
    pd.testing.assert_frame_equal(without_seconds(live), without_seconds(inputs / "rls" / "curve.csv"))


def test_progress_of_every_condition(inputs: Path, tmp_path: Path) -> None:
    shown: list[Status] = []
    run_training(inputs, tmp_path / "fit", train_config("ridge"), show=shown.append)
    done = [status.done for status in shown]
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert len(shown) == 2 * 4 + 2  # four loops, and a validation of both conditions
    curve = pd.read_csv(tmp_path / "fit" / "curve.csv")
    assert [s.text.split("  ")[:2] for s in shown[:2]] == [
        ["loop 1/4", "condition left (1/2)"],
        ["loop 1/4", "condition right (2/2)"],
    ]
    pair = [float(status.text.split(" r ")[1]) for status in shown[:2]]
    assert np.mean(pair) == pytest.approx(curve["correlation"][0], abs=1e-3)  # mean over pairs of neuron and condition
    assert shown[-1].text.endswith("(frozen)")


@pytest.mark.parametrize("changes", [{"condition_names": ["left", "other"]}, {"window_steps": 4000}])
def test_network_and_targets_that_do_not_belong_together(inputs: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=r"built for the conditions .* but the targets hold .* build the network again"):
        run_training(save_inputs(tmp_path, **changes), tmp_path / "fit", train_config())


def test_results_are_only_replaced_when_asked_for(inputs: Path, tmp_path: Path) -> None:
    short = train_config(ridge={"forcing": [0.0], "trials": 2})
    run_training(inputs, tmp_path / "fit", short)
    with pytest.raises(StoreError, match="exists already"):
        run_training(inputs, tmp_path / "fit", short)
    run_training(inputs, tmp_path / "fit", short, overwrite=True)


def test_what_is_written(inputs: Path, uninterrupted: dict[str, str]) -> None:
    network: Network = store.load(inputs / "network.zarr", Network)
    weights = store.load(inputs / "ridge" / "weights.zarr", Weights)
    assert weights.plastic.shape == network.plastic_pre.shape
    assert weights.feed_forward.shape == (2, 12, 20)
    assert (weights.plastic != network.plastic_weight).any()
    curve = pd.read_csv(inputs / "rls" / "curve.csv")
    assert curve["loop"].tolist() == [1, 2, 3, 4]
    assert curve["frozen"].tolist() == [False, True, False, True]
    assert curve["correlation"].notna().tolist() == [False, True, False, True]
    assert sorted(path.name for path in (inputs / "ridge").iterdir()) == ["curve.csv", "provenance.json", "weights.zarr"]
