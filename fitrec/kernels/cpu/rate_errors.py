"""From mean spikes per trial to the learning signals of a fit of rates: smoothing, derivatives by rates, the way back to spikes.

Float64 inside, products and sums rounded one by one (no fused operations). Sums run over bins in ascending order. A smoothing is
a matrix (bin, bin) with the `span` (bin, 2) of each row: where what is not 0 begins and ends.
"""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.losses import poisson_slope, squared_slope


@njit(nogil=True, cache=True, error_model="numpy")
def smoothed(mean, trained, matrix, span, bin_s, out, first, last):
    """Smooth the rates of the trained neurons first..last-1.

    Parameters
    ----------
    mean : (time, neuron) float32
        Spikes per bin and trial.
    trained : (trained,) int32
    bin_s : float
    out : (time, trained) float64
        In Hz.

    """
    own = np.empty((mean.shape[0], last - first))
    for t in range(own.shape[0]):
        for i in range(last - first):
            own[t, i] = mean[t, trained[first + i]]
    out[:, first:last] = _product(matrix, span, own, bin_s)


@njit(nogil=True, cache=True, error_model="numpy")
def _product(matrix, span, x, divisor):
    """Return matrix x / divisor."""
    out = np.zeros(x.shape)
    for t in range(matrix.shape[0]):
        row = out[t]
        for s in range(span[t, 0], span[t, 1]):
            weight, other = matrix[t, s], x[s]
            for i in range(row.shape[0]):
                row[i] += weight * other[i]
        for i in range(row.shape[0]):
            row[i] /= divisor
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def slopes(is_poisson, smooth, target, scale, bin_s, floor_hz, out, first, last):
    """Differentiate the loss by the smoothed rates of the trained neurons first..last-1: 0 where there is no target (NaN).

    Parameters
    ----------
    is_poisson : bool
        Likelihood of counts, else squared error (`fitrec.learn.gradient.losses`).
    smooth, target, out : (time, trained) float64
    scale : float
        As of `kernels.cpu.losses`.

    """
    for t in range(smooth.shape[0]):
        for i in range(first, last):
            rate, goal = smooth[t, i], target[t, i]
            if goal != goal:
                out[t, i] = 0.0
            elif is_poisson:
                out[t, i] = poisson_slope((rate + floor_hz) * bin_s, goal * bin_s, scale)
            else:
                out[t, i] = squared_slope(rate, goal, scale)


@njit(nogil=True, cache=True, error_model="numpy")
def signals(by_rate, trained, matrix, span, bin_s, pull, divisor, out, first, last):
    """Turn derivatives by rates into those by a spike in a bin of one trial, of the trained neurons first..last-1.

    Parameters
    ----------
    by_rate : (time, trained) float64
    matrix, span
        Of the transposed smoothing.
    pull : (neuron,) float64
        What else a spike of the neuron is worth.
    divisor : float
        Number of trials.
    out : (time, neuron) float32

    """
    own = _product(matrix, span, by_rate[:, first:last].copy(), bin_s)
    for t in range(own.shape[0]):
        for i in range(last - first):
            neuron = trained[first + i]
            out[t, neuron] = (own[t, i] + pull[neuron]) / divisor


@njit(nogil=True, cache=True)
def totals(mean, out):
    """Sum over time: (time, neuron) float32 -> (neuron,) float64."""
    for t in range(mean.shape[0]):
        for i in range(mean.shape[1]):
            out[i] += np.float64(mean[t, i])
