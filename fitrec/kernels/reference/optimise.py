"""Gradient descent and Adam over flat arrays of weights that may have to keep their signs."""

import numpy as np

from fitrec.kernels.eprop import Array
from fitrec.kernels.optimise import Change, Constraint, Optimization, Optimizer


def adam(o: Optimization, iteration: int, g: Array, mean: Array, square: Array) -> tuple[Array, Array, Array]:
    """Return the new running means, and what the weights lose (TensorFlow's form of Adam; eprop.md 1.6)."""
    mean = o.beta_1 * mean + (1 - o.beta_1) * g
    square = o.beta_2 * square + (1 - o.beta_2) * g * g
    rate = o.learning_rate * np.sqrt(1 - o.beta_2**iteration) / (1 - o.beta_1**iteration)
    return mean, square, rate * mean / (np.sqrt(square) + o.epsilon)


def inner(constraint: int, scale: float, weights: Array, gradient: Array) -> Array:
    """Return the derivatives by what the optimiser moves, given those by the weights."""
    if constraint == Constraint.EXPONENTIAL:
        return gradient * np.abs(weights)
    if constraint == Constraint.SOFTPLUS:
        return -gradient * np.expm1(-np.abs(weights) / scale)
    return gradient


def update(
    optimization: Optimization, change: Change, weights: Array, gradient: Array, mean: Array, square: Array, tiny: float
) -> None:
    """Change the weights, and Adam's running means, in place.

    With ``EXPONENTIAL`` and ``SOFTPLUS`` the optimiser moves theta, w = sign exp(theta) or w = sign scale log(1 + exp(theta /
    scale)), in such a direction that the sign matters only in the chain rule; theta itself is never stored.

    Parameters
    ----------
    optimization, change
    weights, gradient, mean, square : (weight,)
        `mean` and `square` are not used by gradient descent.
    tiny : float
        The smallest normal number; a magnitude does not fall below it under ``EXPONENTIAL`` and ``SOFTPLUS``.

    """
    o, kind, scale = optimization, change.constraint, change.scale
    g = np.clip(change.gain * inner(kind, scale, weights, gradient), -change.limit, change.limit)
    if o.optimizer == Optimizer.SGD:
        step = o.learning_rate * g
    else:
        mean[:], square[:], step = adam(o, change.iteration, g, mean, square)
    if kind == Constraint.NONE:
        weights[:] = np.clip(weights - step, o.w_min, o.w_max)
        return
    negative, magnitude = np.signbit(weights), np.abs(weights)
    outward = np.where(negative, step, -step)
    low, high = np.where(negative, -o.w_max, o.w_min), np.where(negative, -o.w_min, o.w_max)
    if kind == Constraint.CLIP:
        new, low = magnitude + outward, np.maximum(low, 0)
    else:
        low = np.maximum(low, np.where(magnitude > 0, tiny, 0))
        if kind == Constraint.EXPONENTIAL:
            new = magnitude * np.exp(outward)
        else:
            theta = magnitude / scale + np.log(
                -np.expm1(-magnitude / scale), where=magnitude > 0, out=np.full(weights.shape, -np.inf)
            )
            new = scale * np.logaddexp(0, theta + outward / scale)
    weights[:] = np.copysign(np.clip(new, low, high), weights)
