"""Gradients of weights without most of what all inputs of a neuron have in common."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.optimise import shorten_along
from fitrec.networks.network import Network

Gradients = NDArray[np.float32]


class CommonMode:
    """Shortens the part of a gradient that only moves a neuron's mean input.

    All inputs of a neuron are active all the time, so a change of all weights together moves its rate as much as some hundred
    single weights do, and its time course not at all. Along this direction the loss is steeper by about the number of inputs: it
    bounds the learning rate, and the others, in which a time course is learned, wait. So the gradient g of a neuron's weights
    from E, from I or from feed-forward inputs becomes ``g - (1 - share) rates (rates . g) / (rates . rates)``, with the mean
    rates of the inputs. It still leads downhill, since it is the gradient by other coordinates.

    Parameters
    ----------
    network : Network
    share : float
        Of that part which is kept; 1: the gradient stays as it is.

    Attributes
    ----------
    share : float
    ff_hz : (condition, 1, ff) float64
        Mean rates of feed-forward inputs; a first axis of 1 where conditions share their weights.

    """

    def __init__(self, network: Network, share: float) -> None:
        self.share, self._n_exc = share, network.n_plastic_exc
        self._pre_hz = network.untrained_rate_hz[network.plastic_pre].astype(np.float64)
        ff_hz = network.ff_rate_hz.mean(axis=1, dtype=np.float64)[:, None, :]
        self.ff_hz = ff_hz.mean(axis=0, keepdims=True) if network.shared_feed_forward else ff_hz

    def __call__(self, plastic: NDArray[Any], feed_forward: NDArray[Any]) -> tuple[Gradients, Gradients]:
        """Round gradients by plastic (trained, input) and by feed-forward weights (condition, trained, ff), and change them."""
        plastic, feed_forward = plastic.astype(np.float32), feed_forward.astype(np.float32)
        if self.share == 1:
            return plastic, feed_forward
        for begin, end in ((0, self._n_exc), (self._n_exc, plastic.shape[1])):
            shorten_along(plastic, self._pre_hz, self.share, begin, end)
        for of_condition, rates in zip(feed_forward, self.ff_hz, strict=True):
            shorten_along(of_condition, rates, self.share, 0, of_condition.shape[1])
        return plastic, feed_forward
