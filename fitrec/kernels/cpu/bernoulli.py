"""Input spikes of given probability, from the counter-based generator."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.philox import philox

TASK_INPUT = 20  # stream of the generator


@njit(nogil=True, cache=True)
def bernoulli(probability, trial, seed):
    """Spikes (step, input) of one trial; arguments and result as those of the reference."""
    n_steps, n_inputs = probability.shape
    spikes = np.zeros((n_steps, n_inputs), np.bool_)
    for group in range((n_steps + 3) // 4):
        first = 4 * group
        for i in range(n_inputs):
            words = philox(i, group, trial, 0, seed, TASK_INPUT)
            for k in range(min(4, n_steps - first)):
                spikes[first + k, i] = (words[k] >> np.uint32(8)) * 2.0**-24 < probability[first + k, i]
    return spikes
