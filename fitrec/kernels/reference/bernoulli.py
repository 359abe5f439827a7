"""Input spikes of given probability, from the counter-based generator."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.reference.philox import philox

TASK_INPUT = 20  # stream of the generator


def bernoulli(probability: NDArray[np.floating], trial: int, seed: int) -> NDArray[np.bool_]:
    """Spikes (step, input) of one trial; input i spikes in step t with probability[t, i], whatever else is drawn.

    The upper 24 bits of one word decide; four steps share the counter (input, step // 4, trial).
    """
    steps, inputs = (np.arange(length) for length in probability.shape)
    words = philox(inputs, steps[::4, None] // 4, trial, 0, seed, TASK_INPUT)  # (word, four steps, input)
    by_step = np.moveaxis(words, 0, 1).reshape(-1, inputs.size)[: steps.size]
    return np.asarray((by_step >> 8) * 2.0**-24 < probability)
