"""PSTHs against their targets: smoothing along time and the sums that Pearson's r is made of, in float64 and a stated order.

Products and sums are rounded one by one (no fused operations). Of a unit's sums over time the first bin comes first.
"""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def smooth(x, weights, covered, out, slab, first, last):
    """Smooth the items first..last-1 of a slab along time.

    The middle weight comes first, then the bins on either side together, the farthest first; beyond the ends there is nothing.

    Parameters
    ----------
    x, out : (slab, time, item) float64
    weights : (2 reach + 1,) float64
        Symmetric; of each pair the first is taken.
    covered : (time,) float64
        What each sum is divided by.

    """
    n_time, reach = x.shape[1], weights.shape[0] // 2
    for t in range(n_time):
        for i in range(first, last):
            out[slab, t, i] = x[slab, t, i] * weights[reach]
        for j in range(reach, 0, -1):
            weight = weights[reach - j]
            if t >= j and t + j < n_time:
                for i in range(first, last):
                    out[slab, t, i] += (x[slab, t - j, i] + x[slab, t + j, i]) * weight
            elif t >= j or t + j < n_time:
                there = t - j if t >= j else t + j
                for i in range(first, last):
                    out[slab, t, i] += x[slab, there, i] * weight
        for i in range(first, last):
            out[slab, t, i] /= covered[t]


@njit(nogil=True, cache=True)
def moments(psth, rate, out, condition, first, last):
    """Sum over time what PSTHs and targets deviate from their means, for the units first..last-1 of a condition.

    Parameters
    ----------
    psth, rate : (condition, time, unit) float64
    out : (3, condition, unit) float64
        Set to the sums of products, of squares of the PSTH, and of squares of the target.

    """
    n_time = psth.shape[1]
    mean = np.zeros((2, last - first))
    for t in range(n_time):
        for i in range(first, last):
            mean[0, i - first] += psth[condition, t, i]
            mean[1, i - first] += rate[condition, t, i]
    for i in range(first, last):
        mean[0, i - first] /= n_time
        mean[1, i - first] /= n_time
        out[0, condition, i] = out[1, condition, i] = out[2, condition, i] = 0.0
    for t in range(n_time):
        for i in range(first, last):
            a, b = psth[condition, t, i] - mean[0, i - first], rate[condition, t, i] - mean[1, i - first]
            out[0, condition, i] += a * b
            out[1, condition, i] += a * a
            out[2, condition, i] += b * b
