"""Files of generated and of compiled code that later runs take from here."""

import os
import tempfile
from functools import cache
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """Return the folder for a `kind` of code: in ``FITREC_CACHE``, ``XDG_CACHE_HOME`` or ``~/.cache``, else a temporary one."""
    for variable, below in (("FITREC_CACHE", ""), ("XDG_CACHE_HOME", "fitrec"), ("HOME", ".cache/fitrec")):
        if os.environ.get(variable):
            folder = Path(os.environ[variable]) / below / kind
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError:
                continue
            if os.access(folder, os.W_OK):
                return folder
    return _temporary(kind)


@cache
def _temporary(kind: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"fitrec-{kind}-"))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that others find all of it or nothing."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
