// The time loop of a compiled model. The compiler puts the model's own functions in front of this text. Twin of loop.py, which says what
// is computed; here is how the work is laid out.
//
// Time loop: one cooperative launch runs many steps of many trials. Each trial's neurons are cut into tiles of one block's size; a
// tile belongs to the same block in every step. Spikes are bits: rasters (trial, delay + step, word) hold in row t what arrives in
// step t of this launch, so a spike of step t is a bit of row t + delay, and the first `delay` rows are spikes from before. In step
// t the block of a tile delivers the spikes of its neurons that arrive in t + 1: there are two sets of sums, for even and for odd
// steps, hence one barrier over the grid per step.

struct Inputs {
    const int64_t* indptr;  // (trial, step + 1): places in source
    const int32_t* source;
    const Real* current;  // (row, current, width)
    int32_t current_rows, current_every;
    const uint32_t* trials;  // (trial,) counters of the noise
    uint32_t condition, seed, first_step;
};

struct Record {
    uint32_t* raster;  // (trial, delay + step, word)
    Real* tape;        // (trial, step, kept, width), or none
    const int64_t* sample;  // (n_sample,) states
    Real* sampled;          // (trial, n_steps / every, n_sample, width)
    int32_t n_sample, every, n_steps;
};

__device__ __forceinline__ int words_of(const Parameters& m) { return (m.n + 31) / 32; }

__device__ __forceinline__ void deliver_source(
    const Wiring& w, const Parameters& m, int i, int64_t* arriving, Part part) {
    for (int64_t k = w.static_indptr[i] + part.first; k < w.static_indptr[i + 1]; k += part.stride)
        add_fixed(&arriving[w.static_target[k]], w.static_fixed[k]);
    for (int64_t k = w.plastic_indptr[i] + part.first; k < w.plastic_indptr[i + 1]; k += part.stride)
        add_fixed(&arriving[w.plastic_target[k]], (int64_t)nearest(w.plastic_weight[k] * m.one));
}

// Advance neuron i of trial b by step t; returns whether it spiked.
__device__ __forceinline__ bool advance(
    const Scalars& c, const Parameters& m, const State& s, const Inputs& in, const Record& out, int t, int b, int i) {
    const size_t cells = (size_t)b * m.width;
    Cells own = {s.states + cells * N_STATES, s.filters + cells * N_FILTERS, s.last + cells, s.wait + cells, s.arriving};
    own.arriving += ((size_t)(t & 1) * m.n_trials + b) * N_PORTS * m.width;
    const int row = min(t / in.current_every, in.current_rows - 1);
    const Real* current = in.current + (size_t)row * N_CURRENTS * m.width;
    const Real deviate = m.noisy ? membrane_deviate(i, in.first_step + t, in.trials[b], in.condition, in.seed) : 0.0f;
    bool spikes;
    if (out.tape)
        spikes = recorded_step(c, m, own, current, deviate, i, out.tape + ((size_t)b * out.n_steps + t) * N_KEPT * m.width);
    else
        spikes = step(c, m, own, current, deviate, i);
    if (USES_LAST_SPIKE) own.last[i] = flag(spikes);
    if (out.n_sample > 0 && (t + 1) % out.every == 0) {
        Real* to = out.sampled + ((size_t)b * (out.n_steps / out.every) + t / out.every) * out.n_sample * m.width;
        for (int r = 0; r < out.n_sample; ++r) to[r * m.width + i] = own.states[out.sample[r] * m.width + i];
    }
    return spikes;
}

// Deliver what arrives in step t of trial b: this block's part, a tile's spikes (`there`: this thread's) and a share of the inputs.
__device__ __forceinline__ void deliver(
    const Parameters& m, const Wiring& w, const State& s, const Inputs& in, int n_steps, SpikeList& list, int t, int b, int tile,
    int tiles_per_trial, bool there) {
    int64_t* arriving = s.arriving + ((size_t)(t & 1) * m.n_trials + b) * N_PORTS * m.width;
    const int i = tile * blockDim.x + threadIdx.x;
    const int count = list_spikes(list, there, __ballot_sync(FULL_WARP, there), i);
    if (count > 0) share_spikes(list, count, [&](int source, Part part) { deliver_source(w, m, source, arriving, part); });
    const int64_t* indptr = in.indptr + (size_t)b * (n_steps + 1) + t;
    const int warps = blockDim.x / 32, lane = threadIdx.x % 32;
    for (int64_t e = indptr[0] + tile * warps + threadIdx.x / 32; e < indptr[1]; e += tiles_per_trial * warps)
        deliver_source(w, m, in.source[e], arriving, {lane, 32});
}

// Run out.n_steps steps. The block's size is a multiple of 32 and at most 256; `arrived` is zero at the start.
extern "C" __global__ void __launch_bounds__(256, 2) model_run(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, const __grid_constant__ Wiring w,
    const __grid_constant__ State s, const __grid_constant__ Inputs in, const __grid_constant__ Record out, unsigned* arrived) {
    __shared__ SpikeList list;
    const int words = words_of(m), lane = threadIdx.x % 32;
    const int tiles_per_trial = (m.n + blockDim.x - 1) / blockDim.x;
    const int tiles = tiles_per_trial * m.n_trials;
    for (int t = -1; t < out.n_steps; ++t) {  // before the first step: what arrives in it
        for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
            const int b = tile / tiles_per_trial, i = (tile - b * tiles_per_trial) * blockDim.x + threadIdx.x, word = i / 32;
            uint32_t* raster = out.raster + (size_t)b * (m.delay + out.n_steps) * words + word;
            bool there = false;
            if (t >= 0) {
                if (i < m.n) there = advance(c, m, s, in, out, t, b, i);
                const unsigned votes = __ballot_sync(FULL_WARP, there);
                if (lane == 0 && i < m.n) raster[(size_t)(m.delay + t) * words] = votes;
            }
            if (t + 1 == out.n_steps) continue;
            if (t < 0 || m.delay > 1) there = i < m.n && raster[(size_t)(t + 1) * words] >> lane & 1;
            deliver(m, w, s, in, out.n_steps, list, t + 1, b, tile - b * tiles_per_trial, tiles_per_trial, there);
        }
        if (t + 1 < out.n_steps) grid_barrier(arrived, t + 2);
    }
}

// (bin, neuron): spikes of all trials in the bins of a launch.
extern "C" __global__ void model_count(
    const uint32_t* raster, int64_t* counts, int n, int n_trials, int delay, int n_steps, int bin_steps) {
    const int words = (n + 31) / 32, bins = n_steps / bin_steps;
    for (int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; cell < (int64_t)bins * n; cell += (int64_t)gridDim.x * blockDim.x) {
        const int bin = cell / n, i = cell % n;
        int64_t total = 0;
        for (int b = 0; b < n_trials; ++b) {
            const uint32_t* row = raster + ((size_t)b * (delay + n_steps) + delay + (size_t)bin * bin_steps) * words + i / 32;
            for (int t = 0; t < bin_steps; ++t) total += row[(size_t)t * words] >> (i % 32) & 1;
        }
        counts[cell] += total;
    }
}
