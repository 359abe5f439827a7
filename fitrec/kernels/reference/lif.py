"""The time loop of leaky integrate-and-fire networks in float64, one step of all neurons at a time, with dense weight matrices.

The order within a step is that of DESIGN section 4 (rls.md 1.1): decay and delivery of synaptic input, noise, neuron update,
threshold and reset, spikes. The spikes of a step reach their targets, and the presynaptic traces, in the next one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.reference.philox import membrane_deviate, philox

FEED_FORWARD = 4  # stream of the generator

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Constants:
    """Factors of the update; forward Euler and the exact propagator differ in the decays and gains only.

    Those of the membrane are one number for all neurons, or one per neuron.
    """

    decay_v: float | Array
    gain_x: float | Array
    gain_s: float | Array
    gain_p: float | Array
    threshold: float | Array
    reset: float | Array
    noise: float | Array
    refractory_steps: int | NDArray[np.int64]
    decay_s: float
    charge_s: float
    decay_p: float
    charge_p: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Weights (charge) as dense matrices: static and plastic (pre, post), feed_forward (ff, post)."""

    static: Array
    plastic: Array
    feed_forward: Array


@dataclass(kw_only=True)
class State:
    """Everything that changes from step to step."""

    v: Array
    u_static: Array
    u_plastic: Array
    trace: Array
    ff_trace: Array
    refractory: NDArray[np.int64]  # updates a neuron still has to skip
    spikes: Mask  # of the last step
    ff_spikes: Mask


def new_state(v: Array, n_ff: int) -> State:
    """State with the given voltages, without currents and spikes."""
    n = len(v)
    return State(
        v=v.copy(),
        u_static=np.zeros(n),
        u_plastic=np.zeros(n),
        trace=np.zeros(n),
        ff_trace=np.zeros(n_ff),
        refractory=np.zeros(n, np.int64),
        spikes=np.zeros(n, bool),
        ff_spikes=np.zeros(n_ff, bool),
    )


def step(c: Constants, wiring: Wiring, s: State, drive: Array, own: float, noise: Array | None, ff_spikes: Mask | None) -> None:
    """Advance all neurons by one step, in place.

    Parameters
    ----------
    drive : (neuron,)
        Constant drive plus stimulus in this step.
    own : float
        Weight of the neuron's own plastic current: 1 - teacher forcing.
    noise : (neuron,) or None
        Standard normal deviates of this step.
    ff_spikes : (ff,) or None
        Feed-forward spikes of this step; None before the window begins.

    """
    s.u_static = c.decay_s * s.u_static + c.charge_s * (s.spikes @ wiring.static)
    s.u_plastic = c.decay_p * s.u_plastic + c.charge_p * (s.spikes @ wiring.plastic + s.ff_spikes @ wiring.feed_forward)
    s.trace = c.decay_p * s.trace + c.charge_p * s.spikes
    s.ff_trace = c.decay_p * s.ff_trace + c.charge_p * s.ff_spikes
    if noise is not None:
        s.v = s.v + c.noise * noise  # also while refractory
    ready = s.refractory == 0
    updated = c.decay_v * s.v + c.gain_x * drive + c.gain_s * s.u_static + c.gain_p * own * s.u_plastic
    s.v = np.where(ready, updated, s.v)
    s.refractory = np.where(ready, 0, s.refractory - 1)
    s.spikes = ready & (s.v > c.threshold)
    s.v = np.where(s.spikes, c.reset, s.v)
    s.refractory = np.where(s.spikes, c.refractory_steps, s.refractory)
    s.ff_spikes = np.zeros_like(s.ff_spikes) if ff_spikes is None else ff_spikes


def membrane_noise(n: int, now: int, trial: int, condition: int, seed: int) -> Array:
    """Return the normal deviates of step `now`."""
    return membrane_deviate(np.arange(n), now, trial, condition, seed)


def feed_forward_spikes(probability: Array, ff_step: int, trial: int, condition: int, seed: int) -> Mask:
    """Feed-forward spikes `ff_step` steps after the inputs begin: the upper 24 bits of one word, four steps share a counter."""
    words = philox(np.arange(len(probability)), ff_step // 4, trial, condition, seed, FEED_FORWARD)[ff_step % 4]
    return np.asarray((words >> 8) * 2.0**-24 < probability)
