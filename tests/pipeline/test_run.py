"""The whole pipeline on a tiny recording: the contract, and that a second run redoes only what changed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fitrec import store
from fitrec.cli.workflow import exclusive
from fitrec.config.load import load
from fitrec.resources import root
from tests.pipeline.tiny import CONFIG, write_config

SUMMARY_KEYS = {
    "run", "config_hash", "device", "rule", "n_neurons", "n_units", "n_trained", "train_seconds", "loops", "psth_r_train",
    "psth_r_test", "ceiling_r", "r_over_ceiling", "rate_hz", "baselines", "peak_memory_mb",
}  # fmt: skip


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fitrec", "run", str(folder / "config.yaml"), "--out", str(folder / "out"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def benchmarks(out: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_mtime_ns for path in (out / "benchmarks").iterdir()}


def redone(folder: Path, **changes: Any) -> set[str]:
    """Run again with these sections; return the stages that ran."""
    before = benchmarks(folder / "out")
    write_config(folder, **changes)
    result = run(folder)
    assert result.returncode == 0, result.stderr
    after = benchmarks(folder / "out")
    return {name.rpartition(".")[2] for name in after if before.get(name) != after[name]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_config(folder)
    result = run(folder, "--threads", "2", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout.splitlines()[-1].startswith("tiny\t12\t")
    return folder


def test_contract(finished: Path) -> None:
    fit = finished / "out" / "tiny"
    summary = json.loads((fit / "evaluation" / "summary.json").read_text())
    assert set(summary) == SUMMARY_KEYS
    assert summary["run"] == "tiny"
    assert (summary["n_neurons"], summary["n_units"], summary["n_trained"]) == (200, 12, 12)
    assert -1 <= summary["psth_r_test"]["median"] <= 1
    assert "<html" in (fit / "report" / "index.html").read_text()[:500]
    for name in ("evaluation/metrics.csv", "fit/curve.csv", "fit/provenance.json"):
        assert (fit / name).stat().st_size > 0


def test_configs_beside_the_results_reproduce_them(finished: Path) -> None:
    whole = load(finished / "out" / "config.yaml")
    assert whole == load(finished / "config.yaml")
    assert load(finished / "out" / "tiny" / "config.yaml") == whole


def test_logs_tell_versions_and_settings(finished: Path) -> None:
    logs = finished / "out" / "logs"
    assert {path.stem for path in logs.iterdir()} == {
        "run", "rec.ingest", "rec.targets", "tiny.build", "tiny.train", "tiny.evaluate", "tiny.report"
    }  # fmt: skip
    text = (logs / "tiny.train.log").read_text()
    assert "numpy" in text
    assert "device: cpu" in text
    assert "rule: ridge" in text


def test_snakemake_alone_gives_the_same_bits_with_another_number_of_threads(finished: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "--snakefile", root() / "Snakefile", "--cores", "1"]
    command += ["--configfile", finished / "config.yaml", "--directory", tmp_path / "out"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name in ("network.zarr", "fit/weights.zarr", "evaluation/activity.zarr"):
        assert store.content_sha256(tmp_path / "out" / "tiny" / name) == store.content_sha256(finished / "out" / "tiny" / name)


def test_only_what_changed_is_redone(finished: Path) -> None:
    assert redone(finished) == set()
    report = {"report": {"examples": 2}}
    assert redone(finished, **report) == {"report"}
    evaluate = {**report, "evaluate": {**CONFIG["evaluate"], "trials": 7}}
    assert redone(finished, **evaluate) == {"evaluate", "report"}
    train = {**evaluate, "train": {"ridge": {"forcing": [1.0, 0.5, 0.0], "trials": 2}}}
    assert redone(finished, **train) == {"train", "evaluate", "report"}
    assert redone(finished, **train, seeds=[5]) == {"build", "train", "evaluate", "report"}
    assert redone(finished, **train, seeds=[5]) == set()


def test_a_run_that_is_told_to_end_leaves_nobody_behind(tmp_path: Path) -> None:
    """As by a cluster or `timeout`: Snakemake and its jobs end, and the folder is free for the next run."""
    write_config(tmp_path)
    command = [sys.executable, "-m", "fitrec", "run", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "out" / "logs" / "rec.ingest.log").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "Interrupted."
    with exclusive(tmp_path / "out"):  # StoreError while a run works there
        pass


def test_a_mistake_within_a_stage_is_one_sentence(finished: Path) -> None:
    write_config(finished, run="broken")
    (finished / "out" / "recordings" / "rec" / "targets.zarr" / "zarr.json").write_text("{}")
    result = run(finished)
    assert result.returncode == 2, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "targets.zarr" in errors[0]
    assert "Traceback" not in result.stderr
