"""The parts of one step of the time loop, each over a block of neurons or the synapses of one spike."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.lif_state import FIXED_ONE
from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.noise import GROUP as NOISE_GROUP
from fitrec.kernels.cpu.noise import fill_deviates
from fitrec.kernels.cpu.philox import FEED_FORWARD, philox

GROUP = 128  # neurons searched for spikes only if any of them fired


@njit(inline="always")
def fixed_point(weight):
    """Weight as an integer of 2^-32 charge units."""
    return np.int64(np.rint(np.float64(weight) * FIXED_ONE))


@njit(nogil=True, cache=True)
def deliver_runs(indices, first, run_end, run_fixed, buffer):
    """Add each run's weight to the buffers of its targets; the first run begins at `first`."""
    for run in range(run_end.shape[0]):
        weight = run_fixed[run]
        for target in indices[first : run_end[run]]:
            buffer[target] += weight
        first = run_end[run]


@njit(nogil=True, cache=True)
def deliver(indices, fixed, buffer):
    """Add each synapse's weight to the buffer of its target."""
    for k in range(indices.shape[0]):
        buffer[indices[k]] += fixed[k]


@njit(nogil=True, cache=True)
def deliver_learned(indices, rows, slots, weights, first, buffer):
    """Add weights that are being learned, rounded to fixed point as they are now: a row is read only when its neuron spikes."""
    for k in range(indices.shape[0]):
        buffer[indices[k]] += fixed_point(weights[rows[k], first + slots[k]])


@njit(nogil=True, cache=True)
def add(x, y, out):
    """Set out = x + y."""
    for i in range(out.shape[0]):
        out[i] = x[i] + y[i]


@njit(nogil=True, cache=True)
def scaled_add(amplitude, deviates, v):
    """Add amplitude * deviates to v."""
    for i in range(v.shape[0]):
        v[i] = fma(amplitude, deviates[i], v[i])


@njit(nogil=True, cache=True)
def add_noise(v, amplitude, first, step, trial, condition, seed, deviates):
    """Add the step's noise to the voltages of neurons first, first + 1, ...; `deviates` (NOISE_GROUP,) is scratch."""
    last = first + v.shape[0]
    for group in range(first // NOISE_GROUP, (last + NOISE_GROUP - 1) // NOISE_GROUP):
        fill_deviates(deviates, group, step, trial, condition, seed)
        begin = group * NOISE_GROUP
        low, high = max(first, begin), min(last, begin + NOISE_GROUP)
        scaled_add(amplitude, deviates[low - begin : high - begin], v[low - first : high - first])


@njit(nogil=True, cache=True)
def update(
    x,
    v,
    u_static,
    u_plastic,
    in_static,
    in_plastic,
    refractory,
    own,
    decay_v,
    gain_x,
    gain_s,
    gain_p,
    decay_s,
    charge_s,
    decay_p,
    charge_p,
    threshold,
):
    """Update a block of neurons; returns whether any fired (its `refractory` is then -1).

    `charge_s` and `charge_p` are per unit of the fixed-point buffers: 2^-32 of the charge's factor, a power of two that cannot
    round. Plain arguments instead of tuples of them, and no integer wider than needed, so that LLVM vectorises.
    """
    fired = np.int32(0)
    for i in range(v.shape[0]):
        us = fma(decay_s, u_static[i], np.float32(in_static[i]) * charge_s)
        up = fma(decay_p, u_plastic[i], np.float32(in_plastic[i]) * charge_p)
        in_static[i] = 0
        in_plastic[i] = 0
        u_static[i] = us
        u_plastic[i] = up
        drive = fma(gain_x, x[i], fma(gain_s, us, gain_p * (own * up)))
        ready = refractory[i] == 0
        vi = fma(decay_v, v[i], drive) if ready else v[i]
        v[i] = vi
        waiting = np.int32(0) if ready else np.int32(refractory[i] - np.int32(1))
        waiting = np.int32(-1) if ready and vi > threshold else waiting  # -1 marks a spike until the list is made
        refractory[i] = waiting
        fired = np.int32(fired | waiting)
    return fired < 0


@njit(nogil=True, cache=True)
def find_spikes(refractory, first, spikes):
    """List the neurons of a block that `update` marked, the block's first being neuron `first`; returns their number."""
    found = 0
    groups = refractory.shape[0] // GROUP
    for group in range(groups):
        start = group * GROUP
        together = np.int32(0)  # negative if any is; without a branch per neuron
        for i in range(GROUP):
            together = np.int32(together | refractory[start + i])
        if together < 0:
            for i in range(GROUP):
                if refractory[start + i] < 0:
                    spikes[found] = first + start + i
                    found += 1
    for i in range(groups * GROUP, refractory.shape[0]):
        if refractory[i] < 0:
            spikes[found] = first + i
            found += 1
    return found


@njit(nogil=True, cache=True)
def feed_forward_words(words, group, trial, condition, seed):
    """Fill `words` (ff, 4) with the random words of four steps."""
    for j in range(words.shape[0]):
        words[j, 0], words[j, 1], words[j, 2], words[j, 3] = philox(j, group, trial, condition, seed, FEED_FORWARD)
