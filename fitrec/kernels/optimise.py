"""What the kernels that change weights, in NumPy and in numba, are told: optimiser, constraint."""

from enum import IntEnum
from typing import NamedTuple


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
