"""The original e-prop over one update interval, with work per spike (eprop.md 1.4; DESIGN section 6).

The gradient of the published traces, sum_t (L_j(t) ebar_ij(t) + r_j e_ij(t)), is the same sum in another order: with fixed
weights everything in it that belongs to the postsynaptic neuron is filtered backward in time once,

    F(t) = kappa F(t+1) + L(t),                     c(t) = (1 - kappa) F(t) + r
    d(t) = c(t) + q(t),                             q(t-1) = rho q(t) - beta psi(t) d(t)
    G(t) = psi(t) d(t) + alpha G(t+1),

and a synapse adds zeta G_j(t) for each arriving spike. No trace per synapse is needed, and silent neurons cost nothing.
"""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.eprop_neurons import step
from fitrec.kernels.cpu.math import exp
from fitrec.kernels.eprop import Interval, rest

_rest = njit(nogil=True, cache=True)(rest)


@njit(inline="always")
def add_rows(spikes, rows, first, total):
    """Add the rows of `rows` from `first` on whose element of `spikes` is set."""
    for i in range(spikes.shape[0]):
        if spikes[i]:
            row = rows[first + i]
            for j in range(total.shape[0]):
                total[j] += row[j]


@njit(inline="always")
def add_to_rows(spikes, rows, first, amount):
    """Add `amount` to the rows of `rows` from `first` on whose element of `spikes` is set."""
    for i in range(spikes.shape[0]):
        if spikes[i]:
            row = rows[first + i]
            for j in range(amount.shape[0]):
                row[j] += amount[j]


@njit(inline="always")
def _softmax(y):
    """Replace y by its softmax."""
    largest, total = y[0], 0.0
    for k in range(y.shape[0]):
        largest = max(largest, y[k])
    for k in range(y.shape[0]):
        y[k] = exp(y[k] - largest)
        total += y[k]
    for k in range(y.shape[0]):
        y[k] /= total


@njit(nogil=True, cache=True)
def _simulate(neurons, rule, learned, inputs, softmax):
    """Run the interval from rest: y, output, spikes, psi, one row per step."""
    n_steps, n_in = inputs.shape
    n, n_out = learned.w_out.shape
    dtype = learned.w.dtype
    decay, gain = dtype.type(rule.readout_decay), dtype.type(rule.readout_gain)
    y, output = np.zeros((n_steps, n_out), dtype), np.zeros((n_steps, n_out), dtype)
    spikes, psi = np.zeros((n_steps, n), np.bool_), np.zeros((n_steps, n), dtype)
    state = _rest(neurons)
    current, y_now, arriving = np.zeros(n, dtype), np.zeros(n_out, dtype), np.zeros(n_out, dtype)
    for t in range(n_steps):
        current[:] = 0
        add_rows(inputs[t], learned.w, 0, current)
        add_rows(state.spikes, learned.w, n_in, current)
        step(neurons, state, current)
        spikes[t], psi[t] = state.spikes, state.psi
        arriving[:] = 0
        add_rows(state.spikes, learned.w_out, 0, arriving)
        for k in range(n_out):
            y_now[k] = decay * y_now[k] + gain * arriving[k]
        y[t] = output[t] = y_now
        if softmax:
            _softmax(output[t])
    return y, output, spikes, psi


@njit(nogil=True, cache=True)
def _signals(rule, learned, output, targets, window):
    """Learning signals (time, neuron), and the errors filtered backward by the readout (time, output)."""
    n_steps, n_out = output.shape
    dtype = learned.w.dtype
    decay, gain = dtype.type(rule.readout_decay), dtype.type(rule.readout_gain)
    signals, filtered = np.zeros((n_steps, learned.w.shape[1]), dtype), np.zeros((n_steps, n_out), dtype)
    total = np.zeros(n_out, dtype)
    for t in range(n_steps - 1, -1, -1):
        for k in range(n_out):
            error = output[t, k] - targets[t, k] if t >= n_steps - window else dtype.type(0)
            total[k] = decay * total[k] + error
            filtered[t, k] = gain * total[k]
            for j in range(signals.shape[1]):
                signals[t, j] += error * learned.feedback[k, j]
    return signals, filtered


@njit(nogil=True, cache=True)
def _backward(neurons, rule, signals, psi, regular):
    """Zeta G of every step: what a spike that arrives in it adds to the gradient; (time, neuron)."""
    n_steps, n = signals.shape
    dtype = signals.dtype
    kappa, ending = dtype.type(rule.kappa), dtype.type(1 - rule.kappa)
    filtered, q, g = np.zeros(n, dtype), np.zeros(n, dtype), np.zeros(n, dtype)
    amounts = np.zeros((n_steps, n), dtype)
    for t in range(n_steps - 1, -1, -1):
        for j in range(n):
            filtered[j] = kappa * filtered[j] + signals[t, j]
            d = ending * filtered[j] + regular[j] + q[j]
            q[j] = neurons.adapt_decay[j] * q[j] - neurons.adapt_beta[j] * psi[t, j] * d
            g[j] = psi[t, j] * d + neurons.decay[j] * g[j]
            amounts[t, j] = neurons.gain[j] * g[j]
    return amounts


@njit(nogil=True, cache=True)
def _add_inputs(inputs, late, which, amounts, gradient):
    """Add the amounts of the steps in which an input spikes to its row, for the inputs whose `late` is `which`."""
    for t in range(inputs.shape[0]):
        for i in range(inputs.shape[1]):
            if inputs[t, i] and late[i] == which:
                for j in range(gradient.shape[1]):
                    gradient[i, j] += amounts[t, j]


@njit(nogil=True, cache=True)
def interval(neurons, rule, learned, inputs, targets, late, window, softmax):
    """Simulate one interval from rest with fixed weights, and sum the gradient; arguments as those of the reference."""
    n_steps, n_in = inputs.shape
    n = learned.w_out.shape[0]
    dtype = learned.w.dtype
    y, output, spikes, psi = _simulate(neurons, rule, learned, inputs, softmax)
    gradient, gradient_out = np.zeros(learned.w.shape, dtype), np.zeros(learned.w_out.shape, dtype)
    regular = np.zeros(n, dtype)
    for j in range(n):
        count = 0
        for t in range(n_steps):
            count += spikes[t, j]
        regular[j] = rule.c_reg * (count / n_steps - rule.target_rate) / n_steps
    signals, filtered_out = _signals(rule, learned, output, targets, window)
    amounts = _backward(neurons, rule, signals, psi, regular)
    _add_inputs(inputs, late, False, amounts, gradient)
    for t in range(n_steps):
        if t > 0:
            add_to_rows(spikes[t - 1], gradient, n_in, amounts[t])
        add_to_rows(spikes[t], gradient_out, 0, filtered_out[t])
    signals[n_steps - 1] = 0
    _add_inputs(inputs, late, True, _backward(neurons, rule, signals, psi, regular), gradient)
    for i in range(gradient.shape[0]):
        for j in range(n):
            if not learned.w_plastic[i, j]:
                gradient[i, j] = 0
    return Interval(y, output, spikes, gradient, gradient_out)
