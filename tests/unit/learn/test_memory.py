"""The planned memory of a training against what numpy really allocates."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from fitrec import store
from fitrec.cli.train import command
from fitrec.config.train import TrainConfig
from fitrec.errors import TrainingError
from fitrec.learn.memory import FitSizes
from fitrec.networks.network import Network
from fitrec.stages import train_memory
from fitrec.stages.train import make_training
from tests.small_network import small_network
from tests.tiny_fit import tiny_targets

RIDGE = {"forcing": [0.5, 0.0], "trials": 3, "closed_loop_trials": 4}
SIZES = FitSizes(
    n_neurons=66_002,
    n_static=0,
    n_pool=66_002,
    n_trained=66_002,
    n_inputs=128,
    n_ff=0,
    n_conditions=1,
    n_bins=150,
    stimulus_steps=2000,
)


@pytest.fixture(scope="module")
def network() -> Network:
    """Wide enough that the arrays outweigh Python's own objects."""
    return small_network(
        1000,
        1000,
        100,
        n_trained=400,
        plastic=(60, 60),
        window_ms=500.0,
        condition_names=["left", "right"],
        fi_drive=np.linspace(-1, 3, 9),
        fi_rate_hz=np.linspace(0, 60, 9),
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"rule": "ridge", "ridge": {**RIDGE, "gram": "shared"}},
        {"rule": "ridge", "ridge": {**RIDGE, "gram": "gathered"}},
        {"rule": "rls", "rls": {"loops": 1}},
        {"rule": "rls", "rls": {"loops": 1, "p_storage": "packed"}},
        {"rule": "rls", "rls": {"loops": 1, "p_storage": "int16"}},
        {"rule": "local-adjoint", "gradient": {"loops": 2}},
        {"rule": "local-adjoint", "gradient": {"loops": 2, "window_ms": 100.0}},
        {"rule": "local-adjoint", "gradient": {"loops": 2, "memory_gb": 0.02}},
        {"rule": "pp-prop", "gradient": {"loops": 2, "conditions_per_loop": 1}},
        {"rule": "e-prop-plus", "gradient": {"loops": 1, "conditions_per_loop": 1}},
    ],
    ids=[
        *("shared", "gathered", "rls", "packed", "16 bits"),
        *("local-adjoint", "shorter windows", "little memory", "pp-prop", "e-prop-plus"),
    ],
)
def test_the_plan_is_what_is_allocated(network: Network, settings: dict[str, Any]) -> None:
    config, targets = TrainConfig.model_validate(settings), tiny_targets(n_units=400)
    planned = sum(train_memory.require_all(network, targets.n_bins, config, 1, None)[0].values())
    stored = sum(value.nbytes for value in vars(network).values() if isinstance(value, np.ndarray))
    make_training(network, targets, config, 1).rule.loop(0)  # compiles
    tracemalloc.start()
    rule = make_training(network, targets, config, 1).rule
    for loop in range(min(2, rule.n_loops)):
        rule.loop(loop)
    measured = tracemalloc.get_traced_memory()[1] + stored
    tracemalloc.stop()
    assert 0.8 * planned < measured < 1.1 * planned


@pytest.mark.parametrize(
    ("settings", "part", "gigabytes"),
    [
        ({"rule": "rls"}, "P", 66_002 * 128**2 * 4e-9),
        ({"rule": "ridge", "ridge": {"gram": "shared"}}, "Gram matrix of all inputs", 2 * 66_002**2 * 4e-9),
        ({"rule": "ridge", "ridge": {"gram": "gathered", "memory_gb": 1.0}}, "traces", 1.0),
    ],
)
def test_the_largest_part(settings: dict[str, Any], part: str, gigabytes: float) -> None:
    parts = train_memory.plan(SIZES, TrainConfig.model_validate(settings), threads=2)
    assert parts[part] / 1e9 == pytest.approx(gigabytes, rel=0.03)


def test_a_training_that_cannot_fit_names_what_would() -> None:
    shared = TrainConfig.model_validate({"rule": "ridge", "ridge": {"gram": "shared"}})
    with pytest.raises(TrainingError, match=r"needs about 39\.\d\d GB .* there are 16\.00; with train\.ridge\.gram: gathered \("):
        train_memory.require_memory(SIZES, shared, 2, available=16_000_000_000)
    rls = TrainConfig.model_validate({"rule": "rls"})
    million = replace(SIZES, n_neurons=10**6, n_pool=10**6, n_trained=10**6, n_inputs=90, n_bins=100, stimulus_steps=0)
    with pytest.raises(TrainingError, match=r"34\.56 GB of it for P\), but there are 45\.00; .*p_storage: int16"):
        train_memory.require_memory(million, rls, 2, available=45_000_000_000)
    with pytest.raises(TrainingError, match=r"use fewer neurons"):
        train_memory.require_memory(million, rls, 2, available=1_000_000_000)
    assert train_memory.require_memory(SIZES, shared, 2, available=10**12)


def test_a_network_too_large_for_a_table_may_be_procedural() -> None:
    million = replace(SIZES, n_neurons=10**6, n_static=10**9, n_pool=200, n_trained=100, n_inputs=90, n_bins=100)
    config = TrainConfig.model_validate({"ridge": {"trials": 2, "closed_loop_trials": 2}})
    words = r"12\.02 GB of it for static synapses\).*connectivity: procedural, .* \(\d\.\d\d GB\)"
    with pytest.raises(TrainingError, match=words):
        train_memory.require_memory(million, config, 1, available=11_000_000_000)
    assert train_memory.require_memory(replace(million, n_static=0), config, 1, available=11_000_000_000)


def test_the_dry_run_lists_every_part() -> None:
    parts = train_memory.plan(SIZES, TrainConfig(), threads=2)
    lines = train_memory.describe(parts).splitlines()
    assert lines[0].startswith("memory, of ")
    assert [line[2:42].rstrip() for line in lines[1:]] == [*parts, "total"]
    assert float(lines[-1].split()[-2]) == pytest.approx(sum(parts.values()) / 1e9, abs=1e-3)


def test_refused_before_anything_starts(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(tmp_path / "network.zarr", network, {})
    store.save(tmp_path / "targets.zarr", tiny_targets(n_units=400), {})
    monkeypatch.setattr(train_memory, "machine_bytes", lambda: 1_000_000)
    arguments = [str(tmp_path / "network.zarr"), str(tmp_path / "targets.zarr"), "--out", str(tmp_path / "fit")]
    for options in ([], ["--dry-run"]):
        with pytest.raises(TrainingError, match=r"this training needs about 0\.\d\d GB of memory"):
            CliRunner().invoke(command, [*arguments, *options], catch_exceptions=False)
    assert not (tmp_path / "fit").exists()
    monkeypatch.undo()
    result = CliRunner().invoke(command, [*arguments, "--dry-run"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "Gram matrix of all inputs" in result.output
