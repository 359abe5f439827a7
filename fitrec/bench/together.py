"""Runs pieces of work one after the other, each in a process and within a time of its own: a machine may be lent for minutes.

What fails, hangs or breaks the device for its process costs the others nothing, and what is done is on the disk at once.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fitrec.atomic import write_json

FIGURES, LOG = "figures.json", "log.txt"
_LEAST_S = 5.0  # of the time that is left for a part to be begun
_TOLD_LINES = 15  # of the output of a part that failed


def run_parts(
    limits_s: Mapping[str, float],
    command: Callable[[str, Path], list[str]],
    out: Path,
    minutes: float,
    say: Callable[[str], object] = print,
) -> dict[str, Any]:
    """Run the parts in their order.

    Parameters
    ----------
    limits_s
        Seconds that each part may take, by its name.
    command
        Makes the command line of a part; the command writes a JSON object into the file that it is given.
    out
        Folder for ``figures.json``, rewritten after every part, and ``log.txt``, everything that the parts print.
    minutes
        For all parts together. What is left limits each; parts for which there is none are left out.

    Returns
    -------
    dict by part
        ``status`` (ok, failed, out of time, left out), ``seconds``, ``figures`` and, of what failed, the end of its output.

    """
    out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60.0 * minutes
    done: dict[str, Any] = {}
    with (out / LOG).open("w") as log:
        for name, limit in limits_s.items():
            left = end - time.monotonic()
            done[name] = _run(name, min(limit, left), command, out, log) if left > _LEAST_S else {"status": "left out"}
            write_json(out / FIGURES, done)
            say(f"{name}: {done[name]['status']}" + (f", {done[name]['seconds']} s" if "seconds" in done[name] else ""))
    return done


def _run(name: str, limit_s: float, command: Callable[[str, Path], list[str]], out: Path, log: Any) -> dict[str, Any]:
    result = out / f"{name}.part.json"
    result.unlink(missing_ok=True)
    log.write(f"== {name}\n")
    log.flush()
    begins, started = log.tell(), time.monotonic()
    process = subprocess.Popen(command(name, result), stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        status = "ok" if process.wait(limit_s) == 0 else "failed"
    except subprocess.TimeoutExpired:
        status = "out of time"
    finally:
        if process.poll() is None:  # also when we are interrupted: its own processes end with it
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    log.seek(0, os.SEEK_END)
    found: dict[str, Any] = {"status": status, "seconds": round(time.monotonic() - started, 1)}
    if result.exists():
        found["figures"] = json.loads(result.read_text())
        result.unlink()
    if status != "ok":
        with (out / LOG).open() as printed:
            printed.seek(begins)
            found["output"] = printed.read().splitlines()[-_TOLD_LINES:]
    return found
