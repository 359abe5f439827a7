"""The train stage: checkpoints, resuming after any interruption, refusals."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fitrec import store
from fitrec.config.train import TrainConfig
from fitrec.errors import StoreError, TrainingError
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.stages import train
from fitrec.store.checkpoints import Checkpoint, read_newest, remove_all, write_checkpoint
from tests.tiny_fit import tiny_network, tiny_targets

RIDGE = {"forcing": [1.0, 0.5, 0.0, 0.0], "trials": 2, "closed_loop_trials": 3, "correction_from": 2}
RULES: dict[str, dict[str, Any]] = {
    "ridge": {"rule": "ridge", "ridge": {**RIDGE, "gram": "shared"}},
    # Room for five of the ten trials: the oldest are replaced.
    "gathered": {"rule": "ridge", "ridge": {**RIDGE, "gram": "gathered", "memory_gb": 1.2e-4}},
    "rls": {"rule": "rls", "rls": {"loops": 4, "rank": 4, "evaluate_every": 2}},
}


def config(rule: str = "ridge", **changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({"validation_trials": 2, "checkpoint_every_s": 0.0, **RULES[rule], **changes})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    store.save(folder / "network.zarr", tiny_network(), {})
    store.save(folder / "targets.zarr", tiny_targets(), {})
    return folder


@pytest.fixture(scope="module")
def uninterrupted(inputs: Path) -> dict[str, str]:
    """Content of the weights per rule; trained without checkpoints."""
    digests = {}
    for rule in RULES:
        run(inputs, inputs / rule, config(rule))
        digests[rule] = store.content_sha256(inputs / rule / "weights.zarr")
    return digests


def run(inputs: Path, out: Path, settings: TrainConfig, **options: Any) -> Weights:
    return train.run(inputs / "network.zarr", inputs / "targets.zarr", out, settings, **{"threads": 1, **options})


def interrupt_after(monkeypatch: pytest.MonkeyPatch, loops: int) -> None:
    """Stop the training as soon as the checkpoint of this loop is written."""
    write = train.write_checkpoint

    def write_and_stop(folder: Path, checkpoint: Checkpoint) -> None:
        write(folder, checkpoint)
        if checkpoint.loops == loops:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "write_checkpoint", write_and_stop)


def train_partly(inputs: Path, folder: Path, settings: TrainConfig, loops: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        interrupt_after(monkeypatch, loops)
        with pytest.raises(KeyboardInterrupt):
            run(inputs, folder / "fit", settings, checkpoints=folder / "checkpoints")
    assert not (folder / "fit").exists()


def without_seconds(curve: Path) -> pd.DataFrame:
    return pd.read_csv(curve).drop(columns="seconds")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loops", [1, 3])
def test_resumed_equals_uninterrupted(inputs: Path, uninterrupted: dict[str, str], tmp_path: Path, rule: str, loops: int) -> None:
    train_partly(inputs, tmp_path, config(rule), loops)
    assert len(list((tmp_path / "checkpoints").iterdir())) == min(loops, 2)  # the newest two
    run(inputs, tmp_path / "fit", config(rule), checkpoints=tmp_path / "checkpoints", resume=True, threads=2)
    assert store.content_sha256(tmp_path / "fit" / "weights.zarr") == uninterrupted[rule]
    pd.testing.assert_frame_equal(without_seconds(tmp_path / "fit" / "curve.csv"), without_seconds(inputs / rule / "curve.csv"))
    assert not list((tmp_path / "checkpoints").iterdir())  # they have served


def test_resuming_without_a_checkpoint_starts_from_the_beginning(
    inputs: Path, uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    run(inputs, tmp_path / "fit", config(), checkpoints=tmp_path / "checkpoints", resume=True)
    assert store.content_sha256(tmp_path / "fit" / "weights.zarr") == uninterrupted["ridge"]


def test_without_resume_earlier_checkpoints_are_not_used(inputs: Path, uninterrupted: dict[str, str], tmp_path: Path) -> None:
    train_partly(inputs, tmp_path, config(ridge={"forcing": [0.0, 0.0], "trials": 1}), 1)
    run(inputs, tmp_path / "fit", config(), checkpoints=tmp_path / "checkpoints")
    assert store.content_sha256(tmp_path / "fit" / "weights.zarr") == uninterrupted["ridge"]


def test_killed_and_resumed(inputs: Path, tmp_path: Path) -> None:
    """kill -9 of the command as soon as its second checkpoint appears; 40 loops give ample time."""
    command = [sys.executable, "-m", "fitrec", "train", str(inputs / "network.zarr"), str(inputs / "targets.zarr")]
    command += ["--rule", "rls", "--rls-loops", "40", "--validation-trials", "2", "--rls-evaluate-every", "5"]
    command += ["--checkpoint-every-s", "0", "--threads", "1"]
    checkpoints = ["--checkpoints", str(tmp_path / "checkpoints")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

    def finish(out: Path, *options: str) -> str:
        done = subprocess.run(
            [*command, "--out", str(out), *options], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return store.content_sha256(out / "weights.zarr")

    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "fit"), *checkpoints], env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while len(list((tmp_path / "checkpoints").glob("loop-*.npz"))) < 2:
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "fit").exists()
    assert finish(tmp_path / "fit", *checkpoints, "--resume") == finish(tmp_path / "again")


def other_targets(folder: Path, inputs: Path) -> Path:
    store.save(folder / "targets.zarr", tiny_targets(rate_hz=tiny_targets().rate_hz + 0.1), {})
    (folder / "network.zarr").symlink_to(inputs / "network.zarr")
    return folder


def test_other_targets_are_named(inputs: Path, tmp_path: Path) -> None:
    train_partly(inputs, tmp_path, config(), 1)
    before = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    with pytest.raises(TrainingError, match=r"checkpoint .* made with another set of targets; "):
        run(other_targets(tmp_path, inputs), tmp_path / "fit", config(), checkpoints=tmp_path / "checkpoints", resume=True)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == before
    assert not (tmp_path / "fit").exists()


def test_another_config_is_named(inputs: Path, tmp_path: Path) -> None:
    train_partly(inputs, tmp_path, config(), 1)
    with pytest.raises(TrainingError, match=r"made with another train section of the config; "):
        run(inputs, tmp_path / "fit", config(rate_floor_hz=0.2), checkpoints=tmp_path / "checkpoints", resume=True)
    # How often checkpoints are written changes no result.
    run(inputs, tmp_path / "fit", config(checkpoint_every_s=9.0), checkpoints=tmp_path / "checkpoints", resume=True)


def test_a_damaged_checkpoint_is_passed_over(
    inputs: Path, uninterrupted: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_partly(inputs, tmp_path, config(), 3)
    newest = tmp_path / "checkpoints" / "loop-000003.npz"
    newest.write_bytes(newest.read_bytes()[:5000])
    with caplog.at_level("INFO"):
        run(inputs, tmp_path / "fit", config(), checkpoints=tmp_path / "checkpoints", resume=True)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "loop-000003.npz is damaged" in warnings[0]
    assert any("resumed after loop 2 of 4" in record.getMessage() for record in caplog.records)
    assert store.content_sha256(tmp_path / "fit" / "weights.zarr") == uninterrupted["ridge"]


def test_the_two_newest_are_kept(tmp_path: Path) -> None:
    for loops in (1, 2, 9, 10, 11):
        write_checkpoint(tmp_path, Checkpoint(loops=loops, identity={}, values={}, arrays={}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loop-000010.npz", "loop-000011.npz"]
    newest = read_newest(tmp_path, {})
    assert newest is not None
    assert newest.loops == 11
    remove_all(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "not a zip", "another zip"])
def test_every_damage_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    for loops in (1, 2):
        arrays = {"a": np.full(1000, loops, np.float32), "empty": np.zeros((0, 3))}
        write_checkpoint(tmp_path, Checkpoint(loops=loops, identity={"x": "y"}, values={"r": [0.5, None]}, arrays=arrays))
    newest = tmp_path / "loop-000002.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes({"cut": content[:-600], "empty": b"", "not a zip": b"hello" * 100}.get(damage, bytes(content)))
    if damage == "another zip":
        np.savez(newest, allow_pickle=False, a=np.zeros(3))
    found = read_newest(tmp_path, {"x": "y"})
    assert found is not None
    assert (found.loops, found.values) == (1, {"r": [0.5, None]})
    np.testing.assert_array_equal(found.arrays["a"], np.ones(1000, np.float32))
    assert found.arrays["empty"].shape == (0, 3)
    assert "loop-000002.npz is damaged" in caplog.text
    (tmp_path / "loop-000001.npz").write_bytes(b"")
    assert read_newest(tmp_path, {"x": "y"}) is None


def broken_network(folder: Path, inputs: Path, **changes: Any) -> Path:
    store.save(folder / "network.zarr", replace(tiny_network(), **changes), {})
    (folder / "targets.zarr").symlink_to(inputs / "targets.zarr")
    return folder


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("rule", RULES)
def test_weights_that_are_not_finite_stop_the_training(inputs: Path, tmp_path: Path, rule: str) -> None:
    weights = tiny_network().plastic_weight.copy()
    weights[3, 0] = np.nan
    neuron = tiny_network().trained[3]
    with pytest.raises(TrainingError, match=rf"neuron {neuron} .*(infinite or NaN|not finite)"):
        run(
            broken_network(tmp_path, inputs, plastic_weight=weights),
            tmp_path / "fit",
            config(rule),
            checkpoints=tmp_path / "checkpoints",
        )
    assert not (tmp_path / "fit").exists()
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("changes", [{"condition_names": ["left", "other"]}, {"window_steps": 4000}])
def test_network_and_targets_that_do_not_belong_together(inputs: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=r"built for the conditions .* but the targets hold .* build the network again"):
        run(broken_network(tmp_path, inputs, **changes), tmp_path / "fit", config())


def test_results_are_only_replaced_when_asked_for(inputs: Path, tmp_path: Path) -> None:
    short = config(ridge={"forcing": [0.0], "trials": 1})
    run(inputs, tmp_path / "fit", short)
    with pytest.raises(StoreError, match="exists already"):
        run(inputs, tmp_path / "fit", short)
    run(inputs, tmp_path / "fit", short, overwrite=True)


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
