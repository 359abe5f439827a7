"""N-MNIST: handwritten digits seen by an event camera (Orchard et al. 2015), with the published division into training and test.

Two layouts are read: the data set as published (``Train/<digit>/<id>.bin``, ``Test/<digit>/<id>.bin``), and that of the small set
(``<id>.bs2`` with the classes of training samples in ``train1K.txt``, of test samples in ``test100.txt``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import MissingFileError, RecordingError

SIDE = 34  # pixels
INPUTS = 2 * SIDE * SIDE
LONGEST_US = 336040  # of any recording (eprop.md 2.1)
_EVENT_BYTES = 5


class Sample(NamedTuple):
    """A recording of a digit."""

    path: Path
    digit: int


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The samples to learn from, and those to be tested with."""

    train: tuple[Sample, ...]
    test: tuple[Sample, ...]


def find_samples(folder: Path) -> Samples:
    """List the samples of a folder.

    Raises
    ------
    MissingFileError
        If the folder has neither layout, or one of the two parts is empty.
    RecordingError
        If a list of classes cannot be read, or a sample belongs to both parts.

    """
    if (folder / "train1K.txt").is_file():
        train, test = (_listed(folder, name) for name in ("train1K.txt", "test100.txt"))
    elif (folder / "Train").is_dir():
        train, test = (_by_folder(folder / name) for name in ("Train", "Test"))
    else:
        raise MissingFileError(
            f"{folder} holds neither train1K.txt nor a folder Train; give --data the folder with Train/ and Test/ of N-MNIST"
        )
    for part, found in (("training", train), ("test", test)):
        if not found:
            raise MissingFileError(f"{folder} holds no {part} samples of N-MNIST; obtain the data set again")
    both = {sample.path for sample in train} & {sample.path for sample in test}
    if both:
        raise RecordingError(f"{min(both)} is listed both for training and for test; remove it from one of the lists")
    return Samples(train=tuple(train), test=tuple(test))


def read_events(path: Path, n_steps: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Read the events of a sample.

    An event has 5 bytes: x, y, and with the polarity in the highest bit 23 bits of time in microseconds. The longest recording
    fills all steps. Several events of a pixel in one step count once.

    Parameters
    ----------
    path : Path
    n_steps : int
        Steps that the time of the longest recording is divided into.

    Returns
    -------
    step, input : (event,)
        Sorted by step and input; input = polarity 34^2 + 34 y + x.

    Raises
    ------
    RecordingError
        If the file is cut off, or an event lies outside the 34 x 34 pixels or after the longest recording.

    """
    data = np.fromfile(path, np.uint8)
    if data.size % _EVENT_BYTES or not data.size:
        raise RecordingError(
            f"{path} has {data.size} bytes, which is no whole number of events of {_EVENT_BYTES} bytes; obtain the file again"
        )
    x, y, high, middle, low = data.reshape(-1, _EVENT_BYTES).T.astype(np.int64)
    time_us = (high & 0x7F) << 16 | middle << 8 | low
    outside = (x >= SIDE) | (y >= SIDE) | (time_us > LONGEST_US)
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        raise RecordingError(
            f"{path}: event {k} has x = {x[k]}, y = {y[k]} and {time_us[k]} us; N-MNIST has 34 x 34 pixels and at most "
            f"{LONGEST_US} us, so this is another kind of file"
        )
    step = np.minimum(np.rint(time_us * (n_steps / LONGEST_US)).astype(np.int64), n_steps - 1)
    pixel = (high >> 7) * SIDE * SIDE + y * SIDE + x
    step, pixel = np.divmod(np.unique(step * INPUTS + pixel), INPUTS)
    return step, pixel.astype(np.int32)


def move(step: NDArray[np.int64], pixel: NDArray[np.int32], right: int, down: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Move all events by whole pixels; what leaves the image is lost. Arguments and result as `read_events` returns them."""
    polarity, place = np.divmod(pixel, SIDE * SIDE)
    y, x = np.divmod(place, SIDE)
    x, y = x + right, y + down
    inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
    return step[inside], ((polarity * SIDE + y) * SIDE + x)[inside].astype(np.int32)


def _listed(folder: Path, name: str) -> list[Sample]:
    """Read a list of numbers and classes, for those whose files are there: the small set has the first 200 of 1000."""
    samples = []
    path = folder / name
    if not path.is_file():
        raise MissingFileError(f"{path} is missing; obtain the data set again")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 2 or not words[0].isdigit() or words[1] not in set("0123456789"):
            raise RecordingError(f"{path}, line {number}: {line!r} is no sample number and class 0 to 9")
        file = folder / f"{int(words[0])}.bs2"
        if file.is_file():
            samples.append(Sample(file, int(words[1])))
    return samples


def _by_folder(folder: Path) -> list[Sample]:
    return [Sample(path, digit) for digit in range(10) for path in sorted((folder / str(digit)).glob("*.bin"))]
