"""What a training leaves while it runs, so that it can be watched and go on after an interruption: checkpoints, live curve."""

import logging
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fitrec.learn.training import Row, Training
from fitrec.networks.weights import Weights
from fitrec.store.checkpoint_writer import CheckpointWriter
from fitrec.store.checkpoints import Checkpoint, newest_path, read_newest, remove_all
from fitrec.store.curve import LiveCurve

logger = logging.getLogger(__name__)


class TrainState:
    """The folder of a training under way: checkpoints and ``curve.csv``, which gains a row per loop.

    As a context manager it waits at the end until the last checkpoint is on the disk.

    Parameters
    ----------
    folder : Path
        Where they lie.
    identity, settings
        What the training depends on, as in `fitrec.store.checkpoints.Checkpoint`.
    every_s : float
        Least time between checkpoints in seconds.

    """

    def __init__(self, folder: Path, identity: dict[str, str], settings: dict[str, Any], every_s: float) -> None:
        self._folder, self._identity, self._settings, self._every_s = folder, identity, settings, every_s
        self._writer = CheckpointWriter(folder)
        self._written = time.monotonic()

    def begin(self, training: Training, resume: bool) -> None:
        """Let the training go on from the newest whole checkpoint; without `resume`, remove the checkpoints there are.

        Raises
        ------
        TrainingError
            If the checkpoint belongs to another training.
        StoreError
            If the folder cannot be written.

        """
        checkpoint = read_newest(self._folder, self._identity, self._settings) if resume else None
        if checkpoint is not None:
            _restore(training, checkpoint)
            logger.info("resumed after loop %d of %d", checkpoint.loops, training.rule.n_loops)
        elif not resume:
            remove_all(self._folder)
        path = self._folder / "curve.csv"
        self._curve = LiveCurve(path, training.curve)
        logger.info("learning curve while the training runs: %s", path)

    def after_loop(self, training: Training, row: Row) -> None:
        """Append the row to the curve, and start writing a checkpoint if one is due and none is being written."""
        self._curve.append(row)
        if time.monotonic() - self._written >= self._every_s and not self._writer.busy:
            started = time.monotonic()
            self._writer.write(_checkpoint(training, self._identity, self._settings))
            self._written = time.monotonic()
            logger.debug("checkpoint after loop %d: the training waited %.3f s", row["loop"], self._written - started)

    def last_good(self) -> str:
        """Say which checkpoint a training that has to stop can go on from."""
        self._writer.wait()
        newest = newest_path(self._folder)
        return "no checkpoint was written yet" if newest is None else f"the last good checkpoint is {newest}"

    def remove(self) -> None:
        """Remove everything: the training has ended, and later inputs must not meet it."""
        remove_all(self._folder)
        self._curve.remove()

    def __enter__(self) -> "TrainState":
        self._writer.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.__exit__(kind, error, trace)


def _checkpoint(training: Training, identity: dict[str, str], settings: dict[str, Any]) -> Checkpoint:
    best = training.best_correlation
    values = {"curve": training.curve, "seconds": training.seconds, "best_correlation": best if np.isfinite(best) else None}
    weights = {"best.plastic": training.best.plastic, "best.feed_forward": training.best.feed_forward}
    if training.best.parameters is not None:
        weights["best.parameters"] = training.best.parameters
    state = {f"rule.{name}": array for name, array in training.rule.state().items()}
    return Checkpoint(loops=len(training.curve), identity=identity, settings=settings, values=values, arrays={**weights, **state})


def _restore(training: Training, checkpoint: Checkpoint) -> None:
    arrays, values = checkpoint.arrays, checkpoint.values
    training.rule.restore({name.removeprefix("rule."): array for name, array in arrays.items() if name.startswith("rule.")})
    training.best = Weights(
        plastic=arrays["best.plastic"],
        feed_forward=arrays["best.feed_forward"],
        parameter_names=training.best.parameter_names,
        parameters=arrays.get("best.parameters"),
    )
    training.best_correlation = float("-inf") if values["best_correlation"] is None else values["best_correlation"]
    training.curve, training.seconds = values["curve"], values["seconds"]
