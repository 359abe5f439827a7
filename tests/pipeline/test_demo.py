"""The demo, shrunken: a simulated recording goes through the whole pipeline, and the report compares the fit with the truth."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fitrec.checks.registry import run_checks
from fitrec.config.files import merge
from fitrec.config.load import load
from fitrec.resources import root

# Smaller than the demo in everything that takes time.
SIMULATE = {
    "units": 16, "stimuli": 2, "trials-per-stimulus": 30, "truth-trials": 40, "before-s": 0.2, "after-s": 0.5,
    "n-exc": 160, "n-inh": 40, "k": 30, "n-inputs": 30,
}  # fmt: skip
CHANGES = {
    "targets": {"window_s": [-0.1, 0.4]},
    "network": {
        "settle_ms": 200.0,
        "balanced": {"n_exc": 300, "n_inh": 300, "k": 80},
        "plastic": {"n_exc": 40, "n_inh": 40},
        "feed_forward": {"n_inputs": 80},
    },
    "train": {"ridge": {"trials": 6}},
    "evaluate": {"trials": 40, "raster_trials": 10},
}


def fitrec(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fitrec", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    options = [part for key, value in SIMULATE.items() for part in (f"--{key}", value)]
    made = fitrec("simulate", "--out", folder / "recording.nwb", "--truth", folder / "truth.zarr", *options)
    assert made.returncode == 0, made.stderr
    demo = yaml.safe_load((root() / "config" / "demo.yaml").read_text())
    [recording] = demo["recordings"]
    demo["recordings"] = [{**recording, "path": "recording.nwb", "truth": "truth.zarr"}]
    (folder / "demo.yaml").write_text(yaml.safe_dump(merge(demo, CHANGES)))
    result = fitrec("run", folder / "demo.yaml", "--out", folder / "out")
    assert result.returncode == 0, result.stderr
    return folder


def test_the_fit_follows_the_truth(folder: Path) -> None:
    evaluation = folder / "out" / "demo" / "evaluation"
    metrics = pd.read_csv(evaluation / "metrics.csv")
    assert metrics["r_truth"].median() > metrics["r_truth_untrained"].median() + 0.2
    assert metrics["r_truth_poisson"].median() > metrics["r_truth"].median()
    assert np.corrcoef(np.log(metrics["rate_truth_hz"]), np.log(metrics["rate_model_hz"]))[0, 1] > 0.5
    assert json.loads((evaluation / "detail.json").read_text())["truth_trials"] == 40


def test_the_report_compares_with_the_truth_and_lists_the_bad_units(folder: Path) -> None:
    page = (folder / "out" / "demo" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Against the ground truth" in page
    assert "from 40 further trials" in page
    for reason in ("silent", "label", "low presence"):
        assert f"<td>{reason}</td>" in page


def test_nothing_to_complain_about(folder: Path) -> None:
    assert [finding.message for finding in run_checks(load(folder / "demo.yaml")) if finding.level == "CRITICAL"] == []


def test_a_missing_truth_is_named(folder: Path) -> None:
    text = (folder / "demo.yaml").read_text().replace("truth.zarr", "lies.zarr")
    (folder / "lies.yaml").write_text(text)
    result = fitrec("run", folder / "lies.yaml", "--out", folder / "out")
    assert result.returncode == 2
    assert "lies.zarr is not a store that 'fitrec simulate --truth' wrote" in result.stderr
