// Gradients from the trials of a compiled model: behind the text of loop.cu, twin of the other loops of loop.py, which says what is
// computed; here is how the work is laid out.
//
// Neurons go forward or back on their own, some steps at a time, with what changes in registers. Then each row of synapses, a
// warp's work, reads from its source's column of the raster when spikes arrived, and adds up what they were worth, latest first.

// Derivatives of the loss: by rows of states after the steps whose number plus one is a multiple of `every`, and by the spikes.
struct Signals {
    const int64_t* rows;  // (n_rows,)
    const Real* states;   // (trial, n_steps / every, n_rows, width)
    const Real* spikes;   // (trial, row, width), row t / spikes_every is step t's
    int64_t states_stride, spikes_stride;  // from trial to trial; 0 where all have the same
    int32_t n_rows, every, with_spikes, spikes_every;
};

// e[row], for a row known at run time only: registers cannot be indexed.
__device__ __forceinline__ Real element(const Real* e, int row) {
    Real value = e[0];
#pragma unroll
    for (int k = 1; k < N_ROWS; ++k) value = row == k ? e[k] : value;
    return value;
}

// Derivatives by the states sampled at the end of step t of trial b.
__device__ __forceinline__ const Real* states_signal(const Parameters& m, const Signals& signals, int t, int b) {
    return signals.states + b * signals.states_stride + (size_t)(t / signals.every) * signals.n_rows * m.width;
}

__device__ __forceinline__ const Real* spikes_signal(const Parameters& m, const Signals& signals, int t, int b) {
    return signals.spikes + b * signals.spikes_stride + (size_t)(t / signals.spikes_every) * m.width;
}

// Steps of a window: those from low to high are gone through.
struct Span {
    int32_t n_steps, low, high;
};

struct Back {
    Real *adjoints, *filters, *sums;  // (trial, row, align_pre port or trainable parameter, width)
    Real* arriving;                   // (trial, chunk, port, width)
    int32_t chunk;                    // steps it has room for
};

// What changes of a neuron on the way back: derivatives by its rows and by the filters of its ports, sums by its parameters.
struct Neuron {
    Real l[N_ROWS], y[N_FILTERS + 1], q[N_TRAINABLE + 1];
};

__device__ __forceinline__ Neuron take_neuron(const Parameters& m, const Back& back, int b, int i) {
    const size_t own = (size_t)b * m.width;
    Neuron neuron = {};
    for (int k = 0; k < N_ROWS; ++k) neuron.l[k] = back.adjoints[own * N_ROWS + k * m.width + i];
    for (int k = 0; k < N_FILTERS; ++k) neuron.y[k] = back.filters[own * N_FILTERS + k * m.width + i];
    for (int k = 0; k < N_TRAINABLE; ++k) neuron.q[k] = back.sums[own * N_TRAINABLE + k * m.width + i];
    return neuron;
}

__device__ __forceinline__ void put_neuron(const Parameters& m, const Back& back, int b, int i, const Neuron& neuron) {
    const size_t own = (size_t)b * m.width;
    for (int k = 0; k < N_ROWS; ++k) back.adjoints[own * N_ROWS + k * m.width + i] = neuron.l[k];
    for (int k = 0; k < N_FILTERS; ++k) back.filters[own * N_FILTERS + k * m.width + i] = neuron.y[k];
    for (int k = 0; k < N_TRAINABLE; ++k) back.sums[own * N_TRAINABLE + k * m.width + i] = neuron.q[k];
}

// Add the derivatives of the loss by neuron i after step t.
__device__ __forceinline__ void add_signals(const Parameters& m, const Signals& signals, int t, int b, int i, Real* l) {
    if (signals.n_rows > 0 && (t + 1) % signals.every == 0) {
        const Real* from = states_signal(m, signals, t, b) + i;
        for (int r = 0; r < signals.n_rows; ++r)
#pragma unroll
            for (int k = 0; k < N_ROWS; ++k)
                if (signals.rows[r] == k) l[k] += from[r * m.width];
    }
    if (signals.with_spikes) l[N_ROWS - 1] += spikes_signal(m, signals, t, b)[i];
}

__device__ __forceinline__ void step_back(
    const Scalars& c, const Parameters& m, const Real* tape, const Span& span, const Back& back, int t, int b, int i, Neuron& neuron) {
    Real* arriving = back.arriving + ((size_t)b * back.chunk + (t - span.low)) * N_PORTS * m.width;
    adjoint(c, m, tape + ((size_t)b * span.n_steps + t) * N_KEPT * m.width, i, neuron.l, neuron.y, neuron.q, arriving);
}

// Go back from step high - 1 to step low, neuron by neuron.
extern "C" __global__ void __launch_bounds__(256, 2) model_back(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, const Real* tape, const __grid_constant__ Signals signals,
    const __grid_constant__ Span span, const __grid_constant__ Back back) {
    const int cell = blockIdx.x * blockDim.x + threadIdx.x, b = cell / m.n, i = cell - b * m.n;
    if (b >= m.n_trials) return;
    Neuron neuron = take_neuron(m, back, b, i);
    for (int t = span.high - 1; t >= span.low; --t) {
        add_signals(m, signals, t, b, i, neuron.l);
        step_back(c, m, tape, span, back, t, b, i, neuron);
    }
    put_neuron(m, back, b, i, neuron);
}

// One lane's part of what a neuron's spike does to the neurons it reaches, given the derivatives by what arrives there.
__device__ __forceinline__ Real reached(const Parameters& m, const Wiring& w, int source, const Real* arriving, int lane) {
    Real sum = 0;
    for (int64_t k = w.plastic_indptr[source] + lane; k < w.plastic_indptr[source + 1]; k += 32)
        sum = mul_add(w.plastic_weight[k], arriving[w.plastic_target[k]], sum);
    for (int64_t k = w.static_indptr[source] + lane; k < w.static_indptr[source + 1]; k += 32)
        sum = mul_add((Real)((double)w.static_fixed[k] / (double)m.one), arriving[w.static_target[k]], sum);
    return sum;
}

// Go back along all paths (BPTT). A spike of step t arrives `delay` steps later; `later` (trial, delay, port, width) are derivatives by
// what arrives in the steps from high on. Blocks have tiles of neurons, and wait for each other after every step, as in model_run.
extern "C" __global__ void __launch_bounds__(256, 2) model_back_through_time(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, const __grid_constant__ Wiring w, const Real* tape,
    const __grid_constant__ Signals signals, const __grid_constant__ Span span, const __grid_constant__ Back back, const Real* later,
    unsigned* arrived) {
    const int lane = threadIdx.x % 32, tiles_per_trial = (m.n + blockDim.x - 1) / blockDim.x;
    for (int t = span.high - 1; t >= span.low; --t) {
        for (int tile = blockIdx.x; tile < tiles_per_trial * m.n_trials; tile += gridDim.x) {
            const int b = tile / tiles_per_trial, i = (tile - b * tiles_per_trial) * blockDim.x + threadIdx.x, then = t + m.delay;
            const Real* arriving = then < span.high ? back.arriving + ((size_t)b * back.chunk + (then - span.low)) * N_PORTS * m.width
                                                    : later + ((size_t)b * m.delay + (then - span.high)) * N_PORTS * m.width;
            Real through_others = 0;
            for (int k = 0; k < 32 && i - lane + k < m.n; ++k) {  // a neuron of this warp after the other
                const Real sum = sum_of_lanes(reached(m, w, i - lane + k, arriving, lane));
                if (lane == k) through_others = sum;
            }
            if (i >= m.n) continue;
            Neuron neuron = take_neuron(m, back, b, i);
            neuron.l[N_ROWS - 1] += through_others;
            add_signals(m, signals, t, b, i, neuron.l);
            step_back(c, m, tape, span, back, t, b, i, neuron);
            put_neuron(m, back, b, i, neuron);
        }
        if (t > span.low) grid_barrier(arrived, span.high - t);
    }
}

// When spikes arrived: those of neurons as a raster, those of inputs by input, in ascending order.
struct Arrivals {
    const uint32_t* raster;
    const int64_t* indptr;  // (trial, input + 1): places in step
    const int32_t* step;
};

// Arrivals from one source, asked for step after step.
struct Column {
    const uint32_t* raster;  // of a neuron's word, or none
    int words, bit;
    const int32_t *next, *end;  // of an input's arrivals
};

__device__ __forceinline__ Column column_of(const Parameters& m, const Arrivals& arrivals, int n_steps, int b, int source) {
    if (source < m.n) {
        const int words = words_of(m);
        return {arrivals.raster + (size_t)b * (m.delay + n_steps) * words + source / 32, words, source % 32, nullptr, nullptr};
    }
    const int64_t* indptr = arrivals.indptr + (size_t)b * (m.n_sources - m.n + 1) + (source - m.n);
    return {nullptr, 0, 0, arrivals.step + indptr[0], arrivals.step + indptr[1]};
}

// Arrivals in step t, which is above those asked for before.
__device__ __forceinline__ int arrivals_in(Column& column, int t) {
    if (column.raster) return column.raster[(size_t)t * column.words] >> column.bit & 1;
    int found = 0;
    for (; column.next < column.end && *column.next == t; ++column.next) ++found;
    return found;
}

// Add to each synapse what the spikes that arrived from step low to high were worth, latest first: `arriving` of their steps.
extern "C" __global__ void model_gather(
    const __grid_constant__ Parameters m, const __grid_constant__ Wiring w, const __grid_constant__ Arrivals arrivals,
    const __grid_constant__ Span span, const Real* arriving, Real* gradient, int chunk) {
    const int64_t warp = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) / 32;
    const int b = warp / m.n_sources, source = warp - (int64_t)b * m.n_sources, lane = threadIdx.x % 32;
    if (b >= m.n_trials) return;
    const int64_t begin = w.plastic_indptr[source], end = w.plastic_indptr[source + 1];
    if (begin == end) return;
    const Real* worth = arriving + (size_t)b * chunk * N_PORTS * m.width;
    Real* sums = gradient + b * w.plastic_indptr[m.n_sources];
    if (source < m.n) {
        const int words = words_of(m);
        const uint32_t* column = arrivals.raster + (size_t)b * (m.delay + span.n_steps) * words + source / 32;
        for (int high = span.high; high > span.low; high -= 32) {
            const int low = max(high - 32, span.low), t = low + lane;
            const unsigned there = __ballot_sync(FULL_WARP, t < high && (column[(size_t)t * words] >> (source % 32) & 1));
            if (there == 0) continue;
            for (int64_t k = begin + lane; k < end; k += 32) {
                const Real* of_target = worth + (size_t)(low - span.low) * N_PORTS * m.width + w.plastic_target[k];
                Real sum = sums[k];
                for (unsigned left = there; left != 0;) {
                    const int last = 31 - __clz(left);
                    left ^= 1u << last;
                    sum += of_target[(size_t)last * N_PORTS * m.width];
                }
                sums[k] = sum;
            }
        }
    } else {
        const int64_t* indptr = arrivals.indptr + (size_t)b * (m.n_sources - m.n + 1) + (source - m.n);
        int64_t from = indptr[0], to = indptr[1];
        while (from < to && arrivals.step[to - 1] >= span.high) --to;
        while (from < to && arrivals.step[from] < span.low) ++from;
        if (from == to) return;
        for (int64_t k = begin + lane; k < end; k += 32) {
            Real sum = sums[k];
            for (int64_t e = to - 1; e >= from; --e)
                sum += worth[(size_t)(arrivals.step[e] - span.low) * N_PORTS * m.width + w.plastic_target[k]];
            sums[k] = sum;
        }
    }
}

// What pp-prop makes of the postsynaptic side.
struct Weighing {
    Real* traces;            // (trial, port, row, width)
    Real* products;          // (trial, n_steps / every, port, width)
    const Real* correction;  // (n_steps / every,), of the traces' beginning at 0
    Real keep, gain;         // the traces' decay per step, and 1 - keep
    int32_t every;           // 1 if there are signals on spikes, else that of the signals
};

// Weigh the postsynaptic traces with the signals, port by port.
extern "C" __global__ void __launch_bounds__(256, 2) model_weigh(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, const Real* tape, const __grid_constant__ Signals signals,
    int n_steps, const __grid_constant__ Weighing w) {
    const int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int i = cell % m.n, port = cell / m.n % N_PORTS, b = cell / m.n / N_PORTS;
    if (b >= m.n_trials) return;
    Real* own = w.traces + ((size_t)b * N_PORTS + port) * N_ROWS * m.width + i;
    Real e[N_ROWS];
    for (int k = 0; k < N_ROWS; ++k) e[k] = own[(size_t)k * m.width];
    for (int t = 0; t < n_steps; ++t) {
        trace(port, c, m, tape + ((size_t)b * n_steps + t) * N_KEPT * m.width, i, e, w.keep, w.gain);
        if ((t + 1) % w.every != 0) continue;
        Real total = 0;
        if (signals.n_rows > 0 && (t + 1) % signals.every == 0) {
            const Real* from = states_signal(m, signals, t, b) + i;
            for (int r = 0; r < signals.n_rows; ++r) total = mul_add(from[r * m.width], element(e, signals.rows[r]), total);
        }
        if (signals.with_spikes) total = mul_add(spikes_signal(m, signals, t, b)[i], e[N_ROWS - 1], total);
        const size_t row = (size_t)b * (n_steps / w.every) + t / w.every;
        w.products[(row * N_PORTS + port) * m.width + i] = total * w.correction[t / w.every];
    }
    for (int k = 0; k < N_ROWS; ++k) own[(size_t)k * m.width] = e[k];
}

// What pp-prop makes of the presynaptic side, seen from the spikes that made it.
struct Products {
    const Real* products;      // as of Weighing
    Real *filtered, *summed;   // (trial, port, width): sums of products, without and with the ports' own filters
    Real* arriving;            // (trial, chunk, port, width)
    const Real* filter_decay;  // (port,)
    Real decay;
    int32_t every, chunk;
};

// Go back over the products from step high - 1 to step low.
extern "C" __global__ void model_products(
    const __grid_constant__ Parameters m, const __grid_constant__ Span span, const __grid_constant__ Products p) {
    const int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int i = cell % m.n, port = cell / m.n % N_PORTS, b = cell / m.n / N_PORTS;
    if (b >= m.n_trials) return;
    const size_t own = ((size_t)b * N_PORTS + port) * m.width + i;
    Real filtered = p.filtered[own], summed = p.summed[own];
    for (int t = span.high - 1; t >= span.low; --t) {
        Real product = 0;
        if ((t + 1) % p.every == 0)
            product = p.products[(((size_t)b * (span.n_steps / p.every) + t / p.every) * N_PORTS + port) * m.width + i];
        filtered = mul_add(p.decay, filtered, product);
        summed = mul_add(p.filter_decay[port], summed, filtered);
        p.arriving[(((size_t)b * p.chunk + (t - span.low)) * N_PORTS + port) * m.width + i] = summed;
    }
    p.filtered[own] = filtered;
    p.summed[own] = summed;
}

// Add what the traces from before the window, (trial, 2, port, source), are worth in it.
extern "C" __global__ void model_carry(
    const __grid_constant__ Parameters m, const __grid_constant__ Wiring w, const __grid_constant__ Products p,
    const Real* presynaptic, Real* gradient) {
    const int64_t warp = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) / 32;
    const int b = warp / m.n_sources, source = warp - (int64_t)b * m.n_sources;
    if (b >= m.n_trials) return;
    Real* sums = gradient + b * w.plastic_indptr[m.n_sources];
    for (int64_t k = w.plastic_indptr[source] + threadIdx.x % 32; k < w.plastic_indptr[source + 1]; k += 32) {
        const int target = w.plastic_target[k], port = target / m.width;
        const Real* own = presynaptic + ((size_t)b * 2 * N_PORTS + port) * m.n_sources + source;
        const Real filter = own[0], trace = own[(size_t)N_PORTS * m.n_sources];
        if (trace == Real(0)) continue;
        const size_t at = (size_t)b * N_PORTS * m.width + target;
        sums[k] = mul_add(p.decay * trace, p.filtered[at], sums[k]);
        sums[k] = mul_add(p.filter_decay[port] * filter, p.summed[at], sums[k]);
    }
}

// Advance the traces of the sources over a window; left: (port, step + 1, 3), what an arrival leaves after so many steps.
extern "C" __global__ void model_presynaptic(
    const __grid_constant__ Parameters m, const __grid_constant__ Arrivals arrivals, const Real* left, Real* presynaptic, int n_steps) {
    const int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int source = cell % m.n_sources, port = cell / m.n_sources % N_PORTS, b = cell / m.n_sources / N_PORTS;
    if (b >= m.n_trials) return;
    Real* own = presynaptic + ((size_t)b * 2 * N_PORTS + port) * m.n_sources + source;
    Real& trace = own[(size_t)N_PORTS * m.n_sources];
    const Real* after = left + (size_t)port * (n_steps + 1) * 3;
    const Real* whole = after + (size_t)n_steps * 3;
    Real y = whole[0] * own[0], x = whole[2] * trace + (whole[1] - whole[2]) * own[0];
    Column column = column_of(m, arrivals, n_steps, b, source);
    for (int t = 0; t < n_steps; ++t)
        for (int arrival = arrivals_in(column, t); arrival > 0; --arrival) {
            y += after[(size_t)(n_steps - 1 - t) * 3];
            x += after[(size_t)(n_steps - 1 - t) * 3 + 1];
        }
    own[0] = y;
    trace = x;
}

// Traces of every synapse.
struct Following {
    Real* traces;                        // (trial, row, synapse)
    const Real* filter;                  // (trial, port, source)
    Real* new_filter;                    // after the window
    const int64_t* quiet;                // (trial, source): steps since the last arrival
    int64_t* new_quiet;                  // after the window
    const int32_t* source;               // (synapse,)
    const Real* filter_decay;            // (port,)
    int64_t cutoff;                      // synapses of sources quiet for so long have no gradient
};

// Follow the eligibility trace of every synapse (D-RTRL), and add up the gradient.
extern "C" __global__ void __launch_bounds__(256, 2) model_follow(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, const __grid_constant__ Wiring w,
    const __grid_constant__ Arrivals arrivals, const Real* tape, const __grid_constant__ Signals signals, int n_steps,
    const __grid_constant__ Following f, Real* gradient) {
    const int64_t synapses = w.plastic_indptr[m.n_sources], cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int64_t b = cell / synapses, k = cell - b * synapses;
    if (b >= m.n_trials) return;
    const int source = f.source[k], port = w.plastic_target[k] / m.width, i = w.plastic_target[k] - port * m.width;
    Real e[N_ROWS];
    for (int r = 0; r < N_ROWS; ++r) e[r] = f.traces[(b * N_ROWS + r) * synapses + k];
    const size_t own = ((size_t)b * N_PORTS + port) * m.n_sources + source;
    Real filtered = f.filter[own], sum = gradient[b * synapses + k];
    int64_t silence = f.quiet[b * m.n_sources + source];
    Column column = column_of(m, arrivals, n_steps, b, source);
    for (int t = 0; t < n_steps; ++t) {
        const Real here = (Real)arrivals_in(column, t);
        filtered = mul_add(f.filter_decay[port], filtered, here);
        silence = here > 0 ? 0 : silence + 1;
        trace(port, c, m, tape + ((size_t)b * n_steps + t) * N_KEPT * m.width, i, e, Real(1), filtered);
        if (silence >= f.cutoff) continue;
        if (signals.n_rows > 0 && (t + 1) % signals.every == 0) {
            const Real* from = states_signal(m, signals, t, b) + i;
            for (int r = 0; r < signals.n_rows; ++r) sum = mul_add(from[r * m.width], element(e, signals.rows[r]), sum);
        }
        if (signals.with_spikes) sum = mul_add(spikes_signal(m, signals, t, b)[i], e[N_ROWS - 1], sum);
    }
    for (int r = 0; r < N_ROWS; ++r) f.traces[(b * N_ROWS + r) * synapses + k] = e[r];
    gradient[b * synapses + k] = sum;
    f.new_filter[own] = filtered;
    f.new_quiet[b * m.n_sources + source] = silence;
}

template <class Sum>
__device__ __forceinline__ void sum_trials(const Real* parts, Sum* total, int64_t size, int n_trials) {
    for (int64_t k = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; k < size; k += (int64_t)gridDim.x * blockDim.x) {
        Sum sum = total[k];
        for (int b = 0; b < n_trials; ++b) sum += (Sum)parts[(size_t)b * size + k];
        total[k] = sum;
    }
}

// Add the gradients of the trials, (trial, element), in their order.
extern "C" __global__ void model_sum(const Real* parts, Real* total, int64_t size, int n_trials) {
    sum_trials(parts, total, size, n_trials);
}

// The same in float64.
extern "C" __global__ void model_sum_double(const Real* parts, double* total, int64_t size, int n_trials) {
    sum_trials(parts, total, size, n_trials);
}
