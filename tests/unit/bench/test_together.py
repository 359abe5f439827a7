"""All parts of a device's benchmarks in one call: what fails or hangs costs the others nothing."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fitrec.bench import parts
from fitrec.bench.together import run_parts
from tests.cuda.host.device import HostDevice, compiler

ROOT = Path(__file__).parents[3]

PARTS = {
    "good": "import json, sys; json.dump({'x': 1.5}, open(sys.argv[1], 'w'))",
    "bad": "print('about to fail'); raise SystemExit('no such thing')",
    # A process of its own that holds the log open, as a test run would.
    "hanging": "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])",
    "broken": "import os; os.abort()",
    "last": "import json, sys; json.dump({'x': 2}, open(sys.argv[1], 'w'))",
}


def command(name: str, result: Path) -> list[str]:
    return [sys.executable, "-c", PARTS[name], str(result)]


def test_every_part_runs_whatever_the_others_do(tmp_path: Path) -> None:
    started = time.monotonic()
    done = run_parts(
        {"good": 30, "bad": 30, "hanging": 1, "broken": 30, "last": 30}, command, tmp_path / "out", 2.0, lambda _: None
    )
    assert time.monotonic() - started < 30
    assert {name: part["status"] for name, part in done.items()} == {
        "good": "ok",
        "bad": "failed",
        "hanging": "out of time",
        "broken": "failed",
        "last": "ok",
    }
    assert [done[name]["figures"] for name in ("good", "last")] == [{"x": 1.5}, {"x": 2}]
    assert done["bad"]["output"] == ["about to fail", "no such thing"]
    assert json.loads((tmp_path / "out" / "figures.json").read_text()) == done
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["figures.json", "log.txt"]


def test_parts_for_which_no_time_is_left_are_left_out(tmp_path: Path) -> None:
    done = run_parts({"good": 30, "last": 30}, command, tmp_path, 0.0, lambda _: None)
    assert [part["status"] for part in done.values()] == ["left out", "left out"]


def test_the_call_on_the_cpu(tmp_path: Path) -> None:
    arguments = ["--device", "cpu", "--small", "--only", "first-contact,rls-128", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "fitrec.bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr + (tmp_path / "log.txt").read_text()
    assert done.stdout.count(": ok, ") == 2
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["rls-128"]["figures"]["event_driven_ms"] > 0
    assert found["rls-128"]["figures"]["device"] == "cpu"


def test_a_part_that_does_not_exist(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fitrec.bench", "--only", "lop", "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--only names lop, but may name first-contact" in done.stderr


@pytest.mark.skipif(not compiler(), reason="the host shim is compiled with g++, which is not installed")
@pytest.mark.parametrize("name", ["first-contact", "rls-128", "ridge", "simulate"])
def test_a_part_runs_on_a_device(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "open_device", lambda _: HostDevice())
    monkeypatch.setattr(parts.machine, "device_bandwidth", lambda *_: 1e9)
    monkeypatch.setattr(parts.rls_device, "device_bandwidth", lambda *_: 1e9)
    monkeypatch.setattr(parts.ridge, "device_flops", lambda *_: 1e9)
    found = parts.run_part(name, "cuda:0", tmp_path, small=True)
    assert found["device"] == "host shim"


def test_other_bits_on_the_device_are_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def loop(*, device: Any, **_: Any) -> dict[str, Any]:
        return {"state_sha256": "a" if device is None else "b", "seconds_per_loop": 1.0}

    monkeypatch.setattr(parts.loop, "run", loop)
    monkeypatch.setattr(parts, "open_device", lambda _: HostDevice())
    with pytest.raises(parts.FailedError, match="same bits"):
        parts.run_part("same-bits", "cuda:0", tmp_path, small=True)
