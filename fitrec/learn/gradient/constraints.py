"""What weights must obey: their signs (Dale's law per synapse), bounds, or to stay as they are."""

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ConfigError
from fitrec.kernels.eprop import Array
from fitrec.kernels.optimise import Constraint

logger = logging.getLogger(__name__)

Dale = Literal["none", "clip", "exponential", "softplus"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What holds for each weight of an array before and after every update.

    Attributes
    ----------
    dale : str
        How a weight keeps its sign. ``clip``: an update that would change it ends at 0, from where later ones may lead back to
        the old sign. ``exponential``: |w| = exp(theta) with the optimiser moving theta, so that changes are relative to the
        weight. ``softplus``: |w| = s log(1 + exp(theta / s)), relative for weights well below s, absolute above; s is the mean
        magnitude at the beginning. ``none``: weights may change their signs. Neither theta nor the sign is stored: both follow
        from the weight, a zero having the sign of its floating-point number.
    w_min, w_max : float
        Weights stay between these.

    """

    dale: Dale = "none"
    w_min: float = -np.inf
    w_max: float = np.inf


FREE = Limits()


@dataclass(frozen=True, eq=False)
class Parameter:
    """Numbers that are learned, in one flat array.

    Parameters
    ----------
    name : str
        As errors and checkpoints call it.
    values : (element,) float32 or float64
        Changed in place.
    limits : Limits
    neuron : (element,) int, optional
        The neuron that an element belongs to, for error messages: of a synapse the postsynaptic one. By default element k belongs
        to neuron k.
    frozen : bool
        Whether the values stay as they are.
    rate : float
        Learning rate relative to that of the other parameters.

    Raises
    ------
    ConfigError
        If values lie outside the limits, or are not finite.

    """

    name: str
    values: Array
    limits: Limits = FREE
    neuron: NDArray[np.integer] | None = None
    frozen: bool = False
    rate: float = 1.0

    def __post_init__(self) -> None:
        values, limits = self.values, self.limits
        if not np.isfinite(values).all():
            k = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ConfigError(
                f"{self.name}: element {k}, of neuron {self.owner(k)}, begins at {values[k]}, which is not finite; give it "
                "a value to start from"
            )
        outside = (values < limits.w_min) | (values > limits.w_max)
        if outside.any():
            k = int(np.flatnonzero(outside)[0])
            raise ConfigError(
                f"{self.name}: {outside.sum()} of {values.size} elements begin outside the bounds [{limits.w_min:g}, "
                f"{limits.w_max:g}], element {k} at {values[k]:g}; widen the bounds or change where they begin"
            )
        stuck = values.size - int(np.count_nonzero(values))
        if stuck and not self.frozen and limits.dale in ("exponential", "softplus"):
            logger.warning(
                "%s: %d of %d elements are 0, which %s can never change; give them a small magnitude, or use clip",
                self.name,
                stuck,
                values.size,
                limits.dale,
            )

    @property
    def constraint(self) -> Constraint:
        """Of the kernels."""
        return Constraint[self.limits.dale.upper()]

    def owner(self, element: int) -> int:
        """Return the neuron that an element belongs to."""
        return element if self.neuron is None else int(self.neuron[element])


def magnitude_scale(values: Array) -> float:
    """Return the mean magnitude of the weights that are not 0, or 1 if all are: the scale of ``softplus``."""
    magnitudes = np.abs(values[values != 0], dtype=np.float64)
    return float(magnitudes.mean()) if magnitudes.size else 1.0
