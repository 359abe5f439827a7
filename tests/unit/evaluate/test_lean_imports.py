"""Evaluation runs where only numpy, scipy and numba are installed."""

import subprocess
import sys

BLOCKED = ("pandas", "zarr", "pydantic", "pynwb", "h5py", "snakemake", "matplotlib", "jinja2")


def test_evaluate_needs_no_heavy_package() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r}))\n"
        "import fitrec.evaluate.scores, fitrec.evaluate.simulated, fitrec.evaluate.activity"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
