"""Tasks with their networks on the device equal those on the CPU, bit for bit."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from fitrec.cli.failures import exit_status
from fitrec.cli.task import command
from fitrec.errors import DeviceError
from fitrec.kernels.cuda import model
from fitrec.tasks import ei_decision


def test_the_decision_task_equals_the_cpu(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With memory for two of its three trials at a time."""
    monkeypatch.setattr(model, "BLOCK", 32)
    monkeypatch.setattr(one_device, "free_bytes", lambda: 9_000_000)
    request = ei_decision.Request(neurons=20, batch_size=3, iterations=2, learning_rate=0.05, threads=1)
    expected, found = ei_decision.run(request), ei_decision.run(request, device=one_device)
    for name in ("loss", "accuracy", "rate_hz", "gradient_norm", "sign_changes", *asdict(request)):
        assert found[name] == expected[name], name
    assert expected["gradient_norm"][0] > 0
    assert expected["rate_hz"][0]["E"] > 0
    monkeypatch.setattr(one_device, "free_bytes", lambda: 10**6)
    with pytest.raises(DeviceError, match=r"one trial of this network needs 0\.00\d+ GB on .* take fewer neurons"):
        ei_decision.run(request, device=one_device)


@pytest.mark.parametrize("arguments", [["--rule", "e-prop"], ["--rule", "e-prop-plus", "--optimizer", "adam"]])
def test_the_command_runs_a_published_task_on_the_device(
    arguments: list[str], one_device: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fitrec.cli.task.resolve_device", lambda name: {"cuda": "cuda:0"}.get(name, name))
    monkeypatch.setattr("fitrec.kernels.cuda.device.open_device", lambda name: one_device if name == "cuda:0" else None)
    found = []
    for device in ("cpu", "cuda"):
        file = tmp_path / f"{device}.json"
        whole = ["eprop-regression", *arguments, "--steps", "30", "--iterations", "3", "--device", device, "--json", str(file)]
        assert exit_status(lambda whole=whole: command.main(whole, prog_name="fitrec task", standalone_mode=False)) == 0
        found.append(json.loads(file.read_text()))
    here, there = found
    assert (here["device"], there["device"]) == ("cpu", one_device.name)
    for name in ("loss", "rate_hz", "parameters"):
        assert there[name] == here[name], name
    assert len(set(here["loss"])) == 3
    assert min(here["rate_hz"]) > 0
