"""The benchmark of training loops: its contract, the same hash for any number of threads, a refusal that names the memory."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from fitrec.bench import presets
from fitrec.bench.loop import run
from fitrec.cli import bench as command
from tests.unit.bench.test_simulate import bench

SIZES: dict[str, Any] = {"preset": "sinusoid-10k", "neurons": 300, "loops": 2}


def test_contract(tmp_path: Path) -> None:
    file = tmp_path / "loop.json"
    assert bench("loop", "--preset", "neuropixels-66k", "--neurons", "200", "--loops", "1", "--json", str(file)) == 0
    found = json.loads(file.read_text())
    assert found["seconds_per_loop"] > 0
    assert sum(found["breakdown"].values()) == pytest.approx(found["seconds_per_loop"])
    assert {"E", "I"} <= set(found["rate_hz"])
    assert (found["steps"], found["updates"]) == (40_000, 150)
    assert len(found["state_sha256"]) == 64
    assert {"peak_memory_mb", "device", "threads", "versions", "processor"} <= set(found)


def test_threads_change_no_bit() -> None:
    one, two = (run(**SIZES, threads=threads) for threads in (1, 2))
    assert one["state_sha256"] == two["state_sha256"]
    assert one["rates_hz"] == two["rates_hz"]
    assert one["state_sha256"] != run(**SIZES, threads=1, seed=2)["state_sha256"]


def test_the_command_knows_the_presets() -> None:
    assert set(command.PRESETS) == set(presets.PRESETS)


def test_too_little_memory_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("loop", "--preset", "million", "--neurons", "1000000000") == 2
    message = capsys.readouterr().err
    assert re.search(r"1000000000 neurons need [\d.]+ GB of memory, but only [\d.]+ GB are free", message)
    assert message.endswith("give fewer --neurons.\n")


def test_the_options_with_which_it_fits_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=48_000_000_000))
    assert bench("loop", "--preset", "million") == 2
    assert "only 48.0 GB are free; give fewer --neurons or --p-storage int16." in capsys.readouterr().err
