"""The time loop of leaky integrate-and-fire networks: one call advances one trial, or one part of its neurons, by some steps.

Order within a step (DESIGN section 4): decay and delivery of synaptic input (the spikes of the previous step), noise, neuron
update, threshold and reset, list of spikes, scatter of this step's spikes. Inputs are accumulated in fixed point (int64, 2^32 per
unit of charge): integer addition has no order, so no thread count or shard can change a bit.

Several threads advance one trial together: each owns a part of the neurons, updates them, and delivers every spike to them alone
(rows of the CSR are cut at the parts' borders). They meet once per step, between the lists of spikes and their delivery.
"""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.lif_state import (
    FIXED_ONE,
    PHASES,
    Constants,
    Inputs,
    Membrane,
    Procedural,
    Recorder,
    State,
    Team,
    Wiring,
    new_state,
    new_team,
)
from fitrec.kernels.cpu.lif_step import (
    add,
    add_noise,
    deliver,
    deliver_learned,
    deliver_runs,
    feed_forward_words,
    find_spikes,
    update,
)
from fitrec.kernels.cpu.noise import GROUP as NOISE_GROUP
from fitrec.kernels.cpu.procedural import deliver_procedural
from fitrec.kernels.cpu.team import meet, nanoseconds

__all__ = [
    "FIXED_ONE",
    "PHASES",
    "Constants",
    "Inputs",
    "Membrane",
    "Procedural",
    "Recorder",
    "State",
    "Team",
    "Wiring",
    "advance",
    "new_state",
    "new_team",
]
BLOCK = 2048  # neurons updated before their spikes are collected: a call costs as much as 150 neurons; few enough for the caches


@njit(nogil=True, cache=True)
def _start_traces(state, first, last, with_ff, chunk_decay, mark):
    """Let traces decay over the whole chunk at once, and add the spikes of the step before it."""
    state.trace[first:last] *= chunk_decay
    for k in range(state.n_spikes[0]):
        if first <= state.spikes[k] < last:
            state.trace[state.spikes[k]] += mark
    if with_ff:
        state.ff_trace[:] *= chunk_decay
        for k in range(state.n_ff_spikes[0]):
            state.ff_trace[state.ff_spikes[k]] += mark


@njit(nogil=True, cache=True)
def _reset(state, constants, mark, counts, spikes):
    """Reset the neurons that spiked, and count their spikes."""
    for i in spikes:
        m = constants.exc if i < constants.n_exc else constants.inh
        state.v[i] = m.reset
        state.refractory[i] = m.refractory_steps
        state.trace[i] += mark
        counts[i] += 1


@njit(nogil=True, cache=True)
def _record(recorder, now, spikes):
    position = recorder.spike_count[0]
    for k in range(min(spikes.shape[0], recorder.spike_step.shape[0] - position)):
        recorder.spike_step[position + k] = now
        recorder.spike_neuron[position + k] = spikes[k]
    recorder.spike_count[0] += spikes.shape[0]


@njit(nogil=True, cache=True)
def _clock(team, part, phase, since):
    """Book the time since `since` under a phase; returns the time now."""
    if team.phase_ns.shape[0] == 0:
        return since
    now = nanoseconds()
    team.phase_ns[part, phase] += now - since
    return now


@njit(nogil=True, cache=True)
def _deliver_static(wiring, constants, spikes, part, row, buffer):
    """Deliver spikes to their static targets in one part of the neurons; `row` is scratch for procedural ones."""
    parts = wiring.bounds.shape[0] - 1
    p = wiring.procedural
    for i in spikes:
        if p.degree > 0:
            pre = 0 if i < constants.n_exc else 1
            deliver_procedural(
                i,
                wiring.bounds[parts],
                constants.n_exc,
                wiring.bounds[part],
                wiring.bounds[part + 1],
                p.degree,
                p.strata,
                p.fixed[pre, 0],
                p.fixed[pre, 1],
                constants.seed,
                row,
                buffer,
            )
            continue
        piece = i * parts + part
        runs = slice(wiring.run_indptr[piece], wiring.run_indptr[piece + 1])
        deliver_runs(wiring.static_indices, wiring.static_indptr[piece], wiring.run_end[runs], wiring.run_fixed[runs], buffer)


@njit(nogil=True, cache=True)
def advance(constants, wiring, state, inputs, x, own, step, n_steps, trial, condition, trace_power, recorder, counts, team, part):
    """Advance one part of the neurons of a trial by n_steps, starting with absolute step `step`.

    Every part of `wiring.bounds` must be advanced at the same time, each by a thread of its own, with the same arguments.

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
    team : Team
        New for every call; shared by the parts.
    part : int

    On return ``state.trace`` is the trace a learning step at ``step + n_steps`` sees: it includes spikes up to ``step + n_steps -
    2``, as in TrainSpikingNet, where learning comes before the trace's update.

    """
    if n_steps == 0:
        return
    n_ff = inputs.ff_probability.shape[1]
    c = constants
    parts = wiring.bounds.shape[0] - 1
    lowest, highest = wiring.bounds[part], wiring.bounds[part + 1]
    drive = x[lowest:highest].copy()
    words = np.empty((n_ff, 4), np.uint32)
    deviates = np.empty(NOISE_GROUP, np.float32)
    trained = np.empty(wiring.trained.shape[0] if n_ff > 0 else 0, np.int64)  # the part's, as positions in wiring.trained
    n_trained = 0
    for m in range(trained.shape[0]):
        if lowest <= wiring.trained[m] < highest:
            trained[n_trained] = m
            n_trained += 1
    _start_traces(state, lowest, highest, part == 0, trace_power[n_steps] / c.charge_p, trace_power[n_steps - 1])
    charge_s, charge_p = c.charge_s * np.float32(1 / FIXED_ONE), c.charge_p * np.float32(1 / FIXED_ONE)
    row = np.empty(wiring.procedural.strata.shape[0], np.uint32)
    clock = nanoseconds()
    n_ff_spikes = 0
    for t in range(n_steps):
        now = step + t
        since = now - inputs.stimulus_start
        if 0 <= since < inputs.stimulus.shape[0]:
            add(x[lowest:highest], inputs.stimulus[since, lowest:highest], drive)
        elif since == inputs.stimulus.shape[0]:
            drive[:] = x[lowest:highest]
        # What a spike in this step adds to the trace read at the end; the last step's spikes are read one chunk later.
        mark = trace_power[n_steps - 2 - t] if t < n_steps - 1 else np.float32(0.0)
        spikes = team.spikes[t % 2]
        count = 0
        for population in range(2):
            m = c.exc if population == 0 else c.inh
            if population == 0:
                first, last = lowest, max(lowest, min(c.n_exc, highest))
            else:
                first, last = min(highest, max(c.n_exc, lowest)), highest
            if m.noise > 0:
                add_noise(state.v[first:last], m.noise, first, now, trial, condition, c.seed, deviates)
                clock = _clock(team, part, 0, clock)
            for start in range(first, last, BLOCK):
                end = min(start + BLOCK, last)
                fired = update(
                    drive[start - lowest : end - lowest],
                    state.v[start:end],
                    state.u_static[start:end],
                    state.u_plastic[start:end],
                    state.in_static[start:end],
                    state.in_plastic[start:end],
                    state.refractory[start:end],
                    own,
                    m.decay_v,
                    m.gain_x,
                    m.gain_s,
                    m.gain_p,
                    c.decay_s,
                    charge_s,
                    c.decay_p,
                    charge_p,
                    m.threshold,
                )
                if fired:
                    count += find_spikes(state.refractory[start:end], start, spikes[lowest + count : highest])
        _reset(state, c, mark, counts, spikes[lowest : lowest + count])
        if recorder.sample_every > 0 and now % recorder.sample_every == 0:
            for i in range(lowest, highest):
                recorder.sample_sum[i] += state.u_static[i]
        team.n_spikes[t % 2, part, 0] = count
        clock = _clock(team, part, 1, clock)
        if parts > 1:
            meet(team.arrived, (t + 1) * parts)
            clock = _clock(team, part, 2, clock)

        for other in range(parts):
            begin = wiring.bounds[other]
            listed = spikes[begin : begin + team.n_spikes[t % 2, other, 0]]
            _deliver_static(wiring, c, listed, part, row, state.in_static)
            if part == 0:
                _record(recorder, now, listed)
        clock = _clock(team, part, 3, clock)
        for other in range(parts):
            begin = wiring.bounds[other]
            for i in spikes[begin : begin + team.n_spikes[t % 2, other, 0]]:
                piece = i * parts + part
                synapses = slice(wiring.plastic_indptr[piece], wiring.plastic_indptr[piece + 1])
                if wiring.learned.shape[0] > 0:
                    deliver_learned(
                        wiring.plastic_indices[synapses],
                        wiring.plastic_row[synapses],
                        wiring.plastic_slot[synapses],
                        wiring.learned,
                        wiring.learned_first,
                        state.in_plastic,
                    )
                else:
                    deliver(wiring.plastic_indices[synapses], wiring.plastic_fixed[synapses], state.in_plastic)

        n_ff_spikes = 0
        ff_step = now - inputs.ff_start
        if n_ff > 0 and ff_step >= 0:
            word = ff_step % 4
            if word == 0 or t == 0:
                feed_forward_words(words, ff_step // 4, trial, condition, c.seed)
            probability = inputs.ff_probability[ff_step // inputs.steps_per_ms]
            for j in range(n_ff):
                # 24 bits are exact in float32, so the comparison does not round.
                if np.float32(words[j, word] >> np.uint32(8)) * np.float32(2.0**-24) < probability[j]:
                    for k in range(n_trained):
                        state.in_plastic[wiring.trained[trained[k]]] += wiring.ff_fixed[j, trained[k]]
                    if part == 0:
                        state.ff_spikes[n_ff_spikes] = j
                        state.ff_trace[j] += mark
                        n_ff_spikes += 1
        clock = _clock(team, part, 4, clock)
    if part == 0:
        _keep_last_spikes(state, wiring, team, (n_steps - 1) % 2, n_ff_spikes)


@njit(nogil=True, cache=True)
def _keep_last_spikes(state, wiring, team, parity, n_ff_spikes):
    """Put the parts' lists of the last step together for the next call."""
    count = 0
    for part in range(team.n_spikes.shape[1]):
        begin = wiring.bounds[part]
        for i in team.spikes[parity, begin : begin + team.n_spikes[parity, part, 0]]:
            state.spikes[count] = i
            count += 1
    state.n_spikes[0] = count
    state.n_ff_spikes[0] = n_ff_spikes
