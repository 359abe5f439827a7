"""Finds data sets in a local mirror: a folder with one subfolder per data set.

Mirrors, in the order they are tried: the folder that FITREC_DATA names, then `shared/data` beside the checkout.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from fitrec import resources
from fitrec.datasets.manifest import Manifest, load_manifest
from fitrec.errors import MissingFileError, StoreError


def locate(dataset: str) -> Path:
    """Folder of a data set whose files all have the right size.

    Raises
    ------
    MissingFileError
        If there is no such data set, or it lies in no mirror; the message says where to obtain it.
    StoreError
        If files are missing or have another size, as after an interrupted download.

    """
    manifest = load_manifest(dataset)
    for mirror in _mirrors():
        folder = mirror / dataset
        if folder.is_dir():
            _raise_first(missing(manifest, folder), manifest)
            return folder
    raise MissingFileError(
        f"data set {dataset} is not on this machine (looked in {' and '.join(str(m) for m in _mirrors())}); obtain it from "
        f"{manifest.obtain}, put its files into a folder named {dataset}, and set FITREC_DATA to the folder above it"
    )


def verify(dataset: str) -> Path:
    """Locate a data set and compare the SHA-256 of every file; StoreError names the first that differs."""
    folder = locate(dataset)
    manifest = load_manifest(dataset)
    _raise_first(_changed(manifest, folder), manifest)
    return folder


def missing(manifest: Manifest, folder: Path) -> Iterator[str]:
    """Yield what is missing in a folder or has another size, without reading the files."""
    for file in manifest.files:
        path = folder / file["path"]
        if not path.is_file():
            yield f"{path} is missing"
        elif path.stat().st_size != file["bytes"]:
            yield f"{path} has {path.stat().st_size} bytes instead of {file['bytes']}"
    if manifest.folder is not None:
        sizes = [(folder / path).stat().st_size for path in _paths(folder)]
        if (len(sizes), sum(sizes)) != (manifest.folder["files"], manifest.folder["bytes"]):
            yield (
                f"{folder} holds {len(sizes)} files of {sum(sizes)} bytes in all instead of {manifest.folder['files']} of "
                f"{manifest.folder['bytes']}"
            )


def _changed(manifest: Manifest, folder: Path) -> Iterator[str]:
    for file in manifest.files:
        if _sha256(folder / file["path"]) != file["sha256"]:
            yield f"{folder / file['path']} does not have the SHA-256 of the manifest"
    if manifest.folder is not None:
        lines = "".join(f"{_sha256(folder / path)}  {path}\n" for path in _paths(folder))
        if hashlib.sha256(lines.encode()).hexdigest() != manifest.folder["sha256"]:
            yield f"the files in {folder} do not have the SHA-256 of the manifest"


def _raise_first(problems: Iterator[str], manifest: Manifest) -> None:
    for problem in problems:
        raise StoreError(f"data set {manifest.name} is not whole: {problem}; obtain it again from {manifest.obtain}")


def _mirrors() -> list[Path]:
    named = os.environ.get("FITREC_DATA")
    return [*([Path(named)] if named else []), resources.root().parent / "shared" / "data"]


def _paths(folder: Path) -> list[str]:
    # A mirror may keep a note of its own beside the files.
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != "SOURCE.txt")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
