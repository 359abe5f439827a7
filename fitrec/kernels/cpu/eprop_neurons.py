"""One step of the e-prop neuron models (eprop.md 1.1), and the surrogate derivatives (1.2)."""

from numba import njit

from fitrec.kernels.cpu.math import exp
from fitrec.kernels.eprop import Reset, Surrogate

_NEXT_STEP, _SUBTRACT, _HARD = int(Reset.NEXT_STEP), int(Reset.SUBTRACT), int(Reset.HARD)
_PIECEWISE_LINEAR, _EXPONENTIAL = int(Surrogate.PIECEWISE_LINEAR), int(Surrogate.EXPONENTIAL)
_FAST_SIGMOID = int(Surrogate.FAST_SIGMOID)


@njit(inline="always")
def surrogate(kind, u, height, width):
    """Pseudo-derivative for u = v - threshold."""
    x = abs(u) / width
    if kind == _PIECEWISE_LINEAR:
        return height * max(0.0, 1.0 - x)
    if kind == _EXPONENTIAL:
        return height * exp(-x)
    if kind == _FAST_SIGMOID:
        return height / ((1.0 + x) * (1.0 + x))
    return height / (1.0 + x * x)


@njit(nogil=True, cache=True)
def step(neurons, state, current):
    """Advance the state by one step, `current` (neuron,) being the summed weights of the arriving spikes."""
    number = current.dtype.type
    v_min, v_reset = number(neurons.v_min), number(neurons.v_reset)
    for j in range(current.shape[0]):
        awake = state.refractory[j] == 0
        refractory = max(state.refractory[j] - 1, 0)
        if awake or neurons.reset != _HARD:
            before = number(state.spikes[j])
            v = neurons.decay[j] * state.v[j] + neurons.gain[j] * current[j]
            if neurons.reset == _NEXT_STEP:
                v = v - neurons.threshold[j] * before
            state.v[j] = max(v, v_min)
            state.adaptation[j] = neurons.adapt_decay[j] * state.adaptation[j] + before
        adapted = neurons.threshold[j] + neurons.adapt_beta[j] * state.adaptation[j]
        u = state.v[j] - adapted
        able = refractory == 0
        spikes = able and u >= 0
        state.adapted_threshold[j] = adapted
        state.psi[j] = surrogate(neurons.surrogate, u, neurons.height, neurons.width) if able else 0.0
        state.spikes[j] = spikes
        state.refractory[j] = neurons.refractory_steps if spikes else refractory
        if spikes and neurons.reset == _HARD:
            state.v[j] = v_reset
        elif spikes and neurons.reset == _SUBTRACT:
            state.v[j] -= neurons.threshold[j]
