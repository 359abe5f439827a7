"""The time loop of leaky integrate-and-fire networks: one call advances one trial by a number of steps.

Order within a step (DESIGN section 4): decay and delivery of synaptic input (the spikes of the previous step), noise, neuron
update, threshold and reset, list of spikes, scatter of this step's spikes. Inputs are accumulated in fixed point (int64, 2^32 per
unit of charge): integer addition has no order, so no thread count or shard can change a bit.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.philox import FEED_FORWARD, MEMBRANE_NOISE, normal, philox

FIXED_ONE = 2.0**32
BLOCK = 256  # neurons updated before their spikes are collected: long enough to vectorise, short enough to stay in the L1 cache


class Membrane(NamedTuple):
    """Scalars of the voltage's update of one population."""

    decay_v: np.float32
    gain_x: np.float32
    gain_s: np.float32
    gain_p: np.float32
    threshold: np.float32
    reset: np.float32
    noise: np.float32
    refractory_steps: np.int32


class Constants(NamedTuple):
    """Scalars of the update, all computed once on the host.

    The update is linear: ``u <- decay_u u + charge_u in`` for both synaptic currents, then
    ``v <- decay_v v + gain_x x + gain_s u_s + own gain_p u_p``; forward Euler and the exact propagator differ in these factors
    only. Neurons 0..n_exc-1 have the membrane `exc`, the others `inh`.
    """

    exc: Membrane
    inh: Membrane
    n_exc: np.int64
    decay_s: np.float32
    charge_s: np.float32
    decay_p: np.float32
    charge_p: np.float32
    seed: np.int64


class Wiring(NamedTuple):
    """Static and plastic projections as CSR by presynaptic neuron, and feed-forward weights, all weights in fixed point.

    Indices are uint16 where the network is small enough, else uint32: delivery is bound by reading them. Static weights stand
    once per run of targets with equal weight (a balanced network has two runs per neuron), which saves reading a weight per
    synapse.
    """

    static_indptr: NDArray[np.int64]
    static_indices: NDArray[np.uint16] | NDArray[np.uint32]
    run_indptr: NDArray[np.int64]  # (neuron + 1,), runs of each neuron
    run_end: NDArray[np.int64]  # (run,), end of the run in static_indices
    run_fixed: NDArray[np.int64]  # (run,)
    plastic_indptr: NDArray[np.int64]
    plastic_indices: NDArray[np.uint16] | NDArray[np.uint32]
    plastic_fixed: NDArray[np.int64]
    trained: NDArray[np.int32]
    ff_fixed: NDArray[np.int64]  # (ff, trained)


class State(NamedTuple):
    """Everything that changes from step to step."""

    v: NDArray[np.float32]
    u_static: NDArray[np.float32]
    u_plastic: NDArray[np.float32]
    in_static: NDArray[np.int64]
    in_plastic: NDArray[np.int64]
    refractory: NDArray[np.int32]
    trace: NDArray[np.float32]
    ff_trace: NDArray[np.float32]
    spikes: NDArray[np.int32]  # neurons that spiked in the last step
    n_spikes: NDArray[np.int64]  # (1,)
    ff_spikes: NDArray[np.int32]
    n_ff_spikes: NDArray[np.int64]  # (1,)


class Inputs(NamedTuple):
    """Time-dependent inputs of one condition."""

    stimulus: NDArray[np.float32]  # (step, neuron), drive added from step stimulus_start on; may have no rows
    stimulus_start: int
    ff_probability: NDArray[np.float32]  # (ms, ff), probability of a feed-forward spike per step, from window_start on
    window_start: int
    steps_per_ms: int


class Recorder(NamedTuple):
    """What is recorded besides the counts. When the spike arrays are full the count goes on, so that the caller notices."""

    spike_step: NDArray[np.int32]
    spike_neuron: NDArray[np.int32]
    spike_count: NDArray[np.int64]  # (1,)
    sample_every: int  # steps between samples of the static current; 0: none
    sample_sum: NDArray[np.float32]  # (neuron,)


def new_state(n: int, n_ff: int) -> State:
    """State of n neurons at rest, with empty input buffers."""
    f, i = np.float32, np.int64
    return State(
        np.zeros(n, f),
        np.zeros(n, f),
        np.zeros(n, f),
        np.zeros(n, i),
        np.zeros(n, i),
        np.zeros(n, np.int32),
        np.zeros(n, f),
        np.zeros(n_ff, f),
        np.zeros(n, np.int32),
        np.zeros(1, i),
        np.zeros(n_ff, np.int32),
        np.zeros(1, i),
    )


@njit(nogil=True, cache=True)
def _deliver_runs(indices, first, run_end, run_fixed, buffer):
    for run in range(run_end.shape[0]):
        weight = run_fixed[run]
        for target in indices[first : run_end[run]]:
            buffer[target] += weight
        first = run_end[run]


@njit(nogil=True, cache=True)
def _deliver(indices, fixed, buffer):
    for k in range(indices.shape[0]):
        buffer[indices[k]] += fixed[k]


@njit(nogil=True, cache=True)
def _add(x, y, out):
    for i in range(out.shape[0]):
        out[i] = x[i] + y[i]


@njit(nogil=True, cache=True)
def _add_noise(v, amplitude, first, step, trial, condition, seed):
    for i in range(v.shape[0]):
        v[i] = fma(amplitude, normal(first + i, step, trial, condition, seed, MEMBRANE_NOISE), v[i])


@njit(nogil=True, cache=True)
def _update(
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
    """Update a block of neurons; returns nonzero if any fired (its `refractory` is then -1).

    Plain arguments instead of tuples of them, so that LLVM vectorises.
    """
    to_float = np.float32(1.0 / FIXED_ONE)
    fired = np.int32(0)
    for i in range(v.shape[0]):
        us = fma(decay_s, u_static[i], (np.float32(in_static[i]) * to_float) * charge_s)
        up = fma(decay_p, u_plastic[i], (np.float32(in_plastic[i]) * to_float) * charge_p)
        in_static[i] = 0
        in_plastic[i] = 0
        u_static[i] = us
        u_plastic[i] = up
        drive = fma(gain_x, x[i], fma(gain_s, us, gain_p * (own * up)))
        ready = refractory[i] == 0
        vi = fma(decay_v, v[i], drive) if ready else v[i]
        v[i] = vi
        fires = np.int32(ready and vi > threshold)
        waiting = np.int32(0) if ready else refractory[i] - np.int32(1)
        refractory[i] = waiting - fires  # -1 marks a spike until the list is made
        fired |= fires
    return fired


@njit(nogil=True, cache=True)
def _feed_forward_words(words, group, trial, condition, seed):
    for j in range(words.shape[0]):
        words[j, 0], words[j, 1], words[j, 2], words[j, 3] = philox(j, group, trial, condition, seed, FEED_FORWARD)


@njit(nogil=True, cache=True)
def advance(constants, wiring, state, inputs, x, own, step, n_steps, trial, condition, trace_power, recorder, counts):
    """Advance one trial by n_steps, starting with absolute step `step`.

    Parameters
    ----------
    x : (neuron,) float32
        Constant drive of each neuron during these steps.
    own : float32
        Weight of the neuron's own plastic current: 1 - teacher forcing.
    trace_power : (>= n_steps + 1,) float32
        ``decay_p ** k * charge_p``: what a spike k steps before the trace's reading contributes to it.
    counts : (neuron,) uint16
        Advanced by each neuron's number of spikes.

    On return ``state.trace`` is the trace a learning step at ``step + n_steps`` sees: it includes spikes up to ``step + n_steps -
    2``, as in TrainSpikingNet, where learning comes before the trace's update.

    """
    n = x.shape[0]
    n_ff = inputs.ff_probability.shape[1]
    c = constants
    drive = x.copy()
    words = np.empty((n_ff, 4), np.uint32)
    # Traces: decay over the whole chunk at once, then add each spike with the decay that is left to it.
    chunk_decay = trace_power[n_steps] / c.charge_p
    for i in range(n):
        state.trace[i] *= chunk_decay
    for j in range(n_ff):
        state.ff_trace[j] *= chunk_decay
    for k in range(state.n_spikes[0]):
        state.trace[state.spikes[k]] += trace_power[n_steps - 1]
    for k in range(state.n_ff_spikes[0]):
        state.ff_trace[state.ff_spikes[k]] += trace_power[n_steps - 1]

    for t in range(n_steps):
        now = step + t
        since = now - inputs.stimulus_start
        if 0 <= since < inputs.stimulus.shape[0]:
            _add(x, inputs.stimulus[since], drive)
        elif since == inputs.stimulus.shape[0]:
            drive[:] = x
        count = 0
        for population in range(2):
            m = c.exc if population == 0 else c.inh
            first, last = (0, min(c.n_exc, n)) if population == 0 else (min(c.n_exc, n), n)
            if m.noise > 0:
                _add_noise(state.v[first:last], m.noise, first, now, trial, condition, c.seed)
            for start in range(first, last, BLOCK):
                part = slice(start, min(start + BLOCK, last))
                fired = _update(
                    drive[part],
                    state.v[part],
                    state.u_static[part],
                    state.u_plastic[part],
                    state.in_static[part],
                    state.in_plastic[part],
                    state.refractory[part],
                    own,
                    m.decay_v,
                    m.gain_x,
                    m.gain_s,
                    m.gain_p,
                    c.decay_s,
                    c.charge_s,
                    c.decay_p,
                    c.charge_p,
                    m.threshold,
                )
                if fired:
                    for i in range(start, min(start + BLOCK, last)):
                        if state.refractory[i] < 0:
                            state.spikes[count] = i
                            count += 1
        if recorder.sample_every > 0 and now % recorder.sample_every == 0:
            for i in range(n):
                recorder.sample_sum[i] += state.u_static[i]
        # What a spike in this step adds to the trace read at the end; the last step's spikes are read one chunk later.
        mark = trace_power[n_steps - 2 - t] if t < n_steps - 1 else np.float32(0.0)
        for k in range(count):
            i = state.spikes[k]
            m = c.exc if i < c.n_exc else c.inh
            state.v[i] = m.reset
            state.refractory[i] = m.refractory_steps
            state.trace[i] += mark
            counts[i] += 1
            position = recorder.spike_count[0]
            if position < recorder.spike_step.shape[0]:
                recorder.spike_step[position] = now
                recorder.spike_neuron[position] = i
            recorder.spike_count[0] += 1
            runs = slice(wiring.run_indptr[i], wiring.run_indptr[i + 1])
            _deliver_runs(
                wiring.static_indices, wiring.static_indptr[i], wiring.run_end[runs], wiring.run_fixed[runs], state.in_static
            )
            row = slice(wiring.plastic_indptr[i], wiring.plastic_indptr[i + 1])
            _deliver(wiring.plastic_indices[row], wiring.plastic_fixed[row], state.in_plastic)
        state.n_spikes[0] = count

        count = 0
        ff_step = now - inputs.window_start
        if n_ff > 0 and ff_step >= 0:
            word = ff_step % 4
            if word == 0 or t == 0:
                _feed_forward_words(words, ff_step // 4, trial, condition, c.seed)
            probability = inputs.ff_probability[ff_step // inputs.steps_per_ms]
            for j in range(n_ff):
                # 24 bits are exact in float32, so the comparison does not round.
                if np.float32(words[j, word] >> np.uint32(8)) * np.float32(2.0**-24) < probability[j]:
                    state.ff_spikes[count] = j
                    count += 1
                    state.ff_trace[j] += mark
                    for m in range(wiring.trained.shape[0]):
                        state.in_plastic[wiring.trained[m]] += wiring.ff_fixed[j, m]
        state.n_ff_spikes[0] = count


@njit(nogil=True, cache=True)
def run_trial(
    constants,
    wiring,
    state,
    inputs,
    drive,
    own,
    forced,
    window_start,
    chunk_steps,
    trial,
    condition,
    trace_power,
    recorder,
    counts,
    traces,
    ff_traces,
    static_current,
):
    """Run one whole trial with frozen weights: the time before the window, then one chunk per row of `counts`.

    Parameters
    ----------
    forced : (chunk or 0, trained) float32
        Drive added to the trained neurons during each chunk of the window (teacher forcing); an empty first axis for none.
    counts : (chunk, neuron) uint16
        Receives the spikes of each chunk.
    traces, ff_traces : (chunk or 0, neuron or ff) float32
        Receive the presynaptic traces at the end of each chunk.
    static_current : (chunk or 0, neuron) float32
        Receives the mean static current of each chunk.

    """
    x = drive.copy()
    silent = np.zeros(x.shape[0], np.uint16)
    if window_start > 0:
        advance(
            constants, wiring, state, inputs, x, np.float32(1.0), 0, window_start, trial, condition, trace_power, recorder, silent
        )
    recorder.spike_count[0] = 0
    for chunk in range(counts.shape[0]):
        if forced.shape[0] > 0:
            for m in range(wiring.trained.shape[0]):
                i = wiring.trained[m]
                x[i] = drive[i] + forced[chunk, m]
        recorder.sample_sum[:] = 0
        step = window_start + chunk * chunk_steps
        advance(
            constants, wiring, state, inputs, x, own, step, chunk_steps, trial, condition, trace_power, recorder, counts[chunk]
        )
        if traces.shape[0] > 0:
            traces[chunk] = state.trace
            ff_traces[chunk] = state.ff_trace
        if static_current.shape[0] > 0:
            samples = chunk_steps // recorder.sample_every
            for i in range(x.shape[0]):
                static_current[chunk, i] = recorder.sample_sum[i] / np.float32(samples)
