"""What is shown on a terminal and what is not."""

import io
import logging
import sys

import pytest

from fitrec.cli import console, logs
from fitrec.stages.train_progress import Status


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_needs_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with console.progress() as show:
        assert show is None


def test_log_lines_stand_above_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(logging.getLogger("fitrec"), "handlers", [])
    logs.start(None, {})
    with console.progress() as show:
        assert show is not None
        show(Status(done=0.5, text="loop 1/2  left (1/2)"))
        logging.getLogger("fitrec.test").info("loop 1 is done")
        show(Status(done=1.0, text="loop 2/2  left (1/2)"))
    logging.getLogger("fitrec.test").info("afterwards")
    assert sys.stderr is terminal
    shown = terminal.getvalue()
    order = [shown.index(text) for text in ("loop 1 is done", "100%", "loop 2/2", "afterwards")]
    assert order == sorted(order)
