"""The original e-prop (Bellec et al. 2020) over one update interval, step by step (eprop.md 1.4, in its aligned form)."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.eprop import Array, Interval, Learned, Neurons, Rule, rest
from fitrec.kernels.reference.eprop_neurons import step
from fitrec.kernels.reference.softmax import softmax as of_classes


def interval(
    neurons: Neurons,
    rule: Rule,
    learned: Learned,
    inputs: NDArray[np.bool_],
    targets: Array,
    late: NDArray[np.bool_],
    window: int,
    softmax: bool,
) -> Interval:
    """Simulate one interval from rest with fixed weights, and sum the gradient.

    Parameters
    ----------
    neurons, rule, learned
    inputs : (time, input) bool
        Spikes, as they arrive.
    targets : (time, output)
    late : (input,) bool
        Inputs whose synapses miss the learning signal of the last step: those that spike in step 1 of the next interval. The
        published simulator updates a synapse when its next spike arrives, and that learning signal arrives one step later.
    window : int
        The error is zero before the last `window` steps.
    softmax : bool
        Whether the error is softmax(y) - target (cross-entropy) rather than y - target (squared error).

    """
    n_steps, n_in = inputs.shape
    n, n_out = learned.w_out.shape
    dtype = learned.w.dtype
    state = rest(neurons)
    waits = np.r_[~late, np.ones(n, dtype=np.bool_)]
    zbar, epsilon, ebar, e_sum, gradient = np.zeros((5, n_in + n, n), dtype=dtype)
    zbar_out, gradient_out = np.zeros(n, dtype=dtype), np.zeros((n, n_out), dtype=dtype)
    y, output = np.zeros((2, n_steps, n_out), dtype=dtype)
    spikes = np.zeros((n_steps, n), dtype=np.bool_)
    y_now = np.zeros(n_out, dtype=dtype)
    for t in range(n_steps):
        x = np.r_[inputs[t], state.spikes].astype(dtype)
        step(neurons, state, x @ learned.w)
        z = spikes[t] = state.spikes

        zbar = neurons.decay * zbar + neurons.gain * x[:, None]
        e = state.psi * (zbar - neurons.adapt_beta * epsilon)
        epsilon = neurons.adapt_decay * epsilon + e
        ebar = rule.kappa * ebar + (1 - rule.kappa) * e
        e_sum += e

        y_now = y[t] = rule.readout_decay * y_now + rule.readout_gain * (z.astype(dtype) @ learned.w_out)
        output[t] = of_classes(y_now) if softmax else y_now
        zbar_out = rule.readout_decay * zbar_out + rule.readout_gain * z
        if t >= n_steps - window:
            error = output[t] - targets[t]
            gradient += (error @ learned.feedback) * ebar * (waits[:, None] | (t < n_steps - 1))
            gradient_out += np.outer(zbar_out, error)
    too_fast = (spikes.sum(axis=0) / n_steps - rule.target_rate) / n_steps
    gradient += (rule.c_reg * too_fast).astype(dtype) * e_sum
    gradient[~learned.w_plastic] = 0
    return Interval(y=y, output=output, spikes=spikes, gradient=gradient, gradient_out=gradient_out)
