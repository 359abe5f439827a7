"""Checkpoints of a training: arrays and plain values in one .npz file each, never pickles.

Files are named by the number of finished loops and written atomically; the two newest are kept, so that a damaged one can be
passed over.
"""

import json
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.atomic import atomic_path
from fitrec.errors import TrainingError
from fitrec.leftovers import clean_up

logger = logging.getLogger(__name__)

KEPT = 2
_META = "_meta"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """State of a training after some loops.

    Attributes
    ----------
    loops : int
        Finished loops.
    identity : dict of str
        Hashes of what the training depends on; a checkpoint is only used where they are the same.
    settings : dict
        Settings (JSON) that the training depends on, likewise; a refusal names the keys that differ.
    values : dict
        Plain values (JSON): learning curve, seconds so far.
    arrays : dict of arrays
        The rule's state, the best weights so far.

    """

    loops: int
    identity: dict[str, str]
    settings: dict[str, Any]
    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and remove all but the newest ones.

    Raises
    ------
    StoreError
        If it cannot be written.

    """
    meta = {name: getattr(checkpoint, name) for name in ("loops", "identity", "settings", "values")}
    meta["arrays"] = sorted(checkpoint.arrays)
    encoded = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    path = folder / f"loop-{checkpoint.loops:06d}.npz"
    with atomic_path(path, overwrite=True) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **{_META: encoded}, **checkpoint.arrays)
    # A file of a later loop is one that was damaged, and passed over when the training resumed.
    earlier = [other for other in _newest_first(folder) if other.name <= path.name]
    for other in set(_newest_first(folder)) - set(earlier[:KEPT]):
        other.unlink()


def read_newest(folder: Path, identity: dict[str, str], settings: dict[str, Any]) -> Checkpoint | None:
    """Read the newest checkpoint that is whole; None if there is none. Damaged ones are named in a warning.

    Raises
    ------
    TrainingError
        If the checkpoint was made with other settings, another network or other targets; the message names what differs.

    """
    damaged = 0
    for path in _newest_first(folder):
        try:
            checkpoint = _read(path)
        except Exception as error:  # a damaged archive fails in any way
            reason = " ".join(str(error).split()) or type(error).__name__
            logger.warning("the checkpoint %s is damaged (%s); using the one before it", path, reason)
            damaged += 1
            continue
        differing = [f"another {key}" for key in identity if checkpoint.identity.get(key) != identity[key]]
        differing += list(_differences(checkpoint.settings, settings))
        if differing:
            raise TrainingError(
                f"the checkpoint {path} was made with {', '.join(differing)}; train without --resume, "
                f"or remove the folder {folder} to start again"
            )
        return checkpoint
    if damaged:
        logger.warning("no checkpoint in %s is whole; the training starts from the beginning", folder)
    return None


def newest_path(folder: Path) -> Path | None:
    """Return where the newest checkpoint lies, if there is one."""
    return next((path.resolve() for path in _newest_first(folder)), None)


def remove_all(folder: Path) -> None:
    """Remove the checkpoints of a folder, and what killed processes left of them."""
    for path in _newest_first(folder):
        path.unlink()
    for path in folder.glob(".loop-*.npz.*"):
        clean_up(folder / path.name[1 : path.name.index(".npz") + 4])


def _read(path: Path) -> Checkpoint:
    """Read a file, and raise an exception of whatever kind if any of it is not as it was written."""
    with np.load(path, allow_pickle=False) as file:
        archive: zipfile.ZipFile = file.zip
        # numpy may stop reading before it gets to the end of an array, where the check sums are compared.
        broken = archive.testzip()
        if broken is not None:
            raise zipfile.BadZipFile(f"wrong check sum of {broken}")
        meta = json.loads(file[_META].tobytes())
        names = [name for name in file.files if name != _META]
        if sorted(names) != meta.pop("arrays"):
            raise zipfile.BadZipFile("arrays are missing or have other names")
        return Checkpoint(**meta, arrays={name: file[name] for name in names})


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """Yield one phrase for each key whose values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield f"{key} = {json.dumps(old)} (now {json.dumps(new)})"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("loop-*.npz"), reverse=True) if folder.is_dir() else []
