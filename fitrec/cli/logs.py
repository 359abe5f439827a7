"""Log lines on stderr, and a log file with everything needed to trace a run."""

import logging
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fitrec
from fitrec.errors import StoreError

_PACKAGES = ("numpy", "scipy", "numba", "zarr", "pandas", "pynwb", "h5py")
_root = logging.getLogger("fitrec")


def start(log: Path | None, facts: dict[str, object]) -> None:
    """Send INFO lines to stderr and everything to the file `log`, which begins with versions, command and `facts`."""
    _root.setLevel(logging.DEBUG)
    _root.propagate = False
    if not any(type(handler) is logging.StreamHandler for handler in _root.handlers):
        stream = logging.StreamHandler(sys.stderr)
        stream.setLevel(logging.INFO)
        stream.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        _root.addHandler(stream)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a log file on a full disk must not hide the sentence that says so
    if log is None:
        return
    add_file(log)
    for line in _header(facts):
        _root.debug(line)


def use_current_stderr() -> None:
    """Send lines to what sys.stderr is now, after something else has taken its place."""
    for handler in _root.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(sys.stderr)


def add_file(path: Path) -> None:
    """Append log records to a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"The log file {path} cannot be written: {error.strerror}.") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _root.addHandler(handler)
    _root.setLevel(logging.DEBUG)
    logging.getLogger("py.warnings").addHandler(handler)


def log_file() -> Path | None:
    """Return the log file of this process, if one was asked for."""
    files = (handler.baseFilename for handler in _root.handlers if isinstance(handler, logging.FileHandler))
    return next((Path(name) for name in files), None)


def _header(facts: dict[str, object]) -> list[str]:
    lines = [
        f"fitrec {fitrec.__version__}, Python {platform.python_version()}, {platform.platform()}",
        "packages: " + ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "command: " + " ".join(sys.argv),
    ]
    return lines + [f"{name}: {value}" for name, value in facts.items() if value is not None]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
