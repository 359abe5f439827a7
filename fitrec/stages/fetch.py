"""Copies a data set from a mirror, verified."""

import shutil
from pathlib import Path

from fitrec import store
from fitrec.datasets import verify


def run(dataset: str, out: Path, overwrite: bool = False) -> Path:
    """Verify a data set and copy it to the folder ``out/<dataset>``, so that FITREC_DATA may name `out`.

    Returns
    -------
    Path
        The data set's folder.

    Raises
    ------
    MissingFileError
        If no mirror holds the data set; the message says where to obtain it.
    StoreError
        If it is damaged, exists in `out` already, or cannot be written.

    """
    target = out / dataset
    store.require_absent(target, overwrite)
    source = verify(dataset)
    with store.atomic_path(target, overwrite) as temporary:
        shutil.copytree(source, temporary)
    return target
