"""Machine code that numba kept is forgotten when any of the sources has changed."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fitrec.kernels.cpu.sources import digest, forget_stale_code

PACKAGE = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from fitrec.kernels.cpu.sources import forget_stale_code
forget_stale_code(Path({folder!r}))
sys.path.insert(0, {folder!r})
import outer
print(outer.outer())
"""


def value(folder: Path) -> str:
    """Run `outer` in a process of its own, as the next run of a program would."""
    text = PACKAGE.format(root=str(Path(__file__).parents[3]), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip()


def test_a_change_in_what_a_function_calls_is_seen(tmp_path: Path) -> None:
    inner = "from numba import njit\n@njit(cache=True)\ndef inner():\n    return {}\n"
    (tmp_path / "inner.py").write_text(inner.format(1))
    (tmp_path / "outer.py").write_text(
        "from numba import njit\nfrom inner import inner\n@njit(cache=True)\ndef outer():\n    return inner() + 10\n"
    )
    assert value(tmp_path) == "11"
    kept = sorted((tmp_path / "__pycache__").glob("outer*.nbi"))
    assert kept, "numba keeps no code here, so this test tells nothing"
    assert value(tmp_path) == "11"
    (tmp_path / "inner.py").write_text(inner.format(2))
    assert value(tmp_path) == "12"


def test_nothing_is_deleted_while_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    forget_stale_code(tmp_path)
    index = tmp_path / "__pycache__" / "a.f-1.py311.nbi"
    index.write_bytes(b"machine code")
    forget_stale_code(tmp_path)
    assert index.is_file()
    (tmp_path / "a.py").write_text("x = 2\n")
    digest.cache_clear()
    forget_stale_code(tmp_path)
    assert not index.exists()
    assert sorted(p.name for p in (tmp_path / "__pycache__").iterdir()) == ["kernels.sha256"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    forget_stale_code(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_package_has_a_stamp_of_its_own_sources() -> None:
    package = Path(str(importlib.import_module("fitrec.kernels.cpu").__file__)).parent
    stamp = package / "__pycache__" / "kernels.sha256"
    assert not os.access(package, os.W_OK) or stamp.read_text() == digest()
