"""Standardisation over neurons, and its derivative."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_TINY = 1e-6  # added to the variance


def standardise(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Subtract the mean over neurons and divide by the standard deviation.

    Parameters
    ----------
    x : (time, neuron)

    Returns
    -------
    (time, neuron), (time, 1)
        The result, and the standard deviations.

    """
    centred = x - x.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + x.dtype.type(_TINY))
    return centred / deviation, deviation


def standardise_backward(signal: NDArray[Any], result: NDArray[Any], deviation: NDArray[Any]) -> NDArray[Any]:
    """Return the derivative by x, given that by the result of `standardise`; (time, neuron)."""
    along = np.mean(signal * result, axis=1, keepdims=True)
    return np.asarray((signal - signal.mean(axis=1, keepdims=True) - result * along) / deviation)
