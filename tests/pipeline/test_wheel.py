"""The wheel carries everything that is not Python: Snakefile, workflow, configurations, manifests, CUDA sources."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fitrec.resources import root
from tests.pipeline.tiny import write_config

pytest.importorskip("hatchling", reason="the wheel is built with hatchling, which is not installed")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=root(), check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_files_beside_the_code(unpacked: Path) -> None:
    bundle = unpacked / "fitrec" / "_bundle"
    for folder in ("workflows", "config", "data_manifests"):
        wanted = {path.relative_to(root()) for path in (root() / folder).rglob("*") if path.is_file()}
        assert wanted
        assert all((bundle / path).is_file() for path in wanted)
    assert (bundle / "Snakefile").is_file()


def test_all_files_of_the_package(unpacked: Path) -> None:
    left_out = {"__pycache__", "_bundle"}
    wanted = {p.relative_to(root()) for p in (root() / "fitrec").rglob("*") if p.is_file() and not left_out & set(p.parts)}
    assert wanted
    assert all((unpacked / path).is_file() for path in wanted)


def test_it_runs_from_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path)
    result = subprocess.run(
        [sys.executable, "-m", "fitrec", "run", config, "--out", tmp_path / "out", "--dry-run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert str(unpacked / "fitrec" / "_bundle" / "Snakefile") in result.stdout + result.stderr
