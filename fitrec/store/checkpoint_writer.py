"""Writes checkpoints while the training goes on."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from fitrec.errors import StoreError
from fitrec.store.checkpoints import Checkpoint, write_checkpoint

logger = logging.getLogger(__name__)

# A copy may take this share of the free memory; a larger checkpoint is written while the training waits.
_COPY_SHARE = 0.5


class CheckpointWriter:
    """Writes checkpoints to a folder from copies, in a thread of its own: the training waits for the copy only.

    As a context manager it waits at the end, however the block ends, until the last checkpoint is on the disk. An error of a
    write is raised by the next call, or at the end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None
        self._copies: dict[str, NDArray[Any]] = {}

    @property
    def busy(self) -> bool:
        """Whether the last checkpoint is still being written."""
        return self._pending is not None and not self._pending.done()

    def write(self, checkpoint: Checkpoint) -> None:
        """Start writing a checkpoint; its arrays may change as soon as this returns.

        Raises
        ------
        StoreError
            If the checkpoint before could not be written.

        """
        self.wait()
        # Memory that is already there takes a copy several times as fast as new memory does.
        new = {name for name, array in checkpoint.arrays.items() if not _alike(array, self._copies.get(name))}
        if sum(checkpoint.arrays[name].nbytes for name in new) > _COPY_SHARE * psutil.virtual_memory().available:
            self._copies = {}
            write_checkpoint(self.folder, checkpoint)
            return
        self._copies = {
            name: np.empty_like(array) if name in new else self._copies[name] for name, array in checkpoint.arrays.items()
        }
        for name, array in checkpoint.arrays.items():
            np.copyto(self._copies[name], array)
        self._pending = self._pool.submit(write_checkpoint, self.folder, replace(checkpoint, arrays=self._copies))

    def wait(self) -> None:
        """Wait until the last checkpoint is on the disk; raise StoreError if it could not be written."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.wait()
        except StoreError as failure:
            if error is None:
                raise
            logger.warning("%s", failure)  # what stopped the training is the more important
        finally:
            self._pool.shutdown()


def _alike(array: NDArray[Any], copy: NDArray[Any] | None) -> bool:
    return copy is not None and copy.shape == array.shape and copy.dtype == array.dtype
