"""Presynaptic traces kept one row per neuron, in 16 or 32 bits, and gathered for the regressions."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
def gather(
    kept: NDArray[np.uint16 | np.float32],
    scale: NDArray[np.float32],
    root_weight: NDArray[np.float32],
    columns: NDArray[np.int64],
    first: int,
    out: NDArray[np.float32],
) -> None:
    """Rows of some neurons over some trials, each trial times the root of its weight.

    Parameters
    ----------
    kept : (neuron, trial, time) uint16 or float32
    scale : (neuron, trial) float32
    root_weight : (trial,) float32
    columns : (input,) int64
        The neurons.
    first : int
        First trial; as many follow as `out` has room for.
    out : (input, trials x time) float32

    """
    n_bins = kept.shape[2]
    for i in range(len(columns)):
        for k in range(out.shape[1] // n_bins):
            source = kept[columns[i], first + k]
            factor = scale[columns[i], first + k] * root_weight[first + k]
            row = out[i, k * n_bins : (k + 1) * n_bins]
            for t in range(n_bins):
                row[t] = np.float32(source[t]) * factor
