"""Checkpoints of a training: arrays and plain values in one .npz file each, never pickles.

Files are named by the number of finished loops and written atomically; the two newest are kept, so that a damaged one can be
passed over.
"""

import json
import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.store.atomic import atomic_path

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
    values : dict
        Plain values (JSON): learning curve, seconds so far.
    arrays : dict of arrays
        The rule's state, the best weights so far.

    """

    loops: int
    identity: dict[str, str]
    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and remove all but the newest ones.

    Raises
    ------
    StoreError
        If it cannot be written.

    """
    meta = {"loops": checkpoint.loops, "identity": checkpoint.identity, "values": checkpoint.values}
    encoded = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    with atomic_path(folder / f"loop-{checkpoint.loops:06d}.npz", overwrite=True) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **{_META: encoded}, **checkpoint.arrays)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink()


def read_newest(folder: Path, identity: dict[str, str]) -> Checkpoint | None:
    """Read the newest checkpoint that is whole; None if there is none.

    Raises
    ------
    TrainingError
        If the checkpoint was made with another config, network or targets; the message names which.

    """
    for path in _newest_first(folder) if folder.is_dir() else []:
        try:
            with np.load(path, allow_pickle=False) as file:
                meta = json.loads(file[_META].tobytes())
                arrays = {name: file[name] for name in file.files if name != _META}
        except (zipfile.BadZipFile, EOFError, KeyError, ValueError, OSError) as error:
            logger.warning("the checkpoint %s is damaged (%s); using the one before it", path, error)
            continue
        differing = sorted(key for key in identity if meta["identity"].get(key) != identity[key])
        if differing:
            raise TrainingError(
                f"the checkpoint {path} was made with another {' and another '.join(differing)}; train without --resume, "
                f"or remove the folder {folder} to start again"
            )
        return Checkpoint(loops=meta["loops"], identity=meta["identity"], values=meta["values"], arrays=arrays)
    return None


def remove_all(folder: Path) -> None:
    """Remove the checkpoints of a folder."""
    for path in _newest_first(folder) if folder.is_dir() else []:
        path.unlink()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("loop-*.npz"), reverse=True)
