"""The softmax, and its logarithm."""

import numpy as np

from fitrec.kernels.eprop import Array


def log_softmax(y: Array) -> Array:
    """Logarithm of the softmax over the last axis, exact also where the softmax itself underflows."""
    y = y - y.max(axis=-1, keepdims=True)
    return np.asarray(y - np.log(np.exp(y).sum(axis=-1, keepdims=True)))


def softmax(y: Array) -> Array:
    """Softmax over the last axis."""
    return np.asarray(np.exp(log_softmax(y)))
