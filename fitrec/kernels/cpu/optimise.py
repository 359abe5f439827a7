"""Gradient descent and Adam over flat arrays of weights that may have to keep their signs: one pass over w, g, m and v.

Every weight is treated by itself, so threads may share the array in any way.
"""

import math
import sys
from functools import cache

import numpy as np
from numba import njit

from fitrec.kernels.cpu.lanes import LANES, sum_of_lanes
from fitrec.kernels.cpu.math import exp, expm1, log1p
from fitrec.kernels.eprop import Array
from fitrec.kernels.optimise import LINEAR_FROM, PART, Change, Constraint, Optimization, Optimizer, numbers

BLOCK = 32 * PART  # weights per call
_TINY = sys.float_info.min
_SGD = int(Optimizer.SGD)
_NONE, _CLIP, _EXPONENTIAL = int(Constraint.NONE), int(Constraint.CLIP), int(Constraint.EXPONENTIAL)


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
    return -g * type(g)(expm1(np.float64(-abs(w) / scale)))


@njit(inline="always")
def _softplus_moved(a, outward):
    """softplus(theta + outward), where a = softplus(theta); in float64."""
    if a < LINEAR_FROM:
        return log1p(expm1(a) * exp(outward))
    theta = a + outward
    return max(theta, 0.0) + log1p(exp(-abs(theta)))


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
        theta_moved = _softplus_moved(np.float64(magnitude / scale), np.float64(outward / scale))
        new = magnitude if change == zero else number(theta_moved) * scale
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
    def update_form(o, weights, gradient, mean, square, start, stop):
        zero, sgd = weights.dtype.type(0), optimizer == _SGD
        weights, gradient, mean, square = weights[start:stop], gradient[start:stop], mean[start:stop], square[start:stop]
        for i in range(weights.shape[0]):
            w, g = weights[i], gradient[i]
            if kind > _CLIP:
                g = _inner(kind, o.scale, w, g)
            g = min(max(o.gain * g, -o.limit), o.limit)
            if sgd:
                weights[i] = _moved(kind, o.scale, w, o.rate * g, o.w_min, o.w_max, o.tiny)
            else:
                m, s, moved = adam(g, mean[i], square[i], o.beta_1, o.new_1, o.beta_2, o.new_2, o.rate, o.epsilon)
                mean[i] = m if abs(m) > o.tiny else zero
                square[i] = s if s > o.tiny else zero
                weights[i] = _moved(kind, o.scale, w, moved, o.w_min, o.w_max, o.tiny)

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
    form(numbers(optimization, change, weights.dtype, tiny), weights, gradient, mean, square, start, stop)


@njit(inline="always")
def _square(kind, scale, w, g):
    """Square of the derivative by what the optimiser moves."""
    if kind > _CLIP:
        g = _inner(kind, scale, w, g)
    return np.float64(g) * np.float64(g)


@njit(nogil=True, cache=True, error_model="numpy")
def squares(constraint, scale, weights, gradient, start, stop):
    """Return sums of the squares (float64) of the derivatives [start, stop) by what the optimiser moves, one per `PART`."""
    size = weights.dtype.type(scale)
    weights, gradient = weights[start:stop], gradient[start:stop]
    parts = np.empty((weights.shape[0] + PART - 1) // PART)
    for part in range(parts.shape[0]):
        lanes = np.zeros(LANES)
        end = min((part + 1) * PART, weights.shape[0])
        for first in range(part * PART, end, LANES):
            w, g = weights[first : min(first + LANES, end)], gradient[first : min(first + LANES, end)]
            for k in range(w.shape[0]):
                lanes[k] += _square(constraint, size, w[k], g[k])
        parts[part] = sum_of_lanes(lanes)
    return parts


@njit(nogil=True, cache=True, error_model="numpy")
def total(parts):
    """Sum of the parts of `squares`, in the same order of lanes."""
    lanes = np.zeros(LANES)
    for i in range(parts.shape[0]):
        lanes[i % LANES] += parts[i]
    return sum_of_lanes(lanes)


@njit(nogil=True, cache=True, error_model="numpy")
def shorten_along(gradient, rates, share, begin, end):
    """Multiply by `share` the part of each row of the gradient, (row, input) float32, that lies along its rates (float64).

    Parameters
    ----------
    rates : (row, input), or (1, input) for all rows
    share : float
    begin, end : int
        Only these inputs.

    """
    products, powers = np.empty(LANES), np.empty(LANES)
    for row in range(gradient.shape[0]):
        g, r = gradient[row, begin:end], rates[row if rates.shape[0] > 1 else 0, begin:end]
        products[:] = 0
        powers[:] = 0
        whole = g.shape[0] // LANES * LANES
        for first in range(0, whole, LANES):
            for k in range(LANES):
                products[k] += np.float64(g[first + k]) * r[first + k]
                powers[k] += r[first + k] * r[first + k]
        for k in range(g.shape[0] - whole):
            products[k] += np.float64(g[whole + k]) * r[whole + k]
            powers[k] += r[whole + k] * r[whole + k]
        along = sum_of_lanes(products) / max(sum_of_lanes(powers), _TINY)
        for i in range(g.shape[0]):
            g[i] = np.float32(np.float64(g[i]) - (1 - share) * along * r[i])
