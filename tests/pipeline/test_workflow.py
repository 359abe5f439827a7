"""`fitrec run` around the stages: plan, lock, mistakes. Nothing is simulated here."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fitrec.cli.workflow import exclusive
from fitrec.errors import StoreError
from fitrec.resources import root
from tests.pipeline.tiny import write_config

TWO = [{"name": "a", "path": "a.npz"}, {"name": "b", "path": "b.npz"}]


def fitrec(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fitrec", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_dry_run_plans_everything_and_writes_nothing(tmp_path: Path) -> None:
    config = write_config(tmp_path, recordings=TWO, seeds=[1, 2])
    result = fitrec("run", config, "--out", tmp_path / "out", "--dry-run")
    assert result.returncode == 0, result.stderr
    planned = result.stdout + result.stderr
    for rule, count in {"ingest": 2, "targets": 2, "build": 4, "train": 4, "evaluate": 4, "report": 4}.items():
        assert f"rule {rule}:" in planned
        assert planned.count(f"rule {rule}:") == count
    assert "a-seed1/report/index.html" in planned
    assert not (tmp_path / "out").exists()


def test_seed_of_the_command_line_takes_the_place_of_the_others(tmp_path: Path) -> None:
    config = write_config(tmp_path, seeds=[1, 2])
    result = fitrec("run", config, "--out", tmp_path / "out", "--dry-run", "--seed", "7")
    assert result.returncode == 0, result.stderr
    assert "tiny/report/index.html" in result.stdout + result.stderr
    assert "seed1/" not in result.stdout + result.stderr


def test_snakemake_alone_plans_the_same(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    command = [sys.executable, "-m", "snakemake", "--snakefile", root() / "Snakefile", "--configfile", config, "--directory"]
    result = subprocess.run([*command, tmp_path / "out", "--cores", "1", "-n"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "tiny/evaluation/summary.json" in result.stdout + result.stderr


def test_snakemake_alone_says_what_is_wrong_with_the_config(tmp_path: Path) -> None:
    config = write_config(tmp_path, trian={})
    command = [sys.executable, "-m", "snakemake", "--snakefile", root() / "Snakefile", "--configfile", config, "--directory"]
    result = subprocess.run([*command, tmp_path / "out", "--cores", "1", "-n"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "unknown key 'trian'; did you mean 'train'" in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"trian": {}}, "unknown key 'trian'; did you mean 'train'"),
        ({"network": {"balanced": {"n_exc": 8, "n_inh": 100, "k": 20}}}, "12 units are to be fitted, but only 8 model neurons"),
        ({"targets": {"condition_by": ["colour"]}}, "colour"),
        ({"targets": {"condition_by": ["stim"], "window_s": [0, 1], "bin_size_s": 0.03}}, "does not divide the window"),
        ({"run": "logs"}, "cannot be called 'logs'"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(tmp_path: Path, changes: dict[str, Any], wanted: str) -> None:
    config = write_config(tmp_path, **changes)
    assert wanted in refused(fitrec("run", config, "--out", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_missing_recording(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    (tmp_path / "rec.npz").unlink()
    assert "rec.npz does not exist" in refused(fitrec("run", config, "--out", tmp_path / "out"))


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    (tmp_path / "file").touch()
    assert "cannot be written" in refused(fitrec("run", config, "--out", tmp_path / "file" / "out"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_output(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    (tmp_path / "out").mkdir(mode=0o500)
    assert "Permission denied" in refused(fitrec("run", config, "--out", tmp_path / "out"))


@pytest.mark.parametrize(("option", "value", "wanted"), [("--profile", "nowhere", "no profile"), ("--device", "cuda", "NVIDIA")])
def test_profiles_and_devices_that_are_not_there(tmp_path: Path, option: str, value: str, wanted: str) -> None:
    config = write_config(tmp_path)
    assert wanted in refused(fitrec("run", config, "--out", tmp_path / "out", option, value))
    assert not (tmp_path / "out").exists()


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    config, out = write_config(tmp_path), tmp_path / "out"
    with exclusive(out):
        assert "Another run is working in" in refused(fitrec("run", config, "--out", out))
        with pytest.raises(StoreError), exclusive(out):
            pass
        assert [path.name for path in out.iterdir()] == [".fitrec.lock"]
    with exclusive(out):
        pass
