"""A leaky linear readout, y(t) = kappa y(t - 1) + gain W' x(t), and its derivatives."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.eprop import Array


def respond(activity: NDArray[np.generic], w_out: Array, kappa: float, gain: float) -> Array:
    """Output of the readout, which begins at 0.

    Parameters
    ----------
    activity : (time, neuron)
        Spikes (bool) or any other quantity of the neurons.
    w_out : (neuron, output)
    kappa, gain : float

    Returns
    -------
    (time, output), in the precision of the weights

    """
    y = np.zeros((activity.shape[0], w_out.shape[1]), w_out.dtype)
    last = np.zeros(w_out.shape[1], w_out.dtype)
    for t, x in enumerate(activity.astype(w_out.dtype)):
        last = y[t] = kappa * last + gain * (x @ w_out)
    return y


def backward(activity: NDArray[np.generic], error: Array, feedback: Array, kappa: float, gain: float) -> tuple[Array, Array]:
    """Learning signal of the neurons, and gradient of the readout's weights.

    The error is filtered backward in time, e(t) = error(t) + kappa e(t + 1), so that both are exact (the signal if the feedback
    is the transposed readout).

    Parameters
    ----------
    activity : (time, neuron)
    error : (time, output)
        Derivative of the loss by the output of each step.
    feedback : (output, neuron)
    kappa, gain : float

    Returns
    -------
    (time, neuron), (neuron, output)

    """
    signal = np.zeros(activity.shape, error.dtype)
    gradient = np.zeros(feedback.T.shape, error.dtype)
    e = np.zeros(error.shape[1], error.dtype)
    for t in range(error.shape[0] - 1, -1, -1):
        e = error[t] + kappa * e
        signal[t] = gain * (e @ feedback)
        gradient += gain * np.outer(activity[t].astype(error.dtype), e)
    return signal, gradient
