"""Tasks with their networks on the device equal those on the CPU, bit for bit."""

from dataclasses import asdict
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


def test_published_tasks_stay_on_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["eprop-regression", "--device", "cuda"]
    assert exit_status(lambda: command.main(arguments, prog_name="fitrec task", standalone_mode=False)) == 2
    assert "eprop-regression runs on the CPU only: its published losses" in capsys.readouterr().err
