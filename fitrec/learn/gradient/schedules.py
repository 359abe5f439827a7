"""How the learning rate changes over a training."""

import math
from dataclasses import dataclass
from typing import Literal

from fitrec.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Factor of the learning rate in each iteration.

    Attributes
    ----------
    kind : str
        ``constant``; ``step``: times `factor` every `every` iterations; ``cosine``: from 1 to `final` within `total` iterations,
        along half a cosine, and `final` from then on.
    warm_up : int
        The factor also rises linearly over this many iterations, the first of which has 1 / warm_up.

    """

    kind: Literal["constant", "step", "cosine"] = "constant"
    warm_up: int = 0
    every: int = 20
    factor: float = 0.9
    total: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        if self.kind == "cosine" and self.total < 1:
            raise ConfigError(f"a cosine schedule needs its number of iterations, but total = {self.total}; give total")
        if self.kind == "step" and (self.every < 1 or self.factor <= 0):
            raise ConfigError(
                f"a step schedule needs every >= 1 and factor > 0, but every = {self.every} and factor = {self.factor:g}"
            )

    def __call__(self, iteration: int) -> float:
        """Return the factor of an iteration, the first being 1."""
        warm = min(1.0, iteration / self.warm_up) if self.warm_up else 1.0
        if self.kind == "step":
            return warm * self.factor ** ((iteration - 1) // self.every)
        if self.kind == "cosine":
            done = min(1.0, (iteration - 1) / self.total)
            return warm * (self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2)
        return warm
