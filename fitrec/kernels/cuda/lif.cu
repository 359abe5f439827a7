// The time loop of leaky integrate-and-fire networks: one cooperative launch runs many steps of many trials, without the host.
// Twin of kernels/cpu/lif.py, which says what each step does; here is how the work is laid out.
//
// An item is a neuron or a feed-forward unit of one trial. The items of each trial are cut into tiles of one block's size; a tile
// belongs to the same block in every step, so an item's state is touched by one thread only. Once a tile is updated its spikes are
// listed in shared memory and the block delivers them at once, into the input buffers of the next step: there are two sets of
// buffers, by parity of the step, so that a step needs only one barrier over the grid. Sums are integers, hence have no order.
#include "philox.cuh"
#include "spikes.cuh"

// These structs mirror NamedTuples: Membrane and Constants of kernels/cpu/lif.py, the others of kernels/cuda/lif.py.
struct Membrane {
    float decay_v, gain_x, gain_s, gain_p, threshold, reset, noise;
    int32_t refractory_steps;
};

struct Constants {
    Membrane exc, inh;
    int64_t n_exc;
    float decay_s, charge_s, decay_p, charge_p;
    int64_t seed;
};

struct Procedural {
    int64_t degree;  // targets per neuron; 0: static synapses are stored
    const uint32_t* strata;
    const int64_t* fixed;  // (2, 2)
};

struct Wiring {
    Procedural procedural;
    const int64_t* static_indptr;
    const void* static_indices;
    const int64_t *run_indptr, *run_end, *run_fixed;  // with by_synapse, run_fixed has the weight of each synapse
    const int64_t* plastic_indptr;
    const void* plastic_indices;
    const int64_t* plastic_fixed;
    const int32_t* trained;
    const int64_t* ff_fixed;  // (ff, trained)
};

struct Sizes {
    int32_t n, n_ff, n_trained, n_trials;
    int32_t wide;        // indices are 32 bits wide, not 16
    int32_t by_synapse;  // static weights stand per synapse
};

struct State {
    float *v, *u_static, *u_plastic;      // (trial, neuron)
    int64_t *in_static, *in_plastic;      // (parity, trial, neuron)
    int32_t* refractory;                  // (trial, neuron)
    float *trace, *ff_trace;              // (trial, neuron), (trial, ff)
    uint8_t* fired;                       // (trial, neuron + ff): whether it fired in the last step before this launch
    float *stimulus, *sample_sum;         // (trial, neuron)
};

struct Inputs {
    const uint32_t* trials;  // (trial,) counters
    uint32_t condition;
    const float* drive;      // (neuron,)
    const float* forced;     // (chunk, trained)
    const int32_t* slot;     // (neuron,) position among the trained neurons, or -1
    int32_t is_forced;
    float own;
    int32_t stimulus_start, stimulus_steps;
    float stimulus_decay, stimulus_noise;
    const float* ff_probability;  // (ms, ff)
    int32_t ff_start, steps_per_ms;
};

struct Span {
    int32_t step, n_chunks, chunk_steps;
    float chunk_decay;         // decay of the traces over a chunk
    const float* trace_power;  // (>= chunk_steps + 1,)
};

struct Output {
    uint16_t* counts;                          // (trial, chunk, neuron)
    float *traces, *ff_traces, *static_current;  // (trial, chunk, neuron or ff)
    uint64_t *spikes, *n_spikes;               // (trial, capacity): step << 32 | neuron; (trial,)
    int64_t capacity;
    int32_t with_counts, with_traces, sample_every;
};

// Where a step stands in its chunk.
struct Moment {
    int32_t now, chunk, t;
    bool first, last, sampled;  // whether the static current is sampled
    float mark;  // what a spike in this step adds to the trace read at the chunk's end
};

__device__ __forceinline__ void begin_trace(float& trace, bool fired, const Span& span) {
    trace *= span.chunk_decay;
    if (fired) trace += span.trace_power[span.chunk_steps - 1];
}

// Advance neuron i of trial b by one step; returns whether it fired.
__device__ __forceinline__ bool update_neuron(
    const Constants& c, const Sizes& z, const State& s, const Inputs& in, const Span& span, const Output& out, const Moment& m,
    int b, int i) {
    const size_t at = (size_t)b * z.n + i, buffer = ((size_t)(m.now & 1) * z.n_trials + b) * z.n + i;
    const bool exc = i < c.n_exc;
    // All that a step always reads, before anything is written: the reads are under way together.
    float x = in.drive[i], v = s.v[at];
    const int64_t in_static = s.in_static[buffer], in_plastic = s.in_plastic[buffer];
    const float us_before = s.u_static[at], up_before = s.u_plastic[at];
    const int waiting = s.refractory[at];
    if (in.is_forced) {
        const int slot = in.slot[i];
        if (slot >= 0) x += in.forced[(size_t)m.chunk * z.n_trained + slot];
    }
    const int since = m.now - in.stimulus_start;
    if (0 <= since && since < in.stimulus_steps) {
        const float z_i = normal(i, since, in.condition, 0, c.seed, STREAM_STIMULUS);
        const float stimulus = in.stimulus_decay * s.stimulus[at] + in.stimulus_noise * z_i;
        s.stimulus[at] = stimulus;
        x += stimulus;
    }
    const float noise = exc ? c.exc.noise : c.inh.noise;
    if (noise > 0) v = fmaf(noise, membrane_deviate(i, m.now, in.trials[b], in.condition, c.seed), v);

    const float us = fmaf(c.decay_s, us_before, ((float)in_static * FROM_FIXED) * c.charge_s);
    const float up = fmaf(c.decay_p, up_before, ((float)in_plastic * FROM_FIXED) * c.charge_p);
    if (in_static != 0) s.in_static[buffer] = 0;
    if (in_plastic != 0) s.in_plastic[buffer] = 0;
    s.u_static[at] = us;
    s.u_plastic[at] = up;

    bool fires = false;
    if (waiting == 0) {
        const float gain_x = exc ? c.exc.gain_x : c.inh.gain_x, gain_s = exc ? c.exc.gain_s : c.inh.gain_s;
        const float gain_p = exc ? c.exc.gain_p : c.inh.gain_p, decay_v = exc ? c.exc.decay_v : c.inh.decay_v;
        v = fmaf(decay_v, v, fmaf(gain_x, x, fmaf(gain_s, us, gain_p * (in.own * up))));
        fires = v > (exc ? c.exc.threshold : c.inh.threshold);
    } else {
        s.refractory[at] = waiting - 1;
    }
    if (m.first) {
        begin_trace(s.trace[at], s.fired[(size_t)b * (z.n + z.n_ff) + i], span);
        s.sample_sum[at] = 0.0f;
    }
    if (m.sampled) s.sample_sum[at] += us;
    if (fires) {
        v = exc ? c.exc.reset : c.inh.reset;
        s.refractory[at] = exc ? c.exc.refractory_steps : c.inh.refractory_steps;
        s.trace[at] += m.mark;
        if (out.with_counts) out.counts[((size_t)b * span.n_chunks + m.chunk) * z.n + i] += 1;
        if (out.capacity > 0) {
            const uint64_t position = atomicAdd((unsigned long long*)&out.n_spikes[b], 1ull);
            if (position < (uint64_t)out.capacity) out.spikes[b * out.capacity + position] = (uint64_t)m.now << 32 | (uint32_t)i;
        }
    }
    s.v[at] = v;
    if (m.last) {
        s.fired[(size_t)b * (z.n + z.n_ff) + i] = fires;
        if (out.with_traces) {
            const size_t row = ((size_t)b * span.n_chunks + m.chunk) * z.n + i;
            out.traces[row] = s.trace[at];
            out.static_current[row] = s.sample_sum[at] / (float)(span.chunk_steps / out.sample_every);
        }
    }
    return fires;
}

// Draw feed-forward unit j of trial b; returns whether it fired.
__device__ __forceinline__ bool update_feed_forward(
    const Constants& c, const Sizes& z, const State& s, const Inputs& in, const Span& span, const Output& out, const Moment& m,
    int b, int j) {
    float& trace = s.ff_trace[(size_t)b * z.n_ff + j];
    uint8_t& fired = s.fired[(size_t)b * (z.n + z.n_ff) + z.n + j];
    if (m.first) begin_trace(trace, fired, span);
    const int ff_step = m.now - in.ff_start;
    bool fires = false;
    if (ff_step >= 0) {
        const Words words = philox(j, ff_step / 4, in.trials[b], in.condition, c.seed, STREAM_FEED_FORWARD);
        const int k = ff_step % 4;
        const uint32_t word = k == 0 ? words.x0 : k == 1 ? words.x1 : k == 2 ? words.x2 : words.x3;
        // 24 bits are exact in float32, so the comparison does not round.
        fires = (float)(word >> 8) * 0x1p-24f < in.ff_probability[(size_t)(ff_step / in.steps_per_ms) * z.n_ff + j];
    }
    if (fires) trace += m.mark;
    if (m.last) {
        fired = fires;
        if (out.with_traces) out.ff_traces[((size_t)b * span.n_chunks + m.chunk) * z.n_ff + j] = trace;
    }
    return fires;
}

template <class Index>
__device__ __forceinline__ void deliver_row(
    const Index* indices, const int64_t* fixed, int64_t start, int64_t end, int64_t* sums, Part part) {
    for (int64_t k = start + part.first; k < end; k += part.stride) add_fixed(&sums[indices[k]], fixed[k]);
}

// Draw the static targets of neuron i, one from each stratum of the circle of the others; see kernels/cpu/procedural.py.
__device__ __forceinline__ void deliver_procedural(
    const Procedural& p, const Constants& c, const Sizes& z, int i, int64_t* sums, Part part) {
    const int64_t* fixed = p.fixed + (i < c.n_exc ? 0 : 2);
    const int64_t weight_exc = fixed[0], weight_inh = fixed[1];
    for (int group = part.first; 4 * group < p.degree; group += part.stride) {
        const Words words = philox(i, group, 0, 0, c.seed, STREAM_PROCEDURAL_WIRING);
        uint32_t low = p.strata[4 * group];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            const uint32_t high = p.strata[4 * group + k + 1];
            const uint32_t word = k == 0 ? words.x0 : k == 1 ? words.x1 : k == 2 ? words.x2 : words.x3;
            uint32_t target = i + 1 + low + __umulhi(word, high - low);
            if (target >= (uint32_t)z.n) target -= z.n;
            if (4 * group + k < p.degree) add_fixed(&sums[target], target < c.n_exc ? weight_exc : weight_inh);
            low = high;
        }
    }
}

template <class Index>
__device__ __forceinline__ void deliver_spike(
    const Wiring& w, const Constants& c, const Sizes& z, int i, int64_t* in_static, int64_t* in_plastic, Part part) {
    const Index* indices = (const Index*)w.static_indices;
    int64_t start = w.static_indptr[i];
    const int64_t plastic = w.plastic_indptr[i], plastic_end = w.plastic_indptr[i + 1];  // not to be waited for later
    if (w.procedural.degree > 0) {
        deliver_procedural(w.procedural, c, z, i, in_static, part);
    } else if (z.by_synapse) {
        deliver_row(indices, w.run_fixed, start, w.static_indptr[i + 1], in_static, part);
    } else {
        for (int64_t run = w.run_indptr[i]; run < w.run_indptr[i + 1]; ++run) {
            const int64_t end = w.run_end[run], weight = w.run_fixed[run];
            for (int64_t k = start + part.first; k < end; k += part.stride) add_fixed(&in_static[indices[k]], weight);
            start = end;
        }
    }
    deliver_row((const Index*)w.plastic_indices, w.plastic_fixed, plastic, plastic_end, in_plastic, part);
}

// Deliver the spike of item i of one trial: a neuron's, or a feed-forward unit's.
__device__ __forceinline__ void deliver_item(
    const Wiring& w, const Constants& c, const Sizes& z, int i, int64_t* in_static, int64_t* in_plastic, Part part) {
    if (i >= z.n) {
        const int64_t* fixed = w.ff_fixed + (size_t)(i - z.n) * z.n_trained;
        for (int m = part.first; m < z.n_trained; m += part.stride) add_fixed(&in_plastic[w.trained[m]], fixed[m]);
    } else if (z.wide) {
        deliver_spike<uint32_t>(w, c, z, i, in_static, in_plastic, part);
    } else {
        deliver_spike<uint16_t>(w, c, z, i, in_static, in_plastic, part);
    }
}

// Run n_chunks of chunk_steps from absolute step `step` on. The block's size is a multiple of 32 and at most MAX_BLOCK; `arrived`
// is zero at the start.
extern "C" __global__ void __launch_bounds__(MAX_BLOCK) lif_run(
    const __grid_constant__ Constants c, const __grid_constant__ Wiring w, const __grid_constant__ Sizes z,
    const __grid_constant__ State s, const __grid_constant__ Inputs in, const __grid_constant__ Span span,
    const __grid_constant__ Output out, unsigned* arrived) {
    __shared__ SpikeList list;
    const int items = z.n + z.n_ff;
    const int tiles_per_trial = (items + blockDim.x - 1) / blockDim.x;
    const int tiles = tiles_per_trial * z.n_trials;
    const int steps = span.n_chunks * span.chunk_steps;
    for (int k = 0; k < steps; ++k) {
        const int t = k % span.chunk_steps;
        Moment m = {span.step + k, k / span.chunk_steps, t, t == 0, t == span.chunk_steps - 1, false, 0.0f};
        m.sampled = out.sample_every > 0 && m.now % out.sample_every == 0;
        if (!m.last) m.mark = span.trace_power[span.chunk_steps - 2 - t];
        for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
            const int b = tile / tiles_per_trial;
            const int i = (tile - b * tiles_per_trial) * blockDim.x + threadIdx.x;
            bool fires = false;
            if (i < z.n)
                fires = update_neuron(c, z, s, in, span, out, m, b, i);
            else if (i < items)
                fires = update_feed_forward(c, z, s, in, span, out, m, b, i - z.n);
            const int count = list_spikes(list, fires, __ballot_sync(FULL_WARP, fires), i);
            if (count == 0) continue;
            const size_t buffer = ((size_t)(~m.now & 1) * z.n_trials + b) * z.n;
            share_spikes(list, count, [&](int item, Part part) {
                deliver_item(w, c, z, item, s.in_static + buffer, s.in_plastic + buffer, part);
            });
        }
        if (k + 1 < steps) grid_barrier(arrived, k + 1);
    }
}

// Random initial voltages ~ N(reset, span^2), span = threshold - reset, the factors of E and I neurons apart.
extern "C" __global__ void lif_initial_voltage(
    float* v, const uint32_t* trials, int n, int n_trials, int64_t n_exc, uint32_t condition, uint32_t seed, float span_exc,
    float reset_exc, float span_inh, float reset_inh) {
    for (int b = 0; b < n_trials; ++b)
        for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
            const bool exc = i < n_exc;
            const float z = normal(i, trials[b], condition, 0, seed, STREAM_INITIAL_VOLTAGE);
            v[(size_t)b * n + i] = z * (exc ? span_exc : span_inh) + (exc ? reset_exc : reset_inh);
        }
}
