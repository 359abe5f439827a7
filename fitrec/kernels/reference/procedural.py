"""The targets of procedural static wiring, row by row, as a table."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.reference.philox import philox

PROCEDURAL_WIRING = 19  # stream of the generator


def targets(n: int, degree: int, seed: int) -> NDArray[np.int64]:
    """Targets (neuron, degree) of each of `n` neurons, ascending.

    The other neurons, from the one behind it on and around the circle, are cut into `degree` strata; word ``k % 4`` of the
    counter (neuron, k // 4) chooses from stratum k.
    """
    neuron, k = np.arange(n)[:, None], np.arange(degree)
    low, high = k * (n - 1) // degree, (k + 1) * (n - 1) // degree
    words = philox(neuron, np.arange(-(-degree // 4)), 0, 0, seed, PROCEDURAL_WIRING).astype(np.int64)
    word = np.moveaxis(words, 0, -1).reshape(n, -1)[:, :degree]
    return np.sort((neuron + 1 + low + (word * (high - low) >> 32)) % n, axis=1)
