"""The benchmark of the time loop: its contract, and that it measures what it says."""

import json
from pathlib import Path

import pytest

from fitrec.cli.failures import exit_status
from fitrec.cli.group import cli


def bench(*arguments: str) -> int:
    return exit_status(lambda: cli.main(["bench", *arguments], prog_name="fitrec", standalone_mode=False))


def test_contract(tmp_path: Path) -> None:
    file = tmp_path / "simulate.json"
    sizes = ["--neurons", "400", "--out-degree", "40", "--rate-hz", "20", "--steps", "2000"]
    assert bench("simulate", *sizes, "--json", str(file)) == 0
    found = json.loads(file.read_text())
    assert found["ns_per_neuron_step"] > 0
    assert found["ns_per_neuron_step_noise"] > 0
    assert found["rate_hz"] == pytest.approx(20, rel=0.02)
    assert {"ns_per_synaptic_event", "device", "threads", "versions", "processor", "date", "peak_memory_mb"} <= set(found)


def test_impossible_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("simulate", "--rate-hz", "0") == 2
    assert "--rate-hz is 0, but must be above 0 and at most 5000" in capsys.readouterr().err
