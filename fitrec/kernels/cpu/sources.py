"""The text that numba's machine code is made from.

numba keeps machine code from run to run, and makes it anew when the file of a function has changed. But functions are built into
those that call them, in other files, and numba does not see when they change: kernels of yesterday would run in silence.
"""

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

_STAMP = "kernels.sha256"


@cache
def digest(folder: Path = Path(__file__).parent) -> str:
    """Return a digest of all Python files of `folder`, by default of this package."""
    found = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def forget_stale_code(folder: Path = Path(__file__).parent) -> None:
    """Delete numba's indexes of the machine code of `folder` if they are of other sources than today's.

    Where the folder cannot be written, numba keeps no code in it, and nothing is done.
    """
    kept = folder / "__pycache__"
    stamp = kept / _STAMP
    now = digest(folder)
    try:
        if stamp.is_file() and stamp.read_text() == now:
            return
        kept.mkdir(exist_ok=True)
        for index in kept.glob("*.nbi"):
            index.unlink(missing_ok=True)
        handle, temporary = tempfile.mkstemp(dir=kept, prefix=f".{_STAMP}")
        with os.fdopen(handle, "w") as file:
            file.write(now)
        os.replace(temporary, stamp)
    except OSError:
        pass
