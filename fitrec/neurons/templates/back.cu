// Going back over a window, along the paths within neurons or along all (BPTT): behind the text of gradient.cu.

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
