"""Array files of several formats behind one mapping from names to arrays. Nothing is ever unpickled."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from fitrec.errors import MissingFileError, RecordingError

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
# A MATLAB v7.3 file is HDF5 behind a header of 512 bytes.
_HDF5_OFFSETS = (0, 512)


def detect(path: Path) -> Literal["hdf5", "npz", "npy"]:
    """Tell the format of a file by its first bytes.

    Raises
    ------
    MissingFileError
        If there is no such file.
    RecordingError
        If it is a folder or of another format.

    """
    if not path.exists():
        raise MissingFileError(f"{path} does not exist")
    if path.is_dir():
        raise RecordingError(f"{path} is a folder; a file is wanted (NWB, .npz, .npy, .h5, .hdf5, .jld or .mat v7.3)")
    with path.open("rb") as file:
        head = file.read(_HDF5_OFFSETS[-1] + len(_HDF5_MAGIC))
    if any(head[offset:].startswith(_HDF5_MAGIC) for offset in _HDF5_OFFSETS):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"MATLAB 5.0"):
        raise RecordingError(f"{path} is a MATLAB file older than v7.3; save it with '-v7.3' or as .npz")
    found = "is empty" if not head else f"begins with {head[:8]!r}, which is no format that fitrec knows"
    raise RecordingError(f"{path} {found}; wanted: NWB, .npz, .npy, .h5, .hdf5, .jld or .mat v7.3")


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; RecordingError if it is not one or is truncated."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if "truncated" in str(error):
            raise RecordingError(f"{path} is truncated, as after an interrupted download or copy; fetch it again") from error
        raise RecordingError(f"{path} cannot be opened as HDF5 ({error})") from error
    with file:
        yield file


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, Any]]:
    """Open a file as a mapping from names to arrays; arrays of an HDF5 file are read when they are indexed."""
    kind = detect(path)
    if kind == "hdf5":
        with open_hdf5(path) as file:
            found: dict[str, Any] = {}
            file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
            yield found
        return
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{path} is damaged or holds pickled objects, which fitrec does not load ({error})") from error
    if kind == "npy":
        yield {path.stem: loaded}
        return
    with loaded:
        yield loaded


def read_array(arrays: Mapping[str, Any], key: str, path: Path) -> NDArray[Any]:
    """One array of numbers, booleans or strings.

    Raises
    ------
    RecordingError
        If there is no such array, it cannot be read, or holds something else.

    """
    if key not in arrays:
        raise RecordingError(f"{path} has no array '{key}'; it has {_listed(arrays)}")
    try:
        values = np.asarray(arrays[key][...])
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise RecordingError(f"array '{key}' of {path} cannot be read ({error})") from error
    if values.dtype.kind in "OS":
        return decode(values, f"array '{key}' of {path}")
    if values.dtype.kind not in "biufU":
        raise RecordingError(f"array '{key}' of {path} has type {values.dtype}; numbers, booleans or strings are wanted")
    return values


def only_key(arrays: Mapping[str, Any], ndim: int, path: Path) -> str:
    """Name of the only array with `ndim` axes; RecordingError if there is none or more than one."""
    found = [name for name in arrays if np.ndim(arrays[name]) == ndim]
    if len(found) != 1:
        raise RecordingError(
            f"{path} has {len(found) or 'no'} arrays with {ndim} axes; name the one to read by 'key' (it has {_listed(arrays)})"
        )
    return found[0]


def decode(values: NDArray[Any], where: str) -> NDArray[np.str_]:
    """Array of str from one of str or UTF-8 bytes."""
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.ravel()]
    if not all(isinstance(t, str) for t in texts):
        raise RecordingError(f"{where} holds objects; numbers, booleans or strings are wanted")
    return np.array(texts, dtype=str).reshape(values.shape)


def _listed(arrays: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {tuple(np.shape(arrays[name]))}" for name in arrays) or "none at all"
