"""Trainings of the tiny fit through the train stage: whole, and cut short as a kill would."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fitrec import store
from fitrec.config.train import TrainConfig
from fitrec.networks.weights import Weights
from fitrec.stages import train
from fitrec.store.checkpoint_writer import CheckpointWriter
from fitrec.store.checkpoints import Checkpoint, write_checkpoint
from tests.tiny_fit import tiny_network, tiny_targets

RIDGE = {"forcing": [1.0, 0.5, 0.0, 0.0], "trials": 2, "closed_loop_trials": 3, "correction_from": 2}
LEAST_SQUARES: dict[str, dict[str, Any]] = {
    "ridge": {"rule": "ridge", "ridge": {**RIDGE, "gram": "shared", "average_closed_loops": True}},
    # Room for five of the ten trials: the oldest are replaced.
    "gathered": {"rule": "ridge", "ridge": {**RIDGE, "gram": "gathered", "memory_gb": 1.2e-4}},
    "rls": {"rule": "rls", "rls": {"loops": 4, "rank": 4, "evaluate_every": 2}},
}
GRADIENT = {"loops": 4, "trials": 3, "evaluate_every": 2}
GRADIENT_RULES: dict[str, dict[str, Any]] = {
    "local-adjoint": {"rule": "local-adjoint", "gradient": {**GRADIENT, "dale": "exponential"}},
    "trained neurons": {
        "rule": "local-adjoint",
        "gradient": {
            **GRADIENT,
            "trainable": {"tau_m": {"learning_rate": 0.05}, "v_th": {"shared": True, "min": 0.9, "max": 1.1}},
        },
    },
    "pp-prop": {"rule": "pp-prop", "gradient": {**GRADIENT, "window_ms": 120.0, "loss": "poisson", "rate_penalty": 0.01}},
    "e-prop-plus": {"rule": "e-prop-plus", "gradient": {**GRADIENT, "learning_rate": 0.01, "optimizer": "sgd"}},
}
RULES = {**LEAST_SQUARES, **GRADIENT_RULES}


def train_config(rule: str = "ridge", **changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({"validation_trials": 2, "checkpoint_every_s": 0.0, **RULES[rule], **changes})


def save_inputs(folder: Path, **changes: Any) -> Path:
    """Write network.zarr, with fields replaced by `changes`, and targets.zarr."""
    store.save(folder / "network.zarr", replace(tiny_network(), **changes), {})
    store.save(folder / "targets.zarr", tiny_targets(), {})
    return folder


def run_training(inputs: Path, out: Path, settings: TrainConfig, **options: Any) -> Weights:
    return train.run(inputs / "network.zarr", inputs / "targets.zarr", out, settings, **{"threads": 1, **options})


def interrupt_after(monkeypatch: pytest.MonkeyPatch, loops: int) -> None:
    """Stop the training as soon as the checkpoint of this loop is written."""

    def write_and_stop(writer: CheckpointWriter, checkpoint: Checkpoint) -> None:
        write_checkpoint(writer.folder, checkpoint)
        if checkpoint.loops == loops:
            raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointWriter, "write", write_and_stop)


def train_partly(inputs: Path, folder: Path, settings: TrainConfig, loops: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        interrupt_after(monkeypatch, loops)
        with pytest.raises(KeyboardInterrupt):
            run_training(inputs, folder / "fit", settings, checkpoints=folder / "checkpoints")
    assert not (folder / "fit").exists()


def without_seconds(curve: Path) -> pd.DataFrame:
    return pd.read_csv(curve).drop(columns="seconds")
