"""Patterns in two dimensions that networks learn to draw (eprop.md 2.1): a lemniscate, and a word written by hand."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ConfigError

LEMNISCATE_STEPS, STEPS_PER_POINT = 1258, 8


def lemniscate() -> NDArray[np.float64]:
    """Horizontal and vertical coordinates, (time, 2): one and two periods of a sine."""
    return np.stack([np.sin(np.linspace(0, turns * np.pi, LEMNISCATE_STEPS)) for turns in (2, 4)], axis=1)


def handwriting(points: Path) -> NDArray[np.float64]:
    """Coordinates (time, 2) of a drawing, 8 steps to a point, straight lines in between.

    Parameters
    ----------
    points : Path
        Text with two numbers in each line: from the point before to this one, to the right and down.

    Raises
    ------
    ConfigError
        If it is no such file.

    """
    try:
        moves = np.loadtxt(points, ndmin=2)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--points {points}: {error}; it has to be a text file with two numbers in each line") from error
    if moves.shape[1] != 2 or len(moves) < 2 or not np.isfinite(moves).all():
        raise ConfigError(
            f"--points {points} holds {moves.shape[0]} lines of {moves.shape[1]} numbers; it has to be at least two lines of two "
            "finite numbers, the steps from point to point"
        )
    drawn = np.cumsum(moves, axis=0)
    size = np.abs(drawn).max(axis=0)
    drawn = drawn / np.where(size > 0, size, 1)
    drawn -= drawn.mean(axis=0)
    place = np.arange(STEPS_PER_POINT * len(drawn)) / STEPS_PER_POINT
    return np.stack([np.interp(place, np.arange(len(drawn)), coordinate) for coordinate in drawn.T], axis=1)
