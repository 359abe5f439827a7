"""Correlation of PSTHs with their targets, and smoothing along time, in their textbook forms."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Array = NDArray[np.float64]


def smooth(x: Array, weights: Array, axis: int) -> Array:
    """Smooth along an axis; at the edges the weights that are left are rescaled to sum to 1."""
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    covered = correlate1d(np.ones(x.shape[axis]), weights, mode="constant").reshape(shape)
    return np.asarray(correlate1d(x, weights, axis=axis, mode="constant") / covered)


def correlations(psth_hz: Array, rate_hz: Array) -> Array:
    """Pearson's r along time of (condition, time, unit): (condition, unit), NaN where it is not defined."""
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (psth_hz, rate_hz))
    with np.errstate(invalid="ignore"):
        return np.asarray((a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1)))
