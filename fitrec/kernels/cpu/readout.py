"""A leaky linear readout and its derivatives; neurons that are silent cost a look each."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def respond(activity, w_out, kappa, gain):
    """Output of the readout; arguments and result as those of the reference."""
    number = w_out.dtype.type
    decay, scale = number(kappa), number(gain)
    n_steps, n_out = activity.shape[0], w_out.shape[1]
    y = np.zeros((n_steps, n_out), w_out.dtype)
    arriving = np.zeros(n_out, w_out.dtype)
    for t in range(n_steps):
        arriving[:] = 0
        for j in range(activity.shape[1]):
            x = number(activity[t, j])
            if x != 0:
                for k in range(n_out):
                    arriving[k] += x * w_out[j, k]
        for k in range(n_out):
            y[t, k] = (decay * y[t - 1, k] if t > 0 else number(0)) + scale * arriving[k]
    return y


@njit(nogil=True, cache=True)
def backward(activity, error, feedback, kappa, gain):
    """Learning signal and gradient; arguments and result as those of the reference."""
    number = error.dtype.type
    decay, scale = number(kappa), number(gain)
    n_steps, n = activity.shape
    n_out = error.shape[1]
    signal, gradient = np.zeros((n_steps, n), error.dtype), np.zeros((n, n_out), error.dtype)
    e, scaled = np.zeros(n_out, error.dtype), np.zeros(n_out, error.dtype)
    for t in range(n_steps - 1, -1, -1):
        row = signal[t]
        for k in range(n_out):
            e[k] = error[t, k] + decay * e[k]
            scaled[k] = scale * e[k]
            for j in range(n):
                row[j] += scaled[k] * feedback[k, j]
        for j in range(n):
            x = number(activity[t, j])
            if x != 0:
                for k in range(n_out):
                    gradient[j, k] += x * scaled[k]
    return signal, gradient
