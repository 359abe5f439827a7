"""A whole trial with frozen weights: the time loop chunk by chunk, and what is read between chunks."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.lif import advance
from fitrec.kernels.cpu.lif_state import new_team


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
    """Run one whole trial with frozen weights on one thread: the time before the window, then one chunk per row of `counts`.

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
    untimed = np.zeros((0, 0), np.int64)
    silent = np.zeros(x.shape[0], np.uint16)
    if window_start > 0:
        advance(
            constants,
            wiring,
            state,
            inputs,
            x,
            np.float32(1.0),
            0,
            window_start,
            trial,
            condition,
            trace_power,
            recorder,
            silent,
            new_team(x.shape[0], 1, untimed),
            0,
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
            constants,
            wiring,
            state,
            inputs,
            x,
            own,
            step,
            chunk_steps,
            trial,
            condition,
            trace_power,
            recorder,
            counts[chunk],
            new_team(x.shape[0], 1, untimed),
            0,
        )
        if traces.shape[0] > 0:
            traces[chunk] = state.trace
            ff_traces[chunk] = state.ff_trace
        if static_current.shape[0] > 0:
            samples = chunk_steps // recorder.sample_every
            for i in range(x.shape[0]):
                static_current[chunk, i] = recorder.sample_sum[i] / np.float32(samples)
