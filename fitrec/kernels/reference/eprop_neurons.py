"""One step of the e-prop neuron models (eprop.md 1.1), and the surrogate derivatives (1.2)."""

from typing import Any

import numpy as np

from fitrec.kernels.eprop import Array, Neurons, NeuronState, Reset, Surrogate


def surrogate(kind: int, u: Array, height: Any, width: Any) -> Array:
    """Pseudo-derivative as coded in the published simulator, for u = v - threshold."""
    x = np.abs(u) / width
    if kind == Surrogate.PIECEWISE_LINEAR:
        return np.asarray(height * np.maximum(0, 1 - x))
    if kind == Surrogate.EXPONENTIAL:
        return np.asarray(height * np.exp(-x))
    if kind == Surrogate.FAST_SIGMOID:
        return np.asarray(height / ((1 + x) * (1 + x)))
    return np.asarray(height / (1 + x * x))


def step(neurons: Neurons, state: NeuronState, current: Array) -> None:
    """Advance the state by one step.

    Parameters
    ----------
    neurons, state
    current : (neuron,)
        Summed weights of the spikes that arrive in this step.

    """
    before = state.spikes.astype(state.v.dtype)
    awake = state.refractory == 0  # asked for by the models that are deaf while refractory
    np.maximum(state.refractory - 1, 0, out=state.refractory)
    v = neurons.decay * state.v + neurons.gain * current
    if neurons.reset == Reset.NEXT_STEP:
        v = v - neurons.threshold * before
    follows = awake if neurons.reset == Reset.HARD else np.ones_like(awake)
    state.v[follows] = np.maximum(v, neurons.v_min)[follows]
    state.adaptation[follows] = (neurons.adapt_decay * state.adaptation + before)[follows]
    state.adapted_threshold[:] = neurons.threshold + neurons.adapt_beta * state.adaptation
    u = state.v - state.adapted_threshold
    able = state.refractory == 0
    state.psi[:] = np.where(able, surrogate(neurons.surrogate, u, neurons.height, neurons.width), 0)
    state.spikes[:] = (u >= 0) & able
    state.refractory[state.spikes] = neurons.refractory_steps
    if neurons.reset == Reset.HARD:
        state.v[state.spikes] = neurons.v_reset
    elif neurons.reset == Reset.SUBTRACT:
        state.v[:] -= neurons.threshold * state.spikes
