"""`fitrec check`: each finding, from a configuration that has none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from fitrec.checks.registry import run_checks
from fitrec.cli.check import command
from fitrec.config.files import merge
from fitrec.config.load import load
from fitrec.errors import ConfigError
from tests.pipeline.tiny import CONFIG, write_config

AREAS = {"rule": "local-adjoint", "gradient": {"loss_of": "areas"}}
CLEAN = merge(CONFIG, {"evaluate": {"trials": 20}})


def findings(folder: Path, changes: dict[str, Any]) -> dict[str, str]:
    config = load(write_config(folder, **merge(CLEAN, changes)))
    return {finding.check: f"{finding.level} {finding.message}" for finding in run_checks(config)}


def test_nothing_to_complain_about(tmp_path: Path) -> None:
    assert findings(tmp_path, {}) == {}


@pytest.mark.parametrize(
    ("check", "changes", "wanted"),
    [
        ("recording_readable", {"ingest": {"arrays": {"key": "spykes"}}}, "CRITICAL"),
        ("bins_divide_window", {"targets": {"window_s": [0, 1], "bin_size_s": 0.03}}, "33.33 bins"),
        ("targets_buildable", {"targets": {"condition_by": ["colour"]}}, "colour"),
        ("enough_trials", {"targets": {"split": {"test_fraction": 0.9}}}, "has 2 training trials"),
        (
            "held_out_test",
            {"targets": {"split": {"test_fraction": 0.0}}},
            "BEST_PRACTICE_VIOLATION targets.split.test_fraction is 0",
        ),
        ("many_units_excluded", {"ingest": {"units": {"max_units": 3}}}, "9 of 12 units are left out"),
        ("hardly_active_units", {"train": {"rate_floor_hz": 7.0}}, "fire less than 7 Hz"),
        ("static_degree", {"network": {"balanced": {"k": 100}}}, "asks for 200 different partners per neuron, but only 199"),
        ("steps_divide_bins", {"network": {"settle_ms": 100.05}}, "not a whole number of steps"),
        ("lead_fits_trial", {"network": {"feed_forward": {"lead_ms": 200.0}}}, "has only 150 ms before the window"),
        ("units_fit_neurons", {"network": {"balanced": {"n_exc": 8}}}, "12 units are to be fitted, but only 8"),
        ("plastic_degree", {"network": {"plastic": {"exc_sources": "trained"}}}, "only 12 neurons"),
        ("plastic_degree", {"network": {"plastic": {"n_inh": 100}}}, "only 100 neurons"),
        ("memory", {"network": {"balanced": {"n_exc": 10**10}}, "train": {"rule": "rls"}}, "GB of memory"),
        ("window_against_time_constants", {"network": {"plastic": {"tau_syn_ms": 600.0}}}, "shorter than two time constants"),
        ("learning_times", {"targets": {"window_s": [0, 1], "bin_size_s": 0.5}}, "holds 2 bins"),
        ("closed_loop", {"train": {"ridge": {"forcing": [1.0, 0.5]}}}, "ends with 0.5"),
        ("something_drives", {"network": {"neuron": {"sigma": 0.0}, "balanced": {"k": 0}}}, "fire at 0 Hz"),
        ("something_drives", {"network": {"neuron": {"sigma": 0.3}, "balanced": {"k": 0}}}, "fire at 0.0027 Hz"),
        (
            "something_drives",
            {"network": {"neuron": {"sigma": 0.0}, "balanced": {"drive_exc": 0.0, "drive_inh": -0.1}}},
            "BEST_PRACTICE_VIOLATION the untrained network stays silent",
        ),
        ("balanced_state", {"network": {"balanced": {"drive_exc": 0.1}}}, "E -4.2 Hz, I 5.8 Hz), so that E neurons hardly fire"),
        ("balanced_state", {"network": {"balanced": {"j_ei": 0.1}}}, "stronger than inhibition (j_ei j_ie = 0.1 is not above"),
        ("balanced_state", {"network": {"balanced": {"drive_exc": 3.0, "drive_inh": 2.0}}}, "give E 125 Hz and I 225 Hz"),
        ("conditions_differ", {"network": {"stimulus": {"sd": 0.0}}}, "cannot tell the 2 conditions apart"),
        ("conditions_differ", {"network": {"stimulus": {"duration_ms": 0.0}}}, "duration_ms = 0"),
        ("something_to_train", {"network": {"plastic": {"n_exc": 0, "n_inh": 0}}}, "CRITICAL"),
        ("plausible_rates", {"ingest": {"arrays": {"bin_size_s": 0.0002}}, "targets": {"bin_size_s": 0.0002}}, "right?"),
        ("room_to_match_rates", {"network": {"balanced": {"n_exc": 12}, "assignment": {"population": "exc"}}}, "12 of 12"),
        (
            "areas_known",
            {"train": AREAS},
            "CRITICAL train.gradient.loss_of is areas, but none of the 12 fitted units has an area",
        ),
        ("evaluation_trials", {"evaluate": {"trials": 3}}, "SUGGESTION evaluate.trials = 3"),
    ],
)
def test_each_check(tmp_path: Path, check: str, changes: dict[str, Any], wanted: str) -> None:
    assert wanted in findings(tmp_path, changes)[check]


def test_units_without_an_area_are_counted(tmp_path: Path) -> None:
    write_config(tmp_path, **CLEAN)
    with np.load(tmp_path / "rec.npz") as found:
        np.savez(tmp_path / "rec.npz", **found, area=np.array(["V1"] * 9 + [""] * 3))
    changes = {"train": AREAS, "ingest": {"arrays": {"unit_columns": {"area": "area"}}}}
    assert "3 of 12 units have no area" in findings(tmp_path, changes)["every_unit_has_an_area"]


def test_noise_alone_can_drive(tmp_path: Path) -> None:
    assert "something_drives" not in findings(tmp_path, {"network": {"neuron": {"sigma": 0.65}, "balanced": {"k": 0}}})


def test_missing_file_is_one_finding(tmp_path: Path) -> None:
    path = write_config(tmp_path, **CLEAN)
    (tmp_path / "rec.npz").unlink()
    (finding,) = run_checks(load(path))
    assert finding.check == "file_exists"
    assert "rec.npz does not exist" in finding.message


def test_unknown_data_set(tmp_path: Path) -> None:
    path = write_config(tmp_path, **CLEAN)
    text = path.read_text().replace("path: rec.npz", "path: rec.npz\n  dataset: alm_kim203")
    path.write_text(text)
    (finding,) = run_checks(load(path))
    assert finding.level == "CRITICAL"
    assert "did you mean alm_kim2023" in finding.message


def test_rates_cannot_be_held_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "rates.npz", rate=np.random.default_rng(1).uniform(1, 9, (2, 50, 12)))
    changes = {
        "recordings": [{"name": "rec", "path": "rates.npz"}],
        "ingest": {"arrays": {"kind": "rates", "key": "rate", "axes": ["condition", "time", "unit"], "bin_size_s": 0.02}},
        "targets": {},
    }
    config = load(write_config(tmp_path, **{**CLEAN, **changes}))
    assert [finding.check for finding in run_checks(config)] == ["held_out_test"]


def test_json_and_exit_status(tmp_path: Path) -> None:
    path = write_config(tmp_path, **merge(CLEAN, {"network": {"balanced": {"n_exc": 8}}, "evaluate": {"trials": 3}}))
    result = CliRunner().invoke(command, [str(path), "--json"], standalone_mode=False)
    listed = json.loads(result.stdout)
    assert result.return_value == 2
    assert listed[0]["level"] == "CRITICAL"
    assert listed[-1]["level"] == "SUGGESTION"
    assert set(listed[0]) == {"level", "check", "recording", "message"}


def test_a_config_mistake_is_a_finding_too(tmp_path: Path) -> None:
    path = write_config(tmp_path, trian={})
    result = CliRunner().invoke(command, [str(path), "--json"], standalone_mode=False)
    assert isinstance(result.exception, ConfigError)
    assert "did you mean 'train'" in json.loads(result.stdout)[0]["message"]


def test_text_groups_by_level(tmp_path: Path) -> None:
    path = write_config(tmp_path, **CLEAN)
    result = CliRunner().invoke(command, [str(path)], standalone_mode=False)
    assert result.return_value == 0
    assert result.stdout == "Nothing to complain about. Fits: tiny.\n"
