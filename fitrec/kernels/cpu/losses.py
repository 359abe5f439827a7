"""Derivatives of losses by rates, and the squared error itself, in one pass over them."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.lanes import LANES, sum_of_lanes


@njit(inline="always")
def squared_slope(observed, target, scale):
    """Return the derivative of the squared error; scale: 2 over the number of elements."""
    return scale * (observed - target)


@njit(inline="always")
def poisson_slope(expected, count, scale):
    """Return the derivative of m - k log m by a rate, m = `expected`; scale: a bin's duration over the number of elements."""
    return scale * (type(expected)(1) - count / expected)


@njit(nogil=True, cache=True, error_model="numpy")
def squared(observed, target, seen, scale, out):
    """Return the sum of the squared errors, in float64 over 32 lanes, and write the derivatives.

    Parameters
    ----------
    observed, target, out : (element,)
        Of one precision.
    seen : (element,) bool, or (0,) if all elements count
        Others have the derivative 0.
    scale : float
        Of the same precision.

    """
    lanes, zero = np.zeros(LANES), observed.dtype.type(0)
    for first in range(0, observed.shape[0], LANES):
        o, t, to = observed[first : first + LANES], target[first : first + LANES], out[first : first + LANES]
        if seen.shape[0] == 0:
            for k in range(o.shape[0]):
                to[k] = squared_slope(o[k], t[k], scale)
                difference = np.float64(o[k] - t[k])
                lanes[k] += difference * difference
        else:
            counts = seen[first : first + LANES]
            for k in range(o.shape[0]):
                to[k] = squared_slope(o[k], t[k], scale) if counts[k] else zero
                difference = np.float64(o[k] - t[k] if counts[k] else zero)
                lanes[k] += difference * difference
    return sum_of_lanes(lanes)


@njit(nogil=True, cache=True, error_model="numpy")
def poisson(expected, counts, scale, out):
    """Write the derivatives of the Poisson likelihood; all arrays (element,) of one precision."""
    for i in range(expected.shape[0]):
        out[i] = poisson_slope(expected[i], counts[i], scale)
