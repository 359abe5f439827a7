"""The numerical core imports with numpy, scipy and numba alone."""

import subprocess
import sys
from pathlib import Path

import pytest

CORE = ("networks", "neurons", "simulate", "learn", "kernels", "evaluate")
BLOCKED = ("pydantic", "zarr", "pynwb", "h5py", "snakemake", "pandas", "click", "yaml", "sympy", "matplotlib", "jinja2")

CODE = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({blocked!r}))
package = importlib.import_module("fitrec.{name}")
found = [module.name for module in pkgutil.walk_packages(package.__path__, "fitrec.{name}.")]
for module in found:
    importlib.import_module(module)
print(len(found))
"""


@pytest.mark.parametrize("name", CORE)
def test_no_other_package_is_needed(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(blocked=BLOCKED, name=name)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3


COMMANDS = {
    "bench simulate": ("--neurons", "300", "--out-degree", "20", "--steps", "20"),
    "bench rls": ("--neurons", "4", "--inputs", "20", "--updates", "16"),
    "bench ridge": ("--neurons", "30", "--inputs", "10", "--samples", "50"),
    "bench loop": ("--neurons", "100", "--loops", "1"),
    "bench gradient": ("--neurons", "100", "--synapses", "500", "--steps", "50"),
    "task eprop-regression": ("--iterations", "1", "--steps", "20"),
}

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("pydantic", "zarr", "pynwb", "h5py", "snakemake")))
from fitrec.cli import main
main()
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_benchmarks_and_tasks_need_neither_configurations_nor_stores(name: str, tmp_path: Path) -> None:
    """They run on machines that have a GPU and little else."""
    out = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *name.split(), *COMMANDS[name], "--json", out],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert out.exists()
