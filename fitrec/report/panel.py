"""What a section is made of, and how much of a long list it shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONDITIONS_SHOWN = 4


@dataclass(frozen=True)
class Panel:
    """A figure with its title and a caption that says how to read it."""

    svg: str
    title: str
    caption: str


@dataclass(frozen=True)
class Group:
    """Panels under one heading."""

    title: str
    note: str
    panels: list[Panel]


def spread(n: int, wanted: int) -> NDArray[np.int64]:
    """Return at most `wanted` of `n` indices, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).round().astype(np.int64))
