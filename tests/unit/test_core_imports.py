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
