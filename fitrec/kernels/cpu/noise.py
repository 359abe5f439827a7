"""Membrane noise: four normal deviates from one call of the generator.

A deviate is the number of ones among 32 random bits, less 16, over the root of 8: an exact integer, binomial, of excess
kurtosis -1/16. A membrane sums up many of them, and what it sees is Gaussian.
"""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.math import ones
from fitrec.kernels.cpu.philox import MEMBRANE_NOISE, philox

# Neuron i's deviate is word (i mod GROUP) div LANES of the call whose counter begins with LANES (i div GROUP) + i mod LANES, so
# that neighbouring calls serve neighbouring neurons, and vectors of calls need not be transposed.
LANES = 128
GROUP = 4 * LANES
DEVIATE_SCALE = np.float32(np.sqrt(0.125))


@njit(inline="always")
def deviate_of(word):
    """Return the deviate (float32) that a word of 32 random bits stands for."""
    return np.float32(np.int32(ones(np.uint32(word))) - np.int32(16)) * DEVIATE_SCALE


@njit(nogil=True, cache=True)
def fill_deviates(out, group, step, trial, condition, seed):
    """Fill `out` (GROUP,) float32 with the deviates of neurons GROUP * group, GROUP * group + 1, ..."""
    for lane in range(LANES):
        x0, x1, x2, x3 = philox(group * LANES + lane, step, trial, condition, seed, MEMBRANE_NOISE)
        out[lane] = deviate_of(x0)
        out[LANES + lane] = deviate_of(x1)
        out[2 * LANES + lane] = deviate_of(x2)
        out[3 * LANES + lane] = deviate_of(x3)


@njit(inline="always")
def deviate(i, step, trial, condition, seed):
    """Return the deviate of neuron i alone."""
    place = i % GROUP
    x0, x1, x2, x3 = philox(i // GROUP * LANES + place % LANES, step, trial, condition, seed, MEMBRANE_NOISE)
    word = place // LANES
    return deviate_of((x0 if word == 0 else x1) if word < 2 else (x2 if word == 2 else x3))
