"""Gradient descent and Adam over flat arrays of weights that may have to keep their signs: one pass over w, g, m and v.

Every weight is treated by itself, so threads may share the array in any way.
"""

import math
from functools import cache

import numpy as np
from numba import njit

from fitrec.kernels.cpu.math import exp
from fitrec.kernels.eprop import Array
from fitrec.kernels.optimise import Change, Constraint, Optimization, Optimizer

BLOCK = 1 << 16  # weights per call; sums of squares are formed block by block
_LANES = 32
_SGD = int(Optimizer.SGD)
_NONE, _CLIP, _EXPONENTIAL = int(Constraint.NONE), int(Constraint.CLIP), int(Constraint.EXPONENTIAL)
_LINEAR_FROM = 40.0  # softplus(theta) is theta, also in float64


@njit(inline="always")
def adam_rate(optimization, iteration):
    """Learning rate with the correction of the means' bias (TensorFlow's form of Adam; eprop.md 1.6)."""
    bias = np.sqrt(1 - optimization.beta_2**iteration) / (1 - optimization.beta_1**iteration)
    return optimization.learning_rate * bias


@njit(inline="always")
def adam(g, mean, square, beta_1, new_1, beta_2, new_2, rate, epsilon):
    """Return the new running means, and what the weight loses."""
    mean = beta_1 * mean + new_1 * g
    square = beta_2 * square + new_2 * g * g
    return mean, square, rate * mean / (np.sqrt(square) + epsilon)


@njit(inline="always")
def _inner(kind, scale, w, g):
    """Return the derivative by what the optimiser moves, given that by the weight."""
    if kind == _EXPONENTIAL:
        return g * abs(w)
    return -g * type(g)(math.expm1(-abs(w) / scale))


@njit(inline="always")
def _softplus_moved(a, outward):
    """softplus(theta + outward), where a = softplus(theta)."""
    number = type(a)
    if a < number(_LINEAR_FROM):
        return number(math.log1p(math.expm1(a) * math.exp(outward)))
    theta = a + outward
    return max(theta, number(0)) + number(math.log1p(math.exp(-abs(theta))))


@njit(inline="always")
def _moved(kind, scale, w, change, w_min, w_max, tiny):
    """Weight after `change` of what the optimiser moves; its sign, also that of a zero, is kept unless `kind` is NONE."""
    number = type(w)
    zero = number(0)
    if kind == _NONE:
        return min(max(w - change, w_min), w_max)
    sign = math.copysign(number(1), w)
    negative = sign < zero
    low, high = -w_max if negative else w_min, -w_min if negative else w_max
    magnitude, outward = abs(w), -sign * change
    if kind == _CLIP:
        new, floor = magnitude + outward, zero
    elif kind == _EXPONENTIAL:
        new, floor = magnitude * exp(outward), tiny
    else:
        new = magnitude if change == zero else _softplus_moved(magnitude / scale, outward / scale) * scale
        floor = tiny
    # From 0 no multiplicative change leads back; a 0 from the beginning stays.
    floor = floor if magnitude > zero else zero
    low = low if low > floor else floor
    new = new if new > low else low
    new = new if new < high else high
    return sign * new


@cache
def _form(optimizer, kind):
    """Compile the update for one optimiser and one constraint: as constants they leave a loop that becomes vector code."""

    @njit(nogil=True, cache=True, error_model="numpy")
    def update_form(optimization, change, weights, gradient, mean, square, tiny, start, stop):
        number = weights.dtype.type
        scale, gain, limit = number(change.scale), number(change.gain), number(change.limit)
        beta_1, beta_2 = number(optimization.beta_1), number(optimization.beta_2)
        new_1, new_2 = number(1 - optimization.beta_1), number(1 - optimization.beta_2)
        epsilon, w_min, w_max = number(optimization.epsilon), number(optimization.w_min), number(optimization.w_max)
        smallest, zero = number(tiny), number(0)
        sgd = optimizer == _SGD
        rate = number(optimization.learning_rate if sgd else adam_rate(optimization, change.iteration))
        weights, gradient, mean, square = weights[start:stop], gradient[start:stop], mean[start:stop], square[start:stop]
        for i in range(weights.shape[0]):
            w, g = weights[i], gradient[i]
            if kind > _CLIP:
                g = _inner(kind, scale, w, g)
            g = min(max(gain * g, -limit), limit)
            if sgd:
                weights[i] = _moved(kind, scale, w, rate * g, w_min, w_max, smallest)
            else:
                m, s, moved = adam(g, mean[i], square[i], beta_1, new_1, beta_2, new_2, rate, epsilon)
                mean[i] = m if abs(m) > smallest else zero
                square[i] = s if s > smallest else zero
                weights[i] = _moved(kind, scale, w, moved, w_min, w_max, smallest)

    return update_form


def update(
    optimization: Optimization,
    change: Change,
    weights: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    tiny: float,
    start: int,
    stop: int,
) -> None:
    """Change weights [start, stop); arguments as those of the reference.

    `tiny` is the smallest normal number of the weights' type: running means below it become 0, because a processor is a hundred
    times slower with denormal numbers.
    """
    form = _form(optimization.optimizer, change.constraint)
    form(optimization, change, weights, gradient, mean, square, tiny, start, stop)


@njit(inline="always")
def _square(kind, scale, w, g):
    """Square of the derivative by what the optimiser moves."""
    if kind > _CLIP:
        g = _inner(kind, scale, w, g)
    return np.float64(g) * np.float64(g)


@njit(nogil=True, cache=True, error_model="numpy")
def squares(constraint, scale, weights, gradient, start, stop):
    """Sum of the squares (float64) of the derivatives [start, stop) by what the optimiser moves, in an order of its own."""
    lanes = np.zeros(_LANES)
    size = weights.dtype.type(scale)
    weights, gradient = weights[start:stop], gradient[start:stop]
    whole = weights.shape[0] // _LANES * _LANES
    for first in range(0, whole, _LANES):
        w, g = weights[first : first + _LANES], gradient[first : first + _LANES]
        for k in range(_LANES):
            lanes[k] += _square(constraint, size, w[k], g[k])
    for i in range(whole, weights.shape[0]):
        lanes[i - whole] += _square(constraint, size, weights[i], gradient[i])
    total = 0.0
    for lane in range(_LANES):
        total += lanes[lane]
    return total
