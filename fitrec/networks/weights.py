"""The trained weights of a network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitrec.fields import array


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What training changes.

    Attributes
    ----------
    plastic : (trained, input) float32
        Weights of the plastic inputs, in the order of ``Network.plastic_pre``, shared by all conditions.
    feed_forward : (condition, trained, ff) float32
        Weights of the feed-forward Poisson inputs, separate for each condition; or one set for all, with a first axis of 1.
    parameter_names : list of str or None
        Parameters of the neurons that were trained as well.
    parameters : (parameter, trained) float32 or None
        Their values in the trained neurons, in the base units of the neuron model; the other neurons keep the network's.

    """

    plastic: NDArray[np.float32] = array("trained", "input", units="threshold ms")
    feed_forward: NDArray[np.float32] = array("condition", "trained", "ff", units="threshold ms")
    parameter_names: list[str] | None = None
    parameters: NDArray[np.float32] | None = array("parameter", "trained", default=None)

    def feed_forward_of(self, condition: int) -> NDArray[np.float32]:
        """(trained, ff): feed-forward weights of a condition."""
        found: NDArray[np.float32] = self.feed_forward[condition if len(self.feed_forward) > 1 else 0]
        return found
