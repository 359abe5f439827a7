"""What a sceptic would compare the fit with: the unit's mean rate, its own training PSTH, and the network before training."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.evaluate.psth import r_squared
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights


def mean_rate_r2(train_hz: NDArray[Any], test_hz: NDArray[Any]) -> NDArray[np.float64]:
    """R2 on the test PSTH of a constant at each unit's mean training rate: at most 0; its correlation is undefined.

    Parameters
    ----------
    train_hz, test_hz : (condition, time, unit)
        Recorded PSTHs of the two halves.

    Returns
    -------
    (unit,) float64

    """
    known = np.isfinite(train_hz)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, train_hz, 0.0).sum(axis=(0, 1), keepdims=True) / known.sum(axis=(0, 1), keepdims=True)
    return r_squared(np.broadcast_to(mean, test_hz.shape), test_hz)


def untrained_weights(network: Network) -> Weights:
    """Return the weights before training: the initial plastic ones, and no feed-forward input."""
    return Weights(plastic=network.plastic_weight, feed_forward=np.zeros(network.feed_forward_shape, np.float32))
