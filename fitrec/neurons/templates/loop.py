"""The loops over time of a compiled model. The compiler puts the model's own functions in front of this text."""


@njit(nogil=True, cache=True)
def deliver_static(target, fixed, buffers):
    for k in range(target.shape[0]):
        buffers[target[k]] += fixed[k]


@njit(nogil=True, cache=True)
def deliver_plastic(target, weight, one, buffers):
    for k in range(target.shape[0]):
        buffers[target[k]] += np.int64(np.rint(np.float64(weight[k]) * one))


@njit(nogil=True, cache=True)
def deliver_events(source, wiring, one, buffers):
    """Add the weights of the synapses of some sources."""
    for i in source:
        row = slice(wiring.static_indptr[i], wiring.static_indptr[i + 1])
        deliver_static(wiring.static_target[row], wiring.static_fixed[row], buffers)
        row = slice(wiring.plastic_indptr[i], wiring.plastic_indptr[i + 1])
        deliver_plastic(wiring.plastic_target[row], wiring.plastic_weight[row], one, buffers)


@njit(nogil=True, cache=True)
def simulate(parameters, wiring, state, drive, inputs, spikes, delay, first_step, n_steps, n, tape, sample, every, sampled):
    """Advance one trial by n_steps, the first being `first_step`; returns the number of spikes listed, or -1 if there is no room.

    Parameters
    ----------
    inputs : Events
        Spikes of the inputs by step of this call; sources are n + input.
    spikes : Events
        Spikes of the neurons: those emitted in the `delay` steps before this call stand in front, and `indptr` has
        ``delay + n_steps + 1`` elements, the first ``delay + 1`` of them set.
    tape : (n_steps or 0, kept * padded)
        Receives what the derivatives need of each step.
    sample : (row,) int64
        Rows of the states to record in each step whose number within this call plus one is a multiple of `every`.
    sampled : (n_steps // every, row * padded)

    """
    width = state.last.shape[0]
    count = spikes.indptr[delay]
    for t in range(n_steps):
        deliver_events(inputs.source[inputs.indptr[t] : inputs.indptr[t + 1]], wiring, parameters.one, state.buffers)
        deliver_events(spikes.source[spikes.indptr[t] : spikes.indptr[t + 1]], wiring, parameters.one, state.buffers)
        if parameters.noise.shape[0] > 0:
            begin = drive.noise_state * width
            for i in range(n):
                deviate = normal(i, first_step + t, drive.trial, drive.condition, drive.seed, MEMBRANE_NOISE)
                state.states[begin + i] = fma(parameters.noise[i], parameters.noise.dtype.type(deviate), state.states[begin + i])
        if count + n > spikes.source.shape[0]:
            return -1
        current = drive.current[min(t // drive.every, drive.current.shape[0] - 1)]
        if tape.shape[0] > 0:
            count = recorded_step(state, current, parameters, n, spikes.source, count, tape[t])
        else:
            count = step(state, current, parameters, n, spikes.source, count)
        if USES_LAST_SPIKE:
            for i in spikes.source[spikes.indptr[delay + t - 1] : spikes.indptr[delay + t]]:
                state.last[i] = 0
            for i in spikes.source[spikes.indptr[delay + t] : count]:
                state.last[i] = 1
        spikes.indptr[delay + t + 1] = count
        if sample.shape[0] > 0 and (t + 1) % every == 0:
            for r in range(sample.shape[0]):
                sampled[t // every, r * width : (r + 1) * width] = state.states[sample[r] * width : (sample[r] + 1) * width]
    return count


@njit(nogil=True, cache=True)
def add_to(total, increment):
    for i in range(total.shape[0]):
        total[i] += increment[i]


@njit(nogil=True, cache=True)
def gather(gradient, arriving, target):
    for k in range(target.shape[0]):
        gradient[k] += arriving[target[k]]


@njit(nogil=True, cache=True)
def add_gradient(gradient, arriving, source, wiring, first, last):
    """Add what a step's arriving spikes are worth, for sources from `first` to `last`."""
    for i in source:
        if first <= i < last:
            row = slice(wiring.plastic_indptr[i], wiring.plastic_indptr[i + 1])
            gather(gradient[row], arriving, wiring.plastic_target[row])


@njit(nogil=True, cache=True)
def go_back(
    parameters,
    wiring,
    inputs,
    spikes,
    n_steps,
    tape,
    rows,
    signal,
    every,
    spike_signal,
    adjoints,
    filters,
    arriving,
    gradient,
    sums,
    sources,
    neurons,
    team,
    part,
):
    """Go back over the steps of a window with the derivatives of the loss, and add up the gradient; one of several threads.

    Parameters
    ----------
    tape : (n_steps, kept * padded)
    rows : (signal row,) int64
        Rows (states, then z) to which the rows of `signal` belong.
    signal : (n_steps // every, signal row * padded)
        Derivative of the loss by the states after each step whose number plus one is a multiple of `every`.
    spike_signal : (n_steps or 0, padded)
        Derivative of the loss by the spikes of each step.
    adjoints, filters
        (row * padded,) and (align_pre port * padded,): what comes from the time after the window, on return from its steps.
    arriving : (2, CHUNK, port * padded)
        Scratch: derivative of the loss by what arrives in a step.
    gradient : (plastic synapse,)
        Added to, in an order of its own for each synapse: latest step first.
    sums : (trainable * padded,)
        Added to: gradient by each neuron's parameters.
    sources, neurons : (part + 1,) int64
        Cuts of the sources, and of the padded neurons (multiples of 16), between threads.
    team : int64
        Counter of `meet`.

    """
    width = adjoints.shape[0] // N_ROWS
    parts = sources.shape[0] - 1
    begin, end = neurons[part], neurons[part + 1]
    chunks = (n_steps + CHUNK - 1) // CHUNK
    for c in range(chunks):
        low = (chunks - 1 - c) * CHUNK
        high = min(low + CHUNK, n_steps)
        kept = arriving[c % 2]
        for t in range(high - 1, low - 1, -1):
            if signal.shape[0] > 0 and (t + 1) % every == 0:
                for r in range(rows.shape[0]):
                    add_to(
                        adjoints[rows[r] * width + begin : rows[r] * width + end],
                        signal[t // every, r * width + begin : r * width + end],
                    )
            if spike_signal.shape[0] > 0:
                add_to(adjoints[(N_ROWS - 1) * width + begin : (N_ROWS - 1) * width + end], spike_signal[t, begin:end])
            adjoint(tape[t], adjoints, kept[t - low], filters, parameters, sums, begin, end)
        if parts > 1:
            meet(team, (c + 1) * parts)
        for t in range(high - 1, low - 1, -1):
            add_gradient(
                gradient,
                kept[t - low],
                spikes.source[spikes.indptr[t] : spikes.indptr[t + 1]],
                wiring,
                sources[part],
                sources[part + 1],
            )
            add_gradient(
                gradient,
                kept[t - low],
                inputs.source[inputs.indptr[t] : inputs.indptr[t + 1]],
                wiring,
                sources[part],
                sources[part + 1],
            )
