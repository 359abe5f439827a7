"""Drives Snakemake for ``fitrec run``: the command, the lock, the messages, the outcome."""

import fcntl
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from fitrec.cli import console
from fitrec.cli.failures import INTERNAL_ERROR, USER_ERROR, outcome
from fitrec.cli.interruption import Interruption
from fitrec.errors import ConfigError, StoreError
from fitrec.resources import root

_log = logging.getLogger("fitrec.run")
_STAGE_LINE = re.compile(r"\d\d:\d\d:\d\d ")


def snakemake_command(
    config: Path,
    out: Path,
    *,
    profile: str,
    threads: int,
    device: str,
    seed: int | None,
    dry_run: bool,
    further: Sequence[str],
) -> list[str]:
    """Return the Snakemake call that does the run."""
    settings = [f"device={device}", f"threads={threads}"] + ([] if seed is None else [f"seed={seed}"])
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(root() / "Snakefile")]
    command += ["--configfile", str(config.resolve()), "--directory", str(out.resolve())]
    command += ["--workflow-profile", str(_profile(profile)), "--config", *settings]
    # Our own lock, which a killed run does not leave behind, takes the place of Snakemake's.
    command += ["--nolock", "--cores" if profile == "local" else "--local-cores", str(threads)]
    return command + (["--dry-run"] if dry_run else []) + list(further)


def _profile(name: str) -> Path:
    bundled = root() / "config" / "profiles" / name
    folder = bundled if bundled.is_dir() else Path(name).resolve()
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in bundled.parent.iterdir()))
        raise ConfigError(f"There is no profile '{name}'; choose one of {known}, or a folder with a Snakemake profile.")
    return folder


@contextmanager
def exclusive(out: Path) -> Iterator[int]:
    """Create the folder of the run and hold its lock; yield the lock's file descriptor."""
    path = out / ".fitrec.lock"
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"The run cannot be written to {out}: {error.strerror}; choose another --out.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreError(f"Another run is working in {out}; wait for it to end or choose another --out.") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def dry_run(command: Sequence[str], out: Path) -> int:
    """Show Snakemake's plan. A folder that does not exist yet is not created."""
    with tempfile.TemporaryDirectory() as elsewhere:
        if not out.exists():
            command = [elsewhere if part == str(out.resolve()) else part for part in command]
        return 1 if subprocess.run(command, check=False).returncode else 0


def drive(command: Sequence[str], out: Path, lock: int) -> int:
    """Run Snakemake, show the stages' messages, keep everything in the log file; return the exit status 0, 1 or 2.

    The lock's descriptor is handed on, so that the folder stays locked until Snakemake has ended, even if this process is killed.

    Raises
    ------
    KeyboardInterrupt
        If this process was asked to end; Snakemake and its jobs have ended then.

    """
    started = time.time()
    click.echo(shlex.join(command), err=True)
    _log.debug("command: %s", shlex.join(command))
    lines: list[str] = []
    with (
        Interruption() as interruption,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=(lock,),
            process_group=0,  # Snakemake and its jobs, which we end together
        ) as process,
    ):
        interruption.watch(process.pid)
        assert process.stdout is not None
        for line in process.stdout:  # ends when Snakemake and all its jobs have ended
            lines.append(line.rstrip())
            _log.debug("%s", lines[-1])
            if _STAGE_LINE.match(line):
                click.echo(lines[-1], err=True)
    if interruption.asked:
        raise KeyboardInterrupt
    if process.returncode == 0:
        return 0
    return _explain(lines, out, started)


def _explain(lines: list[str], out: Path, started: float) -> int:
    """Print why Snakemake failed: the sentences of the stages, else its own last words."""
    sentences = []
    for path in sorted((out / "logs").glob("*.log")):
        if path.name != "run.log" and path.stat().st_mtime >= started - 0.1:
            sentence = outcome(path.read_text(encoding="utf-8", errors="replace"))
            if sentence is not None:
                sentences.append(sentence + (f" (traceback in {path})." if sentence.startswith(INTERNAL_ERROR) else ""))
    if not sentences:  # on a full disk the logs are cut short
        sentences = [line for line in lines if line.startswith((USER_ERROR, INTERNAL_ERROR))]
    for sentence in dict.fromkeys(sentences):
        click.echo(sentence, err=True)
    if sentences and all(sentence.startswith(USER_ERROR) for sentence in sentences):
        return 2
    if not sentences:
        killed = (
            "a stage was killed, most likely for lack of memory"
            if any("status 137" in line for line in lines)
            else "Snakemake failed"
        )
        words = [line for line in lines if line.strip()][-8:]
        click.echo("\n".join(words), err=True)
        click.echo(f"{INTERNAL_ERROR}{killed}; everything it said is in {out / 'logs' / 'run.log'}.", err=True)
    return 1


def print_results(out: Path, fits: Sequence[str]) -> None:
    """Print one row per fit from its summary.json."""
    columns = ["fit", "units", "r train", "r test", "r / ceiling", "train s", "report"]
    rows = []
    for name in fits:
        summary = json.loads((out / name / "evaluation" / "summary.json").read_text(encoding="utf-8"))
        figures = [_median(summary, key) for key in ("psth_r_train", "psth_r_test", "r_over_ceiling")]
        seconds = summary["train_seconds"]
        rows.append(
            [
                name,
                str(summary["n_trained"]),
                *figures,
                "-" if seconds is None else f"{seconds:.1f}",
                str(out / name / "report" / "index.html"),
            ]
        )
    console.table("Medians over units, weights frozen; test: trials that training never saw", columns, rows)


def _median(summary: dict[str, Any], key: str) -> str:
    value = (summary[key] or {}).get("median")
    return "-" if value is None else f"{value:.3f}"
