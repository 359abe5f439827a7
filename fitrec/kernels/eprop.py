"""What the e-prop kernels, in NumPy and in numba, are told: neurons, readout, feedback (eprop.md 1).

Weights are (pre, post): rows are presynaptic, the inputs first, then the recurrent neurons.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


class Reset(IntEnum):
    """What a spike does to the membrane."""

    NEXT_STEP = 0  # subtract the threshold one step later: the original models
    SUBTRACT = 1  # subtract the threshold at once: eprop_iaf
    HARD = 2  # set to v_reset, and take no input while refractory: eprop_iaf_psc_delta


class Surrogate(IntEnum):
    """Pseudo-derivative psi of a spike, a function of v - threshold."""

    PIECEWISE_LINEAR = 0
    EXPONENTIAL = 1
    FAST_SIGMOID = 2
    ARCTAN = 3


class Feedback(IntEnum):
    """Where the weights that carry the readout's error to the neurons come from (Bellec et al. 2020)."""

    RANDOM = 0  # drawn once and kept
    SYMMETRIC = 1  # the readout's weights
    ADAPTIVE = 2  # drawn, then changed as the readout's weights are, both decaying (Kolen & Pollack 1994)


class Neurons(NamedTuple):
    """Parameters of the recurrent neurons; voltages relative to the resting potential.

    Arrays are (neuron,), in the precision that is computed in; the kernels cast the scalars to it.
    """

    decay: Array  # alpha = exp(-dt / tau_m)
    gain: Array  # zeta: what an arriving spike adds to the voltage per unit weight, 1 or 1 - alpha
    threshold: Array
    adapt_beta: Array  # 0 for a neuron without adaptation
    adapt_decay: Array  # rho = exp(-dt / adapt_tau)
    v_min: float
    v_reset: float
    refractory_steps: int
    reset: int  # Reset
    surrogate: int  # Surrogate
    height: float
    width: float


class Rule(NamedTuple):
    """Parameters of the traces and of the firing-rate regularisation."""

    kappa: float  # decay of the filtered eligibility trace
    kappa_reg: float  # decay of the regularisation's trace; e-prop+ only
    readout_decay: float  # kappa_o
    readout_gain: float  # zeta_o
    c_reg: float
    target_rate: float  # spikes per step
    cutoff_steps: int  # e-prop+ only


class Interval(NamedTuple):
    """What one update interval of the original e-prop gives."""

    y: Array  # (time, output) voltage of the readout
    output: Array  # (time, output) y, or its softmax
    spikes: NDArray[np.bool_]  # (time, neuron)
    gradient: Array  # (input + neuron, neuron) summed over the interval
    gradient_out: Array  # (neuron, output)


class Learned(NamedTuple):
    """Learned weights, changed in place.

    w (input + neuron, neuron) with w_plastic of the same shape, w_out (neuron, output), feedback (output, neuron).
    """

    w: Array
    w_plastic: NDArray[np.bool_]
    w_out: Array
    feedback: Array


class FeedbackRule(NamedTuple):
    """How feedback follows the readout: `gain` is the scale of feedback weights relative to readout weights.

    `decay` is the fraction by which adaptive feedback and the readout shrink per update, relative to the learning rate.
    """

    kind: int  # Feedback
    gain: float
    decay: float


class NeuronState(NamedTuple):
    """What changes in the neurons from step to step, in place; (neuron,) each."""

    v: Array
    adaptation: Array
    adapted_threshold: Array
    psi: Array  # pseudo-derivative of the newest step
    refractory: NDArray[np.int64]
    spikes: NDArray[np.bool_]  # of the newest step


class Moments(NamedTuple):
    """Adam's running means of one weight matrix, changed in place."""

    mean: Array  # (pre, post)
    square: Array  # (pre, post)
    done: NDArray[np.int64]  # (pre,) iterations so far


class PlusState(NamedTuple):
    """What outlasts a sequence of e-prop+, changed in place: nothing is reset between sequences."""

    step: NDArray[np.int64]  # (1,) of the simulation
    neurons: NeuronState
    psi: Array  # (neuron,) of the previous step, as are arrivals and error
    arrivals: NDArray[np.bool_]  # (input + neuron,)
    last_arrival: NDArray[np.int64]  # (input + neuron,) step
    rate: Array  # (neuron,) f, spikes per step
    zbar: Array  # (input + neuron, neuron), as are the next three
    epsilon: Array
    ebar: Array
    ebar_reg: Array
    y: Array  # (output,)
    error: Array  # (output,)
    zbar_out: Array  # (neuron,)
    moments: Moments
    moments_out: Moments


FIRST_STEP = 2  # the published simulations begin two steps before the first sequence
NEVER = np.iinfo(np.int64).min // 2  # step of the last arrival of a spike where none has arrived


def rest(neurons: Neurons) -> NeuronState:
    """Neurons at rest."""
    v, adaptation, psi = np.zeros((3, *neurons.decay.shape), dtype=neurons.decay.dtype)
    refractory = np.zeros(v.shape, dtype=np.int64)
    return NeuronState(v, adaptation, neurons.threshold.copy(), psi, refractory, np.zeros(v.shape, dtype=np.bool_))


def no_moments(weights: Array) -> Moments:
    """Adam's running means before the first iteration."""
    return Moments(np.zeros_like(weights), np.zeros_like(weights), np.zeros(weights.shape[0], dtype=np.int64))


def beginning(neurons: Neurons, learned: Learned) -> PlusState:
    """Return the state of e-prop+ before the first sequence."""
    (n_pre, n), n_out = learned.w.shape, learned.w_out.shape[1]
    dtype = learned.w.dtype
    traces = np.zeros((4, n_pre, n), dtype=dtype)
    return PlusState(
        step=np.array([FIRST_STEP]),
        neurons=rest(neurons),
        psi=np.zeros(n, dtype=dtype),
        arrivals=np.zeros(n_pre, dtype=np.bool_),
        last_arrival=np.full(n_pre, NEVER),
        rate=np.zeros(n, dtype=dtype),
        zbar=traces[0],
        epsilon=traces[1],
        ebar=traces[2],
        ebar_reg=traces[3],
        y=np.zeros(n_out, dtype=dtype),
        error=np.zeros(n_out, dtype=dtype),
        zbar_out=np.zeros(n, dtype=dtype),
        moments=no_moments(learned.w),
        moments_out=no_moments(learned.w_out),
    )
