"""Turns exceptions into exit status and one line on stderr."""

import errno
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from fitrec.errors import FitrecError, as_sentence

# The machine's refusals that a user can mend, wherever they surface.
_MENDABLE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
}
# How the last line of a failed command begins, on the terminal and in its log file.
USER_ERROR = "Error: "
INTERNAL_ERROR = "Internal error: "
_log = logging.getLogger("fitrec.cli")


def exit_status(call: Callable[[], object]) -> int:
    """Run `call`; return 0, 2 for a user's mistake (one sentence on stderr), 1 for ours (traceback in the log file)."""
    try:
        result = call()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as with '| head'
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except FitrecError as error:
        return _user_error(str(error))
    except MemoryError as error:
        return _user_error(f"not enough memory ({error or 'no size known'}); use a smaller network or fewer trials at a time")
    except OSError as error:
        if error.errno in _MENDABLE:
            where = f" '{error.filename}'" if error.filename else ""
            return _user_error(f"cannot use{where}: {_MENDABLE[error.errno]}")
        return _our_error(error)
    except Exception as error:
        return _our_error(error)
    return result if isinstance(result, int) else 0


def outcome(log: str) -> str | None:
    """Return the last line of a failed command, "Error: ..." or "Internal error: ...", from the text of its log file."""
    message = log.rstrip().rpartition("\n")[2].partition(f" {_log.name}: ")[2]
    return message if message.startswith((USER_ERROR, INTERNAL_ERROR)) else None


def _user_error(text: str) -> int:
    line = USER_ERROR + as_sentence(text)
    _log.debug(line)  # into the log file only: it becomes the file's last line
    click.echo(line, err=True)
    return 2


def _our_error(error: Exception) -> int:
    from fitrec.cli.logs import add_file, log_file

    path = log_file()
    if path is None:
        path = Path(tempfile.gettempdir()) / f"fitrec-{os.getpid()}.log"
        add_file(path)
    brief = INTERNAL_ERROR + " ".join(f"{type(error).__name__}: {error}".split())
    _log.debug("Traceback", exc_info=error)
    _log.debug(brief)
    click.echo(f"{brief} (traceback in {path}).", err=True)
    return 1
