"""`fitrec run` on a recording without trials, and what a user is told where that cannot be."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.pipeline.test_run import run
from tests.pipeline.tiny import write_config, write_recording
from tests.tiny_continuous import DURATION_S, N_UNITS, NETWORK, tiny_recording

CHANGES: dict[str, Any] = {
    "ingest": {"arrays": {"key": "spikes", "axes": ["time", "unit"], "bin_size_s": 0.02, "unit_columns": {"area": "area"}}},
    "targets": {
        "continuous": {"segment_s": 2.0, "input_where": ["area == in"], "test_blocks": 2},
        "smoothing": {"width_s": 0.1},
        "split": {"test_fraction": 0.3},
    },
    "network": NETWORK,
    "train": {
        "rule": "local-adjoint",
        "validation_trials": 2,
        "gradient": {"loops": 40, "evaluate_every": 20, "conditions_per_loop": 5},
    },
    "evaluate": {"trials": 6, "raster_trials": 2},
}


def write_time(path: Path) -> None:
    """Counts (time, unit) of the recording of `tiny_continuous`."""
    recording = tiny_recording()
    assert recording.spike_times_s is not None
    assert recording.spike_indptr is not None
    edges = np.linspace(0, DURATION_S, 2001)
    trains = np.split(recording.spike_times_s, recording.spike_indptr[1:-1])
    counts = np.stack([np.histogram(train, edges)[0] for train in trains], axis=1)
    assert counts.shape == (2000, N_UNITS)
    np.savez(path, spikes=counts.astype(np.uint8), area=recording.units["area"].to_numpy(str))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run."""
    folder = tmp_path_factory.mktemp("continuous")
    write_time(folder / "rec.npz")
    write_config(folder, **CHANGES)
    result = run(folder, "--threads", "2", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    return folder


def test_time_is_fitted_and_tested_on_what_was_held_out(folder: Path) -> None:
    evaluation = folder / "out" / "tiny" / "evaluation"
    summary = json.loads((evaluation / "summary.json").read_text())
    assert (summary["rule"], summary["n_units"], summary["n_trained"]) == ("local-adjoint", 5, 5)
    assert summary["ceiling_r"] is None
    assert summary["r_over_ceiling"] is None
    untrained, linear = (summary["baselines"][key]["median"] for key in ("untrained_r", "linear_r"))
    assert summary["psth_r_test"]["median"] > 0.3 > untrained + 0.2
    assert linear > 0.5
    detail = json.loads((evaluation / "detail.json").read_text())
    assert detail["continuous"]["segments"] == {"training": 14, "test": 6}
    assert detail["continuous"]["inputs"] == [0, 1, 2, 3]
    metrics = pd.read_csv(evaluation / "metrics.csv")
    assert metrics["unit_id"].tolist() == [4, 5, 6, 7, 8]
    measured = detail["measures"]["bits_per_spike"]
    assert measured["median"] == pytest.approx(metrics["bits_per_spike"].median())
    assert measured["median"] > detail["measures"]["bits_per_spike_untrained"]["median"]


def test_the_report_shows_held_out_time_and_no_more(folder: Path) -> None:
    page = (folder / "out" / "tiny" / "report" / "index.html").read_text()
    shown = page.split("</style>")[1].split("<summary>Configuration")[0].replace("var(--ceiling)", "")
    for text in ("driven by the activity of 4 others", "Rates through time", "Linear regression on the input units"):
        assert text in shown
    for text in ("ceiling", "Fano", "Noise correlation", "PSTH"):
        assert text not in shown
    assert page.count('aria-label="Rate of unit') == 5


def test_trials_that_were_cut_out_are_refused_in_one_sentence(tmp_path: Path) -> None:
    write_recording(tmp_path / "rec.npz")
    arrays = {"key": "spikes", "axes": ["trial", "time", "unit"], "bin_size_s": 0.02}
    write_config(tmp_path, **{**CHANGES, "ingest": {"arrays": arrays}})
    result = run(tmp_path)
    assert result.returncode == 2
    assert "holds 40 separate trials and no continuous time, which targets.continuous needs" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
