"""What killed writers leave behind, and that writers still at work are let alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fitrec import leftovers, store
from fitrec.errors import StoreError

# Fills the temporary of a folder or replaces an existing folder, says so and waits.
_WRITER = """
import shutil, sys, time
from pathlib import Path
from fitrec import atomic
path, kind = Path(sys.argv[1]), sys.argv[2]
def wait(*_):
    print("ready", flush=True)
    time.sleep(60)
if kind == "old":
    atomic._sync = lambda path: None
    rename = atomic.os.rename
    atomic.os.rename = lambda a, b: rename(a, b) if str(b).endswith(".old") else wait()
with atomic.atomic_path(path, overwrite=True) as temporary:
    temporary.mkdir()
    (temporary / "new").touch()
    if kind == "tmp":
        wait()
"""


def writer(path: Path, kind: str) -> subprocess.Popen[str]:
    """Start a process that is writing `path`, and return when it is in the middle."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), kind], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_only_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "t [1].zarr"
    dead, alive, other = writer(path, "tmp"), writer(path, "tmp"), writer(tmp_path / "other.zarr", "tmp")
    kill(dead)
    kill(other)
    assert len(hidden(tmp_path)) == 3
    store.write_text(path, "whole")
    left = hidden(tmp_path)
    assert len(left) == 2
    assert any(f"-{alive.pid}-" in name for name in left)
    assert any(name.startswith(".other.zarr.") for name in left)  # not our name
    kill(alive)
    store.write_text(path, "again")
    assert len(hidden(tmp_path)) == 1


def test_a_folder_set_aside_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "t.zarr"
    path.mkdir()
    (path / "earlier").touch()
    kill(writer(path, "old"))
    assert not path.exists()  # killed between the two moves
    with pytest.raises(StoreError, match="exists already"), store.atomic_path(path):
        pass
    assert [child.name for child in path.iterdir()] == ["earlier"]
    assert hidden(tmp_path) == []


def test_a_number_given_to_another_process_does_not_protect(tmp_path: Path) -> None:
    name = leftovers.hidden_sibling(tmp_path / "a.json", "tmp").name
    machine, pid, start = name.split(".")[3].split("-")[:3]
    assert int(start) > 0
    same = tmp_path / f".a.json.{machine}-{pid}-{int(start) - 1}-0.tmp"
    elsewhere = tmp_path / f".a.json.{'0' * 8}-{pid}-{int(start) - 1}-0.tmp"
    foreign = tmp_path / ".a.json.backup"
    for path in (same, elsewhere, foreign):
        path.touch()
    store.write_json(tmp_path / "a.json", {})
    assert hidden(tmp_path) == sorted([elsewhere.name, foreign.name])


def test_names_are_unused() -> None:
    path = Path("x")
    assert leftovers.hidden_sibling(path, "tmp") != leftovers.hidden_sibling(path, "tmp")
