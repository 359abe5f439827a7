"""e-prop+ (Korcsak-Gorzo et al. 2025) with updates in every step (eprop.md 1.3, 1.5, 1.6), as a time-driven sweep.

Event-driven, a synapse catches up with the history of its postsynaptic neuron when its presynaptic neuron spikes. Time-driven
that is a mask: a synapse is active in history step t while t + 1 lies less than the cutoff after the last arrival, which may be
as late as t + 1.
"""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.eprop import Array, FeedbackRule, Learned, Neurons, PlusState, Rule
from fitrec.kernels.optimise import Optimization
from fitrec.kernels.reference.eprop_neurons import step
from fitrec.kernels.reference.eprop_optimise import follow_readout, optimise


def sequence(
    neurons: Neurons,
    rule: Rule,
    learned: Learned,
    optimization: Optimization,
    feedback_rule: FeedbackRule,
    state: PlusState,
    inputs: NDArray[np.bool_],
    targets: Array,
    window: int,
) -> tuple[Array, NDArray[np.bool_]]:
    """Simulate one sequence while learning; `learned` and `state` change in place.

    Parameters
    ----------
    neurons, rule, learned, optimization, feedback_rule, state
    inputs : (time, input) bool
        Spikes, as they arrive.
    targets : (time, output)
    window : int
        The error is zero before the last `window` steps.

    Returns
    -------
    (time, output), (time, neuron) bool
        Voltage of the readout, and spikes.

    """
    n_steps, n_in = inputs.shape
    y = np.zeros(targets.shape, dtype=learned.w.dtype)
    spikes = np.zeros((n_steps, learned.w.shape[1]), dtype=np.bool_)
    for k in range(n_steps):
        s = int(state.step[0])
        x = np.r_[inputs[k], state.neurons.spikes]
        step(neurons, state.neurons, x.astype(y.dtype) @ learned.w)
        spikes[k] = state.neurons.spikes
        state.y[:] = y[k] = rule.readout_decay * state.y + rule.readout_gain * (x[n_in:].astype(y.dtype) @ learned.w_out)
        error = (y[k] - targets[k]) * (k >= n_steps - window)
        state.last_arrival[x] = s
        active = s - state.last_arrival < rule.cutoff_steps

        # The learning of history step s - 1, whose error has only now arrived.
        state.zbar[:] = neurons.decay * state.zbar + (active & state.arrivals)[:, None]
        e = active[:, None] * state.psi * (state.zbar - neurons.adapt_beta * state.epsilon)
        state.epsilon[:] = neurons.adapt_decay * state.epsilon + e
        state.ebar[:] = rule.kappa * state.ebar + e
        state.ebar_reg[:] = rule.kappa_reg * state.ebar_reg + (1 - rule.kappa_reg) * e
        too_fast = rule.c_reg * (state.rate - rule.target_rate)
        gradient = (error @ learned.feedback) * state.ebar + too_fast * state.ebar_reg
        gradient[~learned.w_plastic] = 0
        optimise(optimization, state.moments, learned.w, gradient, active, s)

        before, active_out = learned.w_out.copy(), active[n_in:]
        state.zbar_out[:] = rule.readout_decay * state.zbar_out + rule.readout_gain * (active_out & state.arrivals[n_in:])
        optimise(optimization, state.moments_out, learned.w_out, np.outer(state.zbar_out, state.error), active_out, s)
        follow_readout(feedback_rule, learned.w_out, learned.feedback, before, optimization.learning_rate)

        state.rate[:] = rule.kappa_reg * state.rate + (1 - rule.kappa_reg) * spikes[k]
        state.psi[:], state.arrivals[:], state.error[:] = state.neurons.psi, x, error
        state.step[0] = s + 1
    return y, spikes
