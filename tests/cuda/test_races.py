"""Kernels under ThreadSanitizer: what no barrier orders is reported, whatever order the shim happens to run it in.

Every test of the shim can be run so:

    FITREC_CUDA_RACES=1 LD_PRELOAD=$(g++ -print-file-name=libtsan.so) TSAN_OPTIONS="exitcode=0 log_path=races" \
        python -m pytest tests/cuda -k "not gpu and not reversed"

and writes what it finds into ``races.<process>``. Known: threads of `model_follow` write the same value to the same place.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda.host.device import compiler

ROOT = Path(__file__).parents[2]


def found(tests: list[str], folder: Path) -> list[str]:
    """Summaries of the races of some tests, which have to pass."""
    library = subprocess.run(
        [compiler(), "-print-file-name=libtsan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(library).is_absolute():
        pytest.skip("libtsan is not installed")
    options = {"LD_PRELOAD": library, "TSAN_OPTIONS": f"exitcode=0 log_path={folder / 'races'}", "FITREC_CUDA_RACES": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | options, capture_output=True, text=True, timeout=300, check=False)
    if "unexpected memory mapping" in done.stderr:  # where the kernel places memory too freely for it
        pytest.skip("ThreadSanitizer does not run on this machine")
    assert done.returncode == 0, done.stdout + done.stderr
    # A sanitizer that gives up ends its process with the exit status 0 as well, and has then found nothing.
    assert re.search(r"\b[1-9]\d* passed", done.stdout), done.stdout + done.stderr
    return [line for file in folder.iterdir() for line in file.read_text().splitlines() if line.startswith("SUMMARY")]


pytestmark = pytest.mark.skipif(not compiler(), reason="the host shim is compiled with g++, which is not installed")


def test_a_missing_barrier_is_found(tmp_path: Path) -> None:
    races = found(["tests/cuda/test_host.py::test_a_missing_barrier_shows_in_one_of_the_orders"], tmp_path)
    assert races
    assert all("without_barrier" in race for race in races)


def test_barriers_of_blocks_and_grids_order_what_threads_do(tmp_path: Path) -> None:
    host = "tests/cuda/test_host.py::test_"
    cases = [f"{host}barrier_over_the_grid[100-False]", f"{host}shared_memory_and_shuffles[3-64-False]", f"{host}votes[False]"]
    assert not found([*cases, "tests/cuda/test_wiring.py", "-k", "not gpu and not reversed"], tmp_path)
