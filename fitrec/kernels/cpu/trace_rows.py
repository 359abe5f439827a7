"""Presynaptic traces kept one row per neuron, in 16 or 32 bits."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fitrec.kernels.cpu.math import fma

LEVELS = 65535


@njit(cache=True, nogil=True)
def keep_trial(
    trace: NDArray[np.float32], kept: NDArray[np.uint16 | np.float32], scale: NDArray[np.float32], energy: NDArray[np.float64]
) -> None:
    """Keep one trial's traces; in 16 bits they are rounded to steps of 1/65535 of each neuron's own maximum.

    Parameters
    ----------
    trace : (time, neuron) float32
        Not negative.
    kept : (neuron, time) uint16 or float32
        Set so that ``kept * scale`` is the trace, in 16 bits to within half a step.
    scale : (neuron,) float32
    energy : (neuron,) float64
        Set to the sum of the squared trace.

    """
    n_bins, n = trace.shape
    rounded = kept.itemsize == 2
    for first in range(0, n, 64):  # a tile fits the cache both ways round
        for i in range(first, min(first + 64, n)):
            largest, squares = np.float32(0), 0.0
            for t in range(n_bins):
                largest = max(largest, trace[t, i])
                squares += np.float64(trace[t, i]) * trace[t, i]
            energy[i] = squares
            scale[i] = largest / np.float32(LEVELS) if rounded else np.float32(1)
            per_step = np.float32(LEVELS) / largest if largest > 0 else np.float32(0)
            for t in range(n_bins):
                kept[i, t] = np.rint(trace[t, i] * per_step) if rounded else trace[t, i]


@njit(cache=True, nogil=True)
def average(
    kept: NDArray[np.uint16 | np.float32],
    scale: NDArray[np.float32],
    share: NDArray[np.float32],
    mean: NDArray[np.float32],
) -> None:
    """Average kept traces over trials.

    Parameters
    ----------
    kept : (neuron, slot, time) uint16 or float32
    scale : (neuron, slot) float32
    share : (trial,) float32
        Of the trials in the first slots; summed in their order.
    mean : (time, neuron) float32
        Set.

    """
    n, _, n_bins = kept.shape
    row = np.empty(n_bins, np.float32)
    for i in range(n):
        row[:] = 0
        for k in range(len(share)):
            factor = scale[i, k] * share[k]
            for t in range(n_bins):
                row[t] = fma(np.float32(kept[i, k, t]), factor, row[t])
        for t in range(n_bins):
            mean[t, i] = row[t]
