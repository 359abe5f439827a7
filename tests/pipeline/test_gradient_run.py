"""`fitrec run` with gradient rules and with a neuron model from a file."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fitrec import store
from tests.pipeline.test_run import run
from tests.pipeline.tiny import CONFIG, write_config

MODEL = """\
name: my_neuron
parameters: {tau_m: 10 ms, tau_s: 3 ms, tau_p: 80 ms, tau_a: 150 ms, t_ref: 1 ms, v_th: 15 mV, beta: 0.5 mV, sigma: 6 mV}
states: {v: 0 mV, a: 0}
ports:
  static: {unit: mV, tau: tau_s}
  plastic: {unit: mV, tau: tau_p}
currents: {drive: mV}
noise: {state: v, amplitude: sigma * sqrt(dt / tau_m)}
update: |
  v = exp(-dt / tau_m) * v + (1 - exp(-dt / tau_m)) * (drive + static + plastic)
  a = exp(-dt / tau_a) * a + z
threshold: v >= v_th + beta * a
reset: |
  v = v - v_th
refractory: {steps: t_ref / dt, hold: [v]}
surrogate: {kind: piecewise_linear, height: 1 / v_th, width: v_th}
"""
NETWORK: dict[str, Any] = {
    **CONFIG["network"],
    "dt_ms": 0.5,
    "model": {"file": "my_neuron.yaml", "drive_unit": 15.0, "weight_unit": 8.0},
    "balanced": {**CONFIG["network"]["balanced"], "drive_exc": 0.15, "drive_inh": 0.1},
    "plastic": {"n_exc": 20, "n_inh": 20, "exc_sources": "all", "weight_exc": 0.1, "weight_inh": -0.1},
    "feed_forward": {"n_inputs": 20, "rate_hz": 20.0, "rate_sd_hz": 12.0, "tau_ms": 100.0},
}
TRAIN = {
    "rule": "local-adjoint",
    "validation_trials": 4,
    "gradient": {"loops": 25, "trials": 4, "evaluate_every": 5, "learning_rate": 0.4, "dale": "clip"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run."""
    folder = tmp_path_factory.mktemp("gradient")
    (folder / "my_neuron.yaml").write_text(MODEL)
    write_config(folder, network=NETWORK, train=TRAIN)
    result = run(folder, "--threads", "2", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    return folder


def test_a_model_file_is_fitted_without_python(folder: Path) -> None:
    fit = folder / "out" / "tiny"
    summary = json.loads((fit / "evaluation" / "summary.json").read_text())
    assert (summary["rule"], summary["loops"], summary["n_neurons"]) == ("local-adjoint", 25, 200)
    untrained = summary["baselines"]["untrained_r"]["median"]
    assert summary["psth_r_train"]["median"] > 0.35 > untrained + 0.2
    page = (fit / "report" / "index.html").read_text()
    assert "local-adjoint" in page
    assert "my_neuron" in page


def test_rules_are_compared(tmp_path: Path) -> None:
    train = {"ridge": {"forcing": [0.0], "trials": 2}, "validation_trials": 2, "gradient": {"loops": 1, "trials": 1}}
    write_config(tmp_path, rules=["ridge", "e-prop"], train=train)
    result = run(tmp_path, "--threads", "2", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    out = tmp_path / "out"
    table = pd.read_csv(out / "comparison.csv")
    assert table["fit"].tolist() == ["rec-ridge", "rec-e-prop"]
    assert table["rule"].tolist() == ["ridge", "e-prop"]
    for fit, row in zip(table["fit"], table.itertuples(), strict=True):
        summary = json.loads((out / fit / "evaluation" / "summary.json").read_text())
        assert row.r_test == pytest.approx(summary["psth_r_test"]["median"])
        assert (row.train_seconds, row.loops, row.peak_memory_mb) == tuple(
            summary[key] for key in ("train_seconds", "loops", "peak_memory_mb")
        )
    page = (out / "comparison.html").read_text()
    assert page.count("<svg") == 1
    assert all(f'href="{fit}/report/index.html"' in page for fit in table["fit"])
    # The networks are the same: only the rules differ.
    assert len({store.content_sha256(out / fit / "network.zarr") for fit in table["fit"]}) == 1


def test_the_folder_of_results_reproduces_itself_without_the_file(folder: Path, tmp_path: Path) -> None:
    """The model's text stands in the configuration beside the results."""
    shutil.copy(folder / "rec.npz", tmp_path / "rec.npz")
    (folder / "my_neuron.yaml").rename(folder / "gone.yaml")
    shutil.copy(folder / "out" / "config.yaml", folder / "config.yaml")
    before = (folder / "out" / "tiny" / "fit" / "provenance.json").stat().st_mtime_ns
    result = run(folder)
    assert result.returncode == 0, result.stderr
    assert (folder / "out" / "tiny" / "fit" / "provenance.json").stat().st_mtime_ns == before  # nothing had to be done again
