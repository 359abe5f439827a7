"""The pipeline as Slurm jobs, through the bundled profile; needs a Slurm that answers and the extra fitrec[slurm]."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.asked import unavailable
from tests.pipeline.tiny import write_config

# A test cluster has no accounting database, so jobs are looked up with squeue, and soon.
PATIENCE = ["--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1", "--latency-wait", "5"]
NO_ACCOUNTING = ["--slurm-status-command", "squeue", "--slurm-no-account"]


@pytest.fixture(scope="module")
def slurm(request: pytest.FixtureRequest) -> None:
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        unavailable(request, "slurm", "fitrec[slurm] is not installed")
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True, timeout=30, check=False).returncode:
        unavailable(request, "slurm", "no Slurm answers")


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fitrec", "run", str(folder / "config.yaml"), "--out", str(folder / "out"), "--threads", "1"]
    command += ["--profile", "slurm", "--", *PATIENCE, *NO_ACCOUNTING, "--default-resources", "mem_mb=500", "runtime=10"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment, check=False)


@pytest.mark.slurm
@pytest.mark.usefixtures("slurm")
def test_every_stage_is_a_job(tmp_path: Path) -> None:
    write_config(tmp_path)
    result = run(tmp_path)
    assert result.returncode == 0, result.stderr
    summary = json.loads((tmp_path / "out" / "tiny" / "evaluation" / "summary.json").read_text())
    assert summary["n_trained"] == 12
    assert (tmp_path / "out" / "tiny" / "report" / "index.html").exists()
    assert (tmp_path / "out" / "logs" / "run.log").read_text().count("has been submitted with SLURM jobid") == 6

    # A mistake inside a job is one sentence here, as it is on this machine.
    (tmp_path / "out" / "recordings" / "rec" / "targets.zarr" / "zarr.json").write_text("{}")
    write_config(tmp_path, run="broken")
    result = run(tmp_path)
    assert result.returncode == 2, result.stderr
    assert "targets.zarr" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
