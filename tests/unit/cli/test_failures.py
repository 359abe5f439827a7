"""Exit status and messages."""

import errno
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from fitrec.cli import logs
from fitrec.cli.failures import exit_status
from fitrec.errors import RecordingError


@pytest.fixture(autouse=True)
def _no_handlers_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(logs._root, "handlers", [])
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))


def raising(error: BaseException) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (RecordingError("unit 3 is silent"), 2, "Error: unit 3 is silent.\n"),
        (RecordingError("unit 3 is silent."), 2, "Error: unit 3 is silent.\n"),
        (OSError(errno.ENOSPC, "No space left", "/x/y"), 2, "Error: cannot use '/x/y': the disk is full.\n"),
        (OSError(errno.EROFS, "Read-only", "/x/y"), 2, "Error: cannot use '/x/y': the file system is read-only.\n"),
        (MemoryError("8 GiB"), 2, "Error: not enough memory (8 GiB); use a smaller network or fewer trials at a time.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_errors_of_the_user_and_the_machine(
    error: BaseException, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(raising(error)) == status
    assert capsys.readouterr().err == text


def test_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(raising(click.UsageError("no"))) == 2
    assert "no" in capsys.readouterr().err


def test_our_errors_leave_a_traceback_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert exit_status(raising(ZeroDivisionError("oops"))) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Internal error: ZeroDivisionError: oops (traceback in ")
    assert shown.count("\n") == 1
    (log,) = tmp_path.glob("fitrec-*.log")
    assert str(log) in shown
    assert "Traceback (most recent call last)" in log.read_text()


def test_the_log_file_holds_the_head_and_ends_with_the_error(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "x.log"
    logs.start(path, {"device": "cpu", "seed": None})
    assert exit_status(raising(RecordingError("unit 3 is silent"))) == 2
    lines = path.read_text().splitlines()
    assert "fitrec " in lines[0]
    assert any(line.endswith("device: cpu") for line in lines)
    assert not any("seed" in line for line in lines)
    assert lines[-1].endswith("Error: unit 3 is silent.")


def test_commands_return_their_status() -> None:
    assert exit_status(lambda: 2) == 2
    assert exit_status(lambda: None) == 0
