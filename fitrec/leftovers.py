"""The hidden siblings that atomic writes work in, and what is left of them when a process was killed.

A hidden sibling is called ``.<name>.<machine>-<pid>-<start>-<n>.<kind>``: whose it is stands in its name, so that the next write
of that name can tell what a dead process left behind from what another one is just writing.
"""

import errno
import hashlib
import itertools
import logging
import os
import platform
import re
import shutil
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)

_KINDS = "tmp|old"  # an unfinished new version; the earlier version, set aside while a folder is replaced
_OWNER = re.compile(rf"\.(?P<name>.+)\.(?P<machine>[0-9a-f]{{8}})-(?P<pid>\d+)-(?P<start>\d+)-\d+\.(?P<kind>{_KINDS})")
_count = itertools.count()


def hidden_sibling(path: Path, kind: str) -> Path:
    """Return an unused hidden name beside `path` that says which process it belongs to."""
    pid = os.getpid()
    return path.with_name(f".{path.name}.{_machine()}-{pid}-{_start(pid)}-{next(_count)}.{kind}")


def clean_up(path: Path) -> None:
    """Remove what dead processes left of `path`; if one was killed while it replaced `path`, put the earlier version back."""
    if not path.parent.is_dir():
        return
    for sibling in path.parent.glob(f".{_literal(path.name)}.*"):
        owner = _OWNER.fullmatch(sibling.name)
        if owner is None or owner["name"] != path.name or not _is_dead(owner):
            continue
        try:
            if owner["kind"] == "old" and not path.exists():
                sibling.rename(path)
            elif sibling.is_dir():
                shutil.rmtree(sibling)
            else:
                sibling.unlink()
        except OSError as error:
            logger.warning("%s, left by a process that was killed, cannot be removed: %s", sibling, error.strerror)
        else:
            logger.info("cleaned up %s, left by a process that was killed", sibling)


def _is_dead(owner: re.Match[str]) -> bool:
    """Whether the process is known to have ended; on another machine nothing is known."""
    if owner["machine"] != _machine():
        return False
    pid = int(owner["pid"])
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.ESRCH
    return _start(pid) != int(owner["start"])  # otherwise the number was given to another process


@cache
def _machine() -> str:
    """Eight hexadecimal digits for the machine and, within it, the container: process numbers mean something there only."""
    try:
        container = os.readlink("/proc/self/ns/pid")
    except OSError:
        container = ""
    return hashlib.sha256(f"{platform.node()} {container}".encode()).hexdigest()[:8]


def _start(pid: int) -> int:
    """When a process started, in the kernel's clock ticks; 0 where that is not told."""
    try:
        # The name of the program, in parentheses, may itself hold spaces and parentheses.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def _literal(name: str) -> str:
    """Escape what has a meaning in a glob pattern."""
    return re.sub(r"([*?[])", r"[\1]", name)
