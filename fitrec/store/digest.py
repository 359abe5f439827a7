"""Content hashes of files, folders and configurations."""

import hashlib
import json
from pathlib import Path
from typing import Any

from fitrec.errors import MissingFileError, StoreError

# Snakemake leaves it inside a folder it declared as an output; it is no content.
SNAKEMAKE_TIMESTAMP = ".snakemake_timestamp"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    if not path.exists():
        raise MissingFileError(f"{path} does not exist")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


def content_sha256(path: Path) -> str:
    """SHA-256 of a file, or of a folder's relative paths and the files under them, whatever their dates."""
    if not path.is_dir():
        return file_sha256(path)
    files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file() and p.name != SNAKEMAKE_TIMESTAMP)
    return json_sha256([[name, file_sha256(path / name)] for name in files])


def json_sha256(value: Any) -> str:
    """SHA-256 of a value that JSON can hold, whatever the order of its keys; used for configurations."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
