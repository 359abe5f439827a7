"""Ends a group of processes when this process is asked to end: by Ctrl-C, ``timeout``, a cluster, a closed terminal."""

import os
import signal
import threading
from contextlib import suppress
from types import FrameType, TracebackType

GRACE_S = 20.0  # for the group to end by itself; Slurm kills 30 s after it asked


class Interruption:
    """While it is entered, SIGINT, SIGTERM and SIGHUP are passed on to a process group, as SIGINT: what Ctrl-C would send.

    A second signal, or `GRACE_S`, kills the group. Signals that were ignored before (``nohup``, ``&``) stay ignored.

    Attributes
    ----------
    asked : bool
        Whether a signal came.

    """

    def __init__(self) -> None:
        self.asked = False
        self._group: int | None = None
        self._timer: threading.Timer | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._pass_on)
            elif number == signal.SIGINT:  # a handler that does nothing: children would inherit an ignored signal
                self._before[number] = signal.signal(number, lambda number, frame: None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def watch(self, group: int) -> None:
        """Name the process group to end; a signal that came before is passed on now."""
        self._group = group
        if self.asked:
            self._stop()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if self._group is not None:
            self._kill() if again else self._stop()

    def _stop(self) -> None:
        with suppress(OSError):
            os.write(2, b"Stopping the stages; once more ends them at once.\n")
        self._timer = threading.Timer(GRACE_S, self._kill)
        self._timer.daemon = True
        self._timer.start()
        self._send(signal.SIGINT)

    def _kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        assert self._group is not None
        with suppress(ProcessLookupError):
            os.killpg(self._group, number)
