"""e-prop+ with updates in every step (eprop.md 1.3, 1.5, 1.6); a synapse past its cutoff only decays."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.eprop import add_rows
from fitrec.kernels.cpu.eprop_neurons import step
from fitrec.kernels.cpu.eprop_optimise import follow_readout, optimise_row

TIDY_STEPS = 128
TINY_SINGLE, TINY_DOUBLE = 1e-25, 1e-150  # of traces and moments: below, they become 0


@njit(nogil=True, cache=True)
def _zero_tiny(values, tiny):
    """Set what can no longer matter to 0, before it becomes denormal, which would make a processor a hundred times slower."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            if abs(values[i, j]) < tiny:
                values[i, j] = 0


@njit(nogil=True, cache=True)
def _tidy(state):
    """Keep decayed traces and moments from becoming denormal."""
    tiny = state.zbar.dtype.type(TINY_SINGLE if state.zbar.itemsize == 4 else TINY_DOUBLE)
    for values in (state.zbar, state.epsilon, state.ebar, state.ebar_reg, state.moments.mean, state.moments.square):
        _zero_tiny(values, tiny)
    for values in (state.moments_out.mean, state.moments_out.square):
        _zero_tiny(values, tiny)
    for vector in (state.zbar_out, state.rate):
        _zero_tiny(vector.reshape((-1, 1)), tiny)


@njit(nogil=True, cache=True)
def _learn(neurons, rule, learned, optimization, state, signal, too_fast, active, gradient):
    """Traces and weights of all recurrent synapses in history step s - 1."""
    number = gradient.dtype.type
    kappa, kappa_reg, new = number(rule.kappa), number(rule.kappa_reg), number(1 - rule.kappa_reg)
    for i in range(active.shape[0]):
        zbar, epsilon, ebar, ebar_reg = state.zbar[i], state.epsilon[i], state.ebar[i], state.ebar_reg[i]
        if not active[i]:
            for j in range(gradient.shape[0]):
                zbar[j] = neurons.decay[j] * zbar[j]
                epsilon[j] = neurons.adapt_decay[j] * epsilon[j]
                ebar[j] = kappa * ebar[j]
                ebar_reg[j] = kappa_reg * ebar_reg[j]
            continue
        arrival, plastic = number(state.arrivals[i]), learned.w_plastic[i]
        for j in range(gradient.shape[0]):
            zbar[j] = neurons.decay[j] * zbar[j] + arrival
            e = state.psi[j] * (zbar[j] - neurons.adapt_beta[j] * epsilon[j])
            epsilon[j] = neurons.adapt_decay[j] * epsilon[j] + e
            ebar[j] = kappa * ebar[j] + e
            ebar_reg[j] = kappa_reg * ebar_reg[j] + new * e
            g = signal[j] * ebar[j] + too_fast[j] * ebar_reg[j]
            gradient[j] = g if plastic[j] else number(0)
        optimise_row(optimization, state.moments, learned.w, i, gradient, state.step[0])


@njit(nogil=True, cache=True)
def _learn_out(rule, learned, optimization, state, active, n_in, gradient):
    """Traces and weights of the readout in history step s - 1."""
    decay, gain = gradient.dtype.type(rule.readout_decay), gradient.dtype.type(rule.readout_gain)
    for i in range(learned.w_out.shape[0]):
        state.zbar_out[i] = decay * state.zbar_out[i]
        if not active[n_in + i]:
            continue
        if state.arrivals[n_in + i]:
            state.zbar_out[i] += gain
        for k in range(gradient.shape[0]):
            gradient[k] = state.zbar_out[i] * state.error[k]
        optimise_row(optimization, state.moments_out, learned.w_out, i, gradient, state.step[0])


@njit(nogil=True, cache=True)
def sequence(neurons, rule, learned, optimization, feedback_rule, state, inputs, targets, window):
    """Simulate one sequence while learning; arguments and result as those of the reference."""
    n_steps, n_in = inputs.shape
    n_pre, n = learned.w.shape
    n_out = learned.w_out.shape[1]
    dtype = learned.w.dtype
    decay, gain = dtype.type(rule.readout_decay), dtype.type(rule.readout_gain)
    kappa_reg, new = dtype.type(rule.kappa_reg), dtype.type(1 - rule.kappa_reg)
    y, spikes = np.zeros((n_steps, n_out), dtype), np.zeros((n_steps, n), np.bool_)
    arrivals, active = np.zeros(n_pre, np.bool_), np.zeros(n_pre, np.bool_)
    current, signal, too_fast, gradient = np.zeros(n, dtype), np.zeros(n, dtype), np.zeros(n, dtype), np.zeros(n, dtype)
    arriving, error, gradient_out = np.zeros(n_out, dtype), np.zeros(n_out, dtype), np.zeros(n_out, dtype)
    for k in range(n_steps):
        arrivals[:n_in], arrivals[n_in:] = inputs[k], state.neurons.spikes
        current[:], arriving[:] = 0, 0
        add_rows(arrivals, learned.w, 0, current)
        add_rows(state.neurons.spikes, learned.w_out, 0, arriving)
        step(neurons, state.neurons, current)
        spikes[k] = state.neurons.spikes
        signal[:] = 0
        for m in range(n_out):
            state.y[m] = decay * state.y[m] + gain * arriving[m]
            error[m] = state.y[m] - targets[k, m] if k >= n_steps - window else dtype.type(0)
            for j in range(n):
                signal[j] += error[m] * learned.feedback[m, j]
        y[k] = state.y
        for i in range(n_pre):
            if arrivals[i]:
                state.last_arrival[i] = state.step[0]
            active[i] = state.step[0] - state.last_arrival[i] < rule.cutoff_steps
        for j in range(n):
            too_fast[j] = rule.c_reg * (state.rate[j] - rule.target_rate)

        before = learned.w_out.copy()
        _learn(neurons, rule, learned, optimization, state, signal, too_fast, active, gradient)
        _learn_out(rule, learned, optimization, state, active, n_in, gradient_out)
        follow_readout(feedback_rule, learned.w_out, learned.feedback, before, optimization.learning_rate)

        for j in range(n):
            state.rate[j] = kappa_reg * state.rate[j] + new * dtype.type(spikes[k, j])
        state.psi[:], state.arrivals[:], state.error[:] = state.neurons.psi, arrivals, error
        state.step[0] += 1
        if state.step[0] % TIDY_STEPS == 0:
            _tidy(state)
    return y, spikes
