"""What `fitrec run` makes of Snakemake's outcome; a small program stands in for Snakemake."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fitrec.cli.failures import outcome
from fitrec.cli.workflow import drive, exclusive


def driven(out: Path, program: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    (out / "logs").mkdir(parents=True)
    with exclusive(out) as lock:
        status = drive(
            [sys.executable, "-c", f"import sys, pathlib\nlogs = pathlib.Path({str(out / 'logs')!r})\n{program}"], out, lock
        )
    return status, capsys.readouterr().err.splitlines()[3:]  # without the command, which has three lines here


def test_messages_of_the_stages_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = driven(tmp_path, "print('rule x:'); print('12:00:01 loop 1')", capsys)
    assert (status, shown) == (0, ["12:00:01 loop 1"])


def test_a_users_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "(logs / 'a.train.log').write_text('x DEBUG fitrec.cli: Error: unit 3 is silent.\\n'); sys.exit(1)"
    assert driven(tmp_path, program, capsys) == (2, ["Error: unit 3 is silent."])


def test_our_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "(logs / 'a.train.log').write_text('x DEBUG fitrec.cli: Internal error: ValueError: Error: no\\n'); sys.exit(1)"
    log = tmp_path / "logs" / "a.train.log"
    assert driven(tmp_path, program, capsys) == (1, [f"Internal error: ValueError: Error: no (traceback in {log})."])


def test_a_mistake_of_an_earlier_run_is_not_told_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "import os; p = logs / 'a.log'; p.write_text('x DEBUG fitrec.cli: Error: old.'); os.utime(p, (1, 1)); sys.exit(1)"
    status, shown = driven(tmp_path, program, capsys)
    assert status == 1
    assert shown[-1].startswith("Internal error: Snakemake failed; everything it said is in")


def test_a_full_disk_cuts_the_logs_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "print('Error: cannot write x: the disk is full.'); sys.exit(1)"
    assert driven(tmp_path, program, capsys) == (2, ["Error: cannot write x: the disk is full."])


def test_a_killed_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = driven(tmp_path, "print('returned non-zero exit status 137.'); sys.exit(1)", capsys)
    assert status == 1
    assert "for lack of memory" in shown[-1]


def test_the_folder_stays_locked_until_snakemake_has_ended(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from fitrec.cli.workflow import drive, exclusive\n"
        f"out = Path({str(tmp_path)!r})\n"
        "with exclusive(out) as lock: drive([sys.executable, '-c', 'import time; time.sleep(2)'], out, lock)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()  # the command line: Snakemake's stand-in is about to start
    time.sleep(0.5)
    process.kill()
    process.wait()
    process.stderr.close()
    descriptor = os.open(tmp_path / ".fitrec.lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # free once the stand-in has ended
    os.close(descriptor)


def unlocked(out: Path) -> bool:
    descriptor = os.open(out / ".fitrec.lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("reaction", ["ends", "ignores it", "ignored from the start"])
def test_a_signal_ends_snakemake_and_its_jobs(tmp_path: Path, number: int, reaction: str) -> None:
    """Nothing is left of them, the folder is unlocked, whether or not they heed the signal."""
    job = "import time; print('12:00:00 a job runs', flush=True); time.sleep(60)"
    if reaction == "ignores it":
        job = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {job}"
    snakemake = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {job!r}])"
    program = (
        "import signal, sys\n"
        # Whatever the tests themselves were started to ignore (nohup, a background job) is heeded here.
        "signal.signal(signal.SIGINT, signal.default_int_handler); signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from pathlib import Path; from fitrec.cli import interruption, workflow\n"
        "from fitrec.cli.failures import exit_status\n"
        f"interruption.GRACE_S = {1.0 if reaction == 'ignores it' else 60.0}\n"
        f"if {reaction == 'ignored from the start'}: signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"out = Path({str(tmp_path)!r})\n"
        "def run():\n"
        "    with workflow.exclusive(out) as lock:\n"
        f"        workflow.drive([sys.executable, '-c', {snakemake!r}], out, lock)\n"
        "sys.exit(exit_status(run))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "a job runs" not in (line := process.stderr.readline()) or line.startswith("/"):
            assert process.poll() is None
        assert not unlocked(tmp_path)
        if reaction == "ignored from the start" and number == signal.SIGINT:
            process.send_signal(number)
            time.sleep(0.5)
            assert process.poll() is None  # a background job of a script goes on; another signal ends it
            assert not unlocked(tmp_path)
            number = signal.SIGTERM
        process.send_signal(number)
        _, errors = process.communicate(timeout=40)
    assert process.returncode == 130
    assert errors.splitlines()[0].startswith("Stopping the stages")
    assert errors.splitlines()[-1] == "Interrupted."
    assert unlocked(tmp_path)


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        ("t INFO fitrec.stages: hello\nt DEBUG fitrec.cli: Error: no.\n", "Error: no."),
        ("t DEBUG fitrec.cli: Error: no.\nt INFO fitrec.stages: later\n", None),
        ("t DEBUG fitrec.cli: Internal error: KeyError: 1\n", "Internal error: KeyError: 1"),
        ("", None),
    ],
)
def test_outcome(log: str, wanted: str | None) -> None:
    assert outcome(log) == wanted
