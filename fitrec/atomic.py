"""Atomic writes: a file or folder appears under its name complete, or not at all."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from fitrec.errors import StoreError
from fitrec.leftovers import clean_up, hidden_sibling

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another place",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another place",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "permission denied; choose a folder you may write to",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
}


def require_absent(path: Path, overwrite: bool = False) -> None:
    """Raise StoreError if `path` exists, unless it may be overwritten."""
    if not overwrite and path.exists():
        raise StoreError(f"{path} exists already; choose another output, remove it, or ask for it to be overwritten")


@contextmanager
def atomic_path(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling of `path` to be filled as a file or folder, then move it into place.

    The data reach the disk before the name does. If the block raises, the temporary is removed and `path` stays as it was; what a
    killed process left of `path` is cleaned up first.

    Raises
    ------
    StoreError
        If `path` exists and may not be overwritten, or cannot be written (disk full, read-only, ...).

    """
    clean_up(path)
    require_absent(path, overwrite)
    temporary = hidden_sibling(path, "tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        _move(temporary, path)
        _sync_one(path.parent)
    except StoreError:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise StoreError(f"cannot write {path}: {reason}") from error
    finally:
        _remove(temporary)


def _move(temporary: Path, path: Path) -> None:
    if not path.is_dir():
        os.replace(temporary, path)
        return
    # A folder that is not empty cannot be replaced in one step: set the old one aside, and put it back if the move fails.
    aside = hidden_sibling(path, "old")
    os.rename(path, aside)
    try:
        os.rename(temporary, path)
    except OSError:
        os.rename(aside, path)
        raise
    shutil.rmtree(aside)


def _sync(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _sync(child)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, replacing an older one."""
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, replacing an older file; NaN and infinities are refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV without row numbers, replacing an older file; missing values are empty."""
    write_text(path, table.to_csv(index=False))
