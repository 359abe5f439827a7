"""Gradient descent and Adam, row by row, with the catch-up of e-prop+ (eprop.md 1.6); feedback that follows the readout."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.optimise import adam, adam_rate
from fitrec.kernels.eprop import Feedback
from fitrec.kernels.optimise import Optimizer

_SGD = int(Optimizer.SGD)
_SYMMETRIC, _ADAPTIVE = int(Feedback.SYMMETRIC), int(Feedback.ADAPTIVE)


@njit(nogil=True, cache=True)
def adam_rates(optimization, first, rates):
    """Fill `rates` with Adam's learning rates from iteration `first` on, and return it; iteration 0 has none (nan)."""
    for k in range(rates.shape[0]):
        iteration = first + k
        rates[k] = adam_rate(optimization, iteration) if iteration > 0 else np.nan
    return rates


@njit(nogil=True, cache=True)
def optimise_row(optimization, moments, weights, i, gradient, due):
    """Change row i of the weights by `gradient` (post,), so that it has had `due` iterations."""
    number = weights.dtype.type
    w, w_min, w_max = weights[i], number(optimization.w_min), number(optimization.w_max)
    if optimization.optimizer == _SGD:
        rate = number(optimization.learning_rate)
        for j in range(w.shape[0]):
            w[j] = min(max(w[j] - rate * gradient[j], w_min), w_max)
        return
    beta_1, beta_2 = number(optimization.beta_1), number(optimization.beta_2)
    new_1, new_2 = number(1 - optimization.beta_1), number(1 - optimization.beta_2)
    epsilon = number(optimization.epsilon)
    mean, square = moments.mean[i], moments.square[i]
    share = number(1)  # the first of the iterations due gets the gradient, the others none
    for iteration in range(moments.done[i] + 1, due + 1):
        rate = number(adam_rate(optimization, iteration))
        for j in range(w.shape[0]):
            g = share * gradient[j]
            mean[j], square[j], change = adam(g, mean[j], square[j], beta_1, new_1, beta_2, new_2, rate, epsilon)
            w[j] = min(max(w[j] - change, w_min), w_max)
        share = number(0)
    moments.done[i] = due


@njit(nogil=True, cache=True)
def optimise(optimization, moments, weights, gradient, active, due):
    """Change the rows of active presynaptic neurons, so that they have had `due` iterations."""
    for i in range(weights.shape[0]):
        if active[i]:
            optimise_row(optimization, moments, weights, i, gradient[i], due)


@njit(nogil=True, cache=True)
def follow_readout(rule, w_out, feedback, before, learning_rate):
    """Let feedback follow the readout's weights, which were `before`."""
    number = before.dtype.type
    gain, shrink = number(rule.gain), number(1 - rule.decay * learning_rate)
    for j in range(before.shape[0]):
        for k in range(before.shape[1]):
            if rule.kind == _SYMMETRIC:
                feedback[k, j] = gain * w_out[j, k]
            elif rule.kind == _ADAPTIVE:
                change = gain * (w_out[j, k] - before[j, k])
                feedback[k, j] = shrink * (feedback[k, j] + change)
                w_out[j, k] = shrink * w_out[j, k]
