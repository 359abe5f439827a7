"""The loops over time of a compiled model. The compiler puts the model's own functions in front of this text."""


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
    width = parameters.width
    deviates = np.empty(NOISE_GROUP, np.float32)
    count = spikes.indptr[delay]
    for t in range(n_steps):
        deliver_events(inputs.source[inputs.indptr[t] : inputs.indptr[t + 1]], wiring, parameters.one, state.buffers)
        deliver_events(spikes.source[spikes.indptr[t] : spikes.indptr[t + 1]], wiring, parameters.one, state.buffers)
        if parameters.noise.shape[0] > 0:
            begin = drive.noise_state * width
            for group in range((n + NOISE_GROUP - 1) // NOISE_GROUP):
                fill_deviates(deviates, group, first_step + t, drive.trial, drive.condition, drive.seed)
                for i in range(group * NOISE_GROUP, min((group + 1) * NOISE_GROUP, n)):
                    kick = parameters.noise.dtype.type(deviates[i - group * NOISE_GROUP])
                    state.states[begin + i] = fma(parameters.noise[i], kick, state.states[begin + i])
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
                copy(sampled[t // every, r * width : (r + 1) * width], state.states[sample[r] * width : (sample[r] + 1) * width])
    return count


@njit(nogil=True, cache=True)
def go_back(
    parameters,
    wiring,
    inputs,
    spikes,
    n_steps,
    tape,
    signals,
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
    signals : BackSignals
    adjoints, filters
        (row * padded,) and (align_pre port * padded,): what comes from the time after the window, on return from its steps.
    arriving : (1 or, for several threads, 2, chunk, port * padded)
        Scratch: derivative of the loss by what arrives in a step, for as many steps as a chunk has.
    gradient : (plastic synapse,)
        Added to, in an order of its own for each synapse: latest step first.
    sums : (trainable * padded,)
        Added to: gradient by each neuron's parameters.
    sources, neurons : (part + 1,) int64
        Cuts of the sources, and of the padded neurons (multiples of 16), between threads.
    team : int64
        Counter of `meet`.

    """
    parts = sources.shape[0] - 1
    chunk = arriving.shape[1]
    chunks = (n_steps + chunk - 1) // chunk
    for c in range(chunks):
        low = (chunks - 1 - c) * chunk
        high = min(low + chunk, n_steps)
        kept = arriving[c % arriving.shape[0]]
        for last in range(high, low, -STEPS_BACK):
            begin = max(low, last - STEPS_BACK)
            adjoint(
                tape,
                begin,
                last,
                signals,
                adjoints,
                kept[begin - low :],
                filters,
                parameters,
                sums,
                neurons[part],
                neurons[part + 1],
            )
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


@njit(nogil=True, cache=True)
def weigh_traces(parameters, n_steps, tape, rows, signal, every, keep, correction, traces, products):
    """Weigh the postsynaptic traces of pp-prop with the learning signals.

    Parameters
    ----------
    keep : float
        Decay of the traces per step.
    correction : (n_steps // every,)
        Of the traces' beginning at 0.
    traces : (port, row * padded)
        Advanced.
    products : (n_steps // every, port * padded)
        Receives the sum over rows of signal and trace.

    """
    width = parameters.width
    gain = parameters.scalars.dtype.type(1) - keep
    for t in range(n_steps):
        for p in range(traces.shape[0]):
            trace(p, tape[t], traces[p], keep, gain, parameters, 0, width)
        if (t + 1) % every == 0:
            for p in range(traces.shape[0]):
                for i in range(width):
                    total = parameters.scalars.dtype.type(0)
                    for r in range(rows.shape[0]):
                        total = fma(signal[t // every, r * width + i], traces[p, rows[r] * width + i], total)
                    products[t // every, p * width + i] = total * correction[t // every]


@njit(nogil=True, cache=True)
def follow_synapses(
    parameters,
    wiring,
    indptr,
    step,
    n_steps,
    tape,
    rows,
    signal,
    every,
    filter_decay,
    traces,
    presynaptic,
    quiet,
    cutoff,
    gradient,
    first,
    last,
):
    """Follow the eligibility trace of every synapse (D-RTRL) of the sources from `first` to `last`, and add up the gradient.

    Parameters
    ----------
    indptr, step
        As made by `arrivals_by_source`.
    filter_decay : (port,)
        Decay of the synaptic filter of an align_pre port, 0 for others.
    traces : (row * plastic synapse,)
        The synapses of a source and port together, row after row; advanced.
    presynaptic : (port, source)
        Filters of the sources; advanced.
    quiet : (source,) int64
        Steps since the last arrival from each source; advanced.
    cutoff : int
        Synapses whose source has been quiet for so many steps or more have no gradient.

    """
    width = parameters.width
    kept = tape.shape[1] // width
    constants = parameters.vectors.shape[0] // width
    one, zero = parameters.scalars.dtype.type(1), parameters.scalars.dtype.type(0)
    for i in range(first, last):
        end_of_row = wiring.plastic_indptr[i + 1]
        begin = wiring.plastic_indptr[i]
        silence = quiet[i]
        for p in range(filter_decay.shape[0]):
            end = begin
            while end < end_of_row and wiring.plastic_target[end] < (p + 1) * width:
                end += 1
            n = end - begin
            if n == 0:
                continue
            neuron = wiring.plastic_target[begin:end] - np.int32(p * width)
            wide = (n + 15) // 16 * 16
            own = np.zeros(N_ROWS * wide, traces.dtype)
            for r in range(N_ROWS):
                copy(own[r * wide : r * wide + n], traces[N_ROWS * begin + r * n : N_ROWS * begin + (r + 1) * n])
            vectors = np.zeros(constants * wide, traces.dtype)
            for c in range(constants):
                for k in range(n):
                    vectors[c * wide + k] = parameters.vectors[c * width + neuron[k]]
            local = Parameters(parameters.scalars, vectors, parameters.noise, parameters.scale, parameters.one, wide)
            seen = np.zeros(kept * wide, traces.dtype)
            arrival = indptr[i]
            filtered = presynaptic[p, i]
            silence = quiet[i]
            for t in range(n_steps):
                here = zero
                while arrival < indptr[i + 1] and step[arrival] == t:
                    here += one
                    arrival += 1
                filtered = fma(filter_decay[p], filtered, here)
                silence = np.int64(0) if here > 0 else silence + 1
                for c in range(kept):
                    for k in range(n):
                        seen[c * wide + k] = tape[t, c * width + neuron[k]]
                trace(p, seen, own, one, filtered, local, 0, wide)
                if (t + 1) % every == 0 and silence < cutoff:
                    for r in range(rows.shape[0]):
                        for k in range(n):
                            gradient[begin + k] = fma(
                                signal[t // every, r * width + neuron[k]], own[rows[r] * wide + k], gradient[begin + k]
                            )
            presynaptic[p, i] = filtered
            for r in range(N_ROWS):
                copy(traces[N_ROWS * begin + r * n : N_ROWS * begin + (r + 1) * n], own[r * wide : r * wide + n])
            begin = end
        quiet[i] = silence


@njit(nogil=True, cache=True)
def map_stretch(parameters, tape, rows, no_signals, adjoints, filters, arriving, begin, end):
    """Go back over a stretch of steps from each row at its end, for neurons from `begin` to `end` (multiples of 16).

    Parameters
    ----------
    tape : (step, kept * padded)
    rows : (followed,) int64
        Rows to begin from.
    no_signals : BackSignals
    adjoints : (followed, row * padded)
        Receives the derivative of each row at the end by all rows before the stretch.
    filters : (followed, align_pre port * padded)
        By the filter of a port in the first step.
    arriving : (followed, step, port * padded)
        By what arrives in each step.

    """
    width = parameters.width
    one, zero = parameters.scalars.dtype.type(1), parameters.scalars.dtype.type(0)
    no_sums = np.zeros(0, parameters.scalars.dtype)
    for r in range(rows.shape[0]):
        for c in range(N_ROWS):
            for i in range(c * width + begin, c * width + end):
                adjoints[r, i] = one if c == rows[r] else zero
        for c in range(filters.shape[1] // width):
            for i in range(c * width + begin, c * width + end):
                filters[r, i] = zero
    for high in range(tape.shape[0], 0, -STEPS_BACK):
        low = max(0, high - STEPS_BACK)
        for r in range(rows.shape[0]):
            adjoint(tape, low, high, no_signals, adjoints[r], arriving[r, low:], filters[r], parameters, no_sums, begin, end)


@njit(nogil=True, cache=True)
def go_back_through_time(
    parameters, wiring, inputs, spikes, delay, n_steps, tape, signals, adjoints, filters, arriving, gradient, sums, n
):
    """Go back over the steps through all paths (BPTT), touching every synapse in every step; arguments as those of `go_back`.

    Parameters
    ----------
    delay : int
        Steps from a spike to its arrival.
    arriving : (delay + 1, port * padded)
        Zeros: nothing arrives after the window.

    """
    width = parameters.width
    last_row = (N_ROWS - 1) * width
    for t in range(n_steps - 1, -1, -1):
        add_recurrent(adjoints[last_row : last_row + width], arriving[(t + delay) % (delay + 1)], wiring, parameters.one, n)
        now = arriving[t % (delay + 1)]
        adjoint(tape, t, t + 1, signals, adjoints, now, filters, parameters, sums, 0, width)
        last = wiring.plastic_indptr.shape[0] - 1
        add_gradient(gradient, now, spikes.source[spikes.indptr[t] : spikes.indptr[t + 1]], wiring, 0, last)
        add_gradient(gradient, now, inputs.source[inputs.indptr[t] : inputs.indptr[t + 1]], wiring, 0, last)
