// Eligibility vectors of synapses that are touched only now and then: behind the text of gradient.cu, twin of `map_stretch` in loop.py
// and of kernels/cpu/eligibility*.py, which say what is computed; here is how the work is laid out.
//
// Maps are a thread's work each: one neuron, one slot, one column. Sources are a warp's.

#define STRETCH_WORDS 2  // of 32 steps: a stretch has no more
#define NEVER -1

// Names are those of kernels/cpu/eligibility.py, `followed` that of its rows' numbers; all arrays but the last five begin with a trial.
struct Eligibility {
    Real* rows;        // (slot, followed, followed, width)
    Real* filters;     // (slot, align_pre port, followed, width)
    Real* vectors;     // (followed, synapse)
    Real* of_source;   // (align_pre port, source)
    int64_t* touched;  // (source,)
    int64_t* quiet;    // (source,)
    const int64_t* filtered;
    const int64_t* followed;
    const bool* depends;
    const bool* driven;
    const Real* decay;  // (slot, align_pre port), at the beginning of the stretch, then at its end
    int32_t slots, size;
};

// A stretch of a window.
struct Stretch {
    Real* map;          // (trial, followed, N_ROWS, width)
    Real* by_filter;    // (trial, followed, align_pre port, width)
    Real* arriving;     // (trial, followed, step, port, width)
    const Real* left;   // (align_pre port, step + 1)
    int64_t now;        // at its end
    int32_t low, high;  // within the window
};

// What eligibility is worth by the time of its last touch.
struct Worth {
    Real* of_rows;     // (trial, slot + 1, followed, width)
    Real* of_filters;  // (trial, slot + 1, align_pre port, width)
    int64_t now, cutoff;
};

extern "C" __global__ void __launch_bounds__(256, 2) model_map_stretch(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, const Real* tape, int n_steps,
    const __grid_constant__ Eligibility e, const __grid_constant__ Stretch s) {
    const int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int i = cell % m.n, r = cell / m.n % e.size, b = cell / m.n / e.size;
    if (b >= m.n_trials) return;
    Real l[N_ROWS], y[N_FILTERS + 1], q[N_TRAINABLE + 1];
    for (int k = 0; k < N_ROWS; ++k) l[k] = flag(k == (int)e.followed[r]);
    for (int k = 0; k <= N_FILTERS; ++k) y[k] = 0;
    for (int k = 0; k <= N_TRAINABLE; ++k) q[k] = 0;
    const size_t own = (size_t)b * e.size + r;
    Real* arriving = s.arriving + own * (s.high - s.low) * N_PORTS * m.width;
    for (int t = s.high - 1; t >= s.low; --t)
        adjoint(
            c, m, tape + ((size_t)b * n_steps + t) * N_KEPT * m.width, i, l, y, q,
            arriving + (size_t)(t - s.low) * N_PORTS * m.width);
    for (int k = 0; k < N_ROWS; ++k) s.map[(own * N_ROWS + k) * m.width + i] = l[k];
    for (int k = 0; k < N_FILTERS; ++k)
        s.by_filter[(own * N_FILTERS + k) * m.width + i] = s.left[k * (s.high - s.low + 1) + 1] * y[k];
}

extern "C" __global__ void __launch_bounds__(256, 2) model_extend_maps(
    const __grid_constant__ Parameters m, const __grid_constant__ Eligibility e, const __grid_constant__ Stretch s) {
    const int columns = e.size + N_FILTERS, slot_of_last = (s.now - 1) % e.slots;
    const int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int i = cell % m.n, column = cell / m.n % columns, slot = cell / m.n / columns % e.slots;
    const int b = cell / m.n / columns / e.slots, f = column - e.size;
    if (b >= m.n_trials) return;
    // Element r of the column is first[r * stride].
    const size_t place = (size_t)b * e.slots + slot, stride = (size_t)(f >= 0 ? 1 : e.size) * m.width;
    Real* first = f >= 0 ? e.filters + (place * N_FILTERS + f) * e.size * m.width + i
                         : e.rows + (place * e.size * e.size + column) * m.width + i;
    const Real* map = s.map + (size_t)b * e.size * N_ROWS * m.width + i;
    const Real* by_filter = s.by_filter + ((size_t)b * e.size * N_FILTERS + max(f, 0)) * m.width + i;
    Real before[N_ROWS];
#pragma unroll
    for (int k = 0; k < N_ROWS; ++k) before[k] = k < e.size ? first[k * stride] : Real(0);
    for (int r = 0; r < e.size; ++r) {
        Real now = 0;
        if (slot == slot_of_last) {
            now = f >= 0 ? by_filter[(size_t)r * N_FILTERS * m.width] : map[((size_t)r * N_ROWS + e.followed[column]) * m.width];
        } else {
#pragma unroll
            for (int k = 0; k < N_ROWS; ++k)
                if (k < e.size && e.depends[r * e.size + k])
                    now = mul_add(map[((size_t)r * N_ROWS + e.followed[k]) * m.width], before[k], now);
            if (f >= 0) now = mul_add(e.decay[slot * N_FILTERS + f], by_filter[(size_t)r * N_FILTERS * m.width], now);
        }
        first[r * stride] = now;
    }
}

// Arrivals from one source in a stretch: those of a neuron as bits, those of an input as steps of the window from `begin` to `end`.
struct Came {
    unsigned bits[STRETCH_WORDS];
    const int32_t *begin, *end;
};

// To be asked for by all lanes of a warp.
__device__ __forceinline__ Came came_from(
    const Parameters& m, const Arrivals& arrivals, const Stretch& s, int n_steps, int b, int source, int lane) {
    Came came = {{0, 0}, nullptr, nullptr};
    if (source < m.n) {
        const int words = words_of(m);
        const uint32_t* column = arrivals.raster + (size_t)b * (m.delay + n_steps) * words + source / 32;
#pragma unroll
        for (int word = 0; word < STRETCH_WORDS; ++word) {
            const int t = s.low + 32 * word + lane;
            came.bits[word] = __ballot_sync(FULL_WARP, t < s.high && (column[(size_t)t * words] >> (source % 32) & 1));
        }
    } else {
        const int64_t* indptr = arrivals.indptr + (size_t)b * (m.n_sources - m.n + 1) + (source - m.n);
        came.begin = arrivals.step + indptr[0];
        came.end = arrivals.step + indptr[1];
        while (came.begin < came.end && *came.begin < s.low) ++came.begin;
        while (came.begin < came.end && came.end[-1] >= s.high) --came.end;
    }
    return came;
}

// Call use(step since the stretch's beginning) for all arrivals, latest first.
template <class Use>
__device__ __forceinline__ void latest_first(const Came& came, int low, Use use) {
#pragma unroll
    for (int word = STRETCH_WORDS - 1; word >= 0; --word)
        for (unsigned left = came.bits[word]; left != 0;) {
            const int last = 31 - __clz(left);
            left ^= 1u << last;
            use(32 * word + last);
        }
    for (const int32_t* step = came.end; step > came.begin;) use(*--step - low);
}

// The same, earliest first.
template <class Use>
__device__ __forceinline__ void earliest_first(const Came& came, int low, Use use) {
#pragma unroll
    for (int word = 0; word < STRETCH_WORDS; ++word)
        for (unsigned left = came.bits[word]; left != 0; left &= left - 1) use(32 * word + __ffs(left) - 1);
    for (const int32_t* step = came.begin; step < came.end; ++step) use(*step - low);
}

extern "C" __global__ void __launch_bounds__(256, 2) model_touch(
    const __grid_constant__ Parameters m, const __grid_constant__ Wiring w, const __grid_constant__ Arrivals arrivals, int n_steps,
    const __grid_constant__ Eligibility e, const __grid_constant__ Stretch s) {
    const int64_t warp = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) / 32;
    const int b = warp / m.n_sources, source = warp - (int64_t)b * m.n_sources, lane = threadIdx.x % 32, steps = s.high - s.low;
    if (b >= m.n_trials) return;
    const Came came = came_from(m, arrivals, s, n_steps, b, source, lane);
    const int64_t synapses = w.plastic_indptr[m.n_sources], before = e.touched[warp];
    int64_t quiet = e.quiet[warp] + steps;
    bool any = false;
    earliest_first(came, s.low, [&](int t) { any = true, quiet = steps - 1 - t; });
    __syncwarp();  // all lanes have read what one of them writes
    if (lane == 0) e.quiet[warp] = quiet;
    const int64_t begin = w.plastic_indptr[source], end = w.plastic_indptr[source + 1];
    if (begin == end || (!any && (before == NEVER || s.now - before < e.slots))) return;
    const int slot = before == NEVER ? 0 : before % e.slots;
    const size_t place = (size_t)b * e.slots + slot;
    for (int64_t k = begin + lane; k < end; k += 32) {
        const int target = w.plastic_target[k], port = target / m.width, i = target - port * m.width;
        Real *own = e.vectors + (size_t)b * e.size * synapses + k, old[N_ROWS];
#pragma unroll
        for (int r = 0; r < N_ROWS; ++r) old[r] = r < e.size ? own[(size_t)r * synapses] : Real(0);
        for (int r = 0; r < e.size; ++r) {
            if (!e.driven[port * e.size + r]) continue;
            const Real* worth = s.arriving + ((size_t)b * e.size + r) * steps * N_PORTS * m.width + target;
            Real now = 0;
            latest_first(came, s.low, [&](int t) { now += worth[(size_t)t * N_PORTS * m.width]; });
            if (before != NEVER) {
                const Real* row = e.rows + (place * e.size + r) * e.size * m.width + i;
#pragma unroll
                for (int q = 0; q < N_ROWS; ++q)
                    if (q < e.size && e.depends[r * e.size + q] && e.driven[port * e.size + q])
                        now = mul_add(row[(size_t)q * m.width], old[q], now);
                for (int f = 0; f < N_FILTERS; ++f)
                    if (e.filtered[f] == port)
                        now = mul_add(
                            e.filters[((place * N_FILTERS + f) * e.size + r) * m.width + i],
                            e.of_source[((size_t)b * N_FILTERS + f) * m.n_sources + source], now);
            }
            own[(size_t)r * synapses] = now;
        }
    }
    __syncwarp();
    if (lane != 0) return;
    for (int f = 0; f < N_FILTERS; ++f) {
        Real* filter = e.of_source + ((size_t)b * N_FILTERS + f) * m.n_sources + source;
        Real value = before == NEVER ? *filter : e.decay[slot * N_FILTERS + f] * *filter;
        earliest_first(came, s.low, [&](int t) { value += s.left[f * (steps + 1) + steps - 1 - t]; });
        *filter = value;
    }
    e.touched[warp] = s.now;
}

extern "C" __global__ void __launch_bounds__(256, 2) model_weigh_maps(
    const __grid_constant__ Parameters m, const __grid_constant__ Signals signals, const __grid_constant__ Eligibility e,
    const __grid_constant__ Worth worth) {
    const int columns = e.size + N_FILTERS;
    const int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int i = cell % m.n, column = cell / m.n % columns, slot = cell / m.n / columns % (e.slots + 1);
    const int b = cell / m.n / columns / (e.slots + 1), f = column - e.size;
    if (b >= m.n_trials) return;
    const size_t place = (size_t)b * e.slots + slot;
    Real total = 0;
    for (int r = 0; r < e.size; ++r) {
        for (int q = 0; q < signals.n_rows; ++q) {
            if (e.followed[r] != signals.rows[q]) continue;
            const Real signal = signals.states[b * signals.states_stride + (size_t)q * m.width + i];
            if (slot == e.slots)
                total = r == column ? signal : total;
            else if (f >= 0)
                total = mul_add(signal, e.filters[((place * N_FILTERS + f) * e.size + r) * m.width + i], total);
            else if (e.depends[r * e.size + column])
                total = mul_add(signal, e.rows[((place * e.size + r) * e.size + column) * m.width + i], total);
        }
    }
    const size_t to = (size_t)b * (e.slots + 1) + slot;
    if (f >= 0)
        worth.of_filters[(to * N_FILTERS + f) * m.width + i] = total;
    else
        worth.of_rows[(to * e.size + column) * m.width + i] = total;
}

extern "C" __global__ void __launch_bounds__(256, 2) model_weigh_sources(
    const __grid_constant__ Parameters m, const __grid_constant__ Wiring w, const __grid_constant__ Eligibility e,
    const __grid_constant__ Worth worth, Real* gradient) {
    const int64_t warp = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) / 32;
    const int b = warp / m.n_sources, source = warp - (int64_t)b * m.n_sources;
    if (b >= m.n_trials) return;
    const int64_t synapses = w.plastic_indptr[m.n_sources], touched = e.touched[warp];
    if (touched == NEVER || e.quiet[warp] >= worth.cutoff) return;
    const size_t place = (size_t)b * (e.slots + 1) + (touched == worth.now ? e.slots : touched % e.slots);
    for (int64_t k = w.plastic_indptr[source] + threadIdx.x % 32; k < w.plastic_indptr[source + 1]; k += 32) {
        const int target = w.plastic_target[k], port = target / m.width, i = target - port * m.width;
        const Real* own = e.vectors + (size_t)b * e.size * synapses + k;
        Real total = gradient[b * synapses + k];
        for (int c = 0; c < e.size; ++c)
            if (e.driven[port * e.size + c])
                total = mul_add(worth.of_rows[(place * e.size + c) * m.width + i], own[(size_t)c * synapses], total);
        for (int f = 0; f < N_FILTERS; ++f)
            if (e.filtered[f] == port)
                total = mul_add(
                    worth.of_filters[(place * N_FILTERS + f) * m.width + i],
                    e.of_source[((size_t)b * N_FILTERS + f) * m.n_sources + source], total);
        gradient[b * synapses + k] = total;
    }
}
