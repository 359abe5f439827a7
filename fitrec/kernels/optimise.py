"""What the kernels that change weights, in NumPy, numba and CUDA, are told: optimiser, constraint."""

from enum import IntEnum
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

PART = 2048  # weights whose squares are summed up before they meet the others
LINEAR_FROM = 40.0  # softplus(theta) is theta, also in float64


class Optimizer(IntEnum):
    """How a gradient changes a weight."""

    SGD = 0
    ADAM = 1


class Constraint(IntEnum):
    """How a weight keeps its sign (Dale's law per synapse)."""

    NONE = 0
    CLIP = 1  # what would change its sign becomes a zero of the old sign
    EXPONENTIAL = 2  # |w| = exp(theta), theta is what the optimiser changes
    SOFTPLUS = 3  # |w| = scale log(1 + exp(theta / scale))


class Optimization(NamedTuple):
    """Parameters of the optimiser; weights are clamped to [w_min, w_max]."""

    optimizer: int  # Optimizer
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    w_min: float
    w_max: float


class Change(NamedTuple):
    """What an update of a flat array of weights does beside the optimiser."""

    iteration: int  # from 1
    constraint: int  # Constraint
    scale: float  # of softplus, in units of the weight
    gain: float  # the gradient is multiplied by it: clipping by norm
    limit: float  # then clamped to [-limit, limit]; may be infinite


class Numbers(NamedTuple):
    """What an update is made with, in the type of the weights; the CUDA kernels' struct of this name."""

    rate: Any
    beta_1: Any
    new_1: Any
    beta_2: Any
    new_2: Any
    epsilon: Any
    w_min: Any
    w_max: Any
    scale: Any
    gain: Any
    limit: Any
    tiny: Any


def numbers(o: Optimization, change: Change, dtype: np.dtype[Any], tiny: float) -> Numbers:
    """Work out the numbers of an update, Adam's rate with the correction of its means' bias (eprop.md 1.6)."""
    rate = o.learning_rate
    if o.optimizer == Optimizer.ADAM:
        rate *= sqrt(1 - o.beta_2**change.iteration) / (1 - o.beta_1**change.iteration)
    moments = (o.beta_1, 1 - o.beta_1, o.beta_2, 1 - o.beta_2, o.epsilon)
    values = (rate, *moments, o.w_min, o.w_max, change.scale, change.gain, change.limit, tiny)
    return Numbers(*(dtype.type(value) for value in values))
