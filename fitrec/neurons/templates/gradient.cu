// Gradients from the trials of a compiled model: behind the text of loop.cu, twins of the other loops of loop.py, which says what is
// computed; here, in back.cu and in traces.cu is how the work is laid out.
//
// Neurons go forward or back on their own, some steps at a time, with what changes in registers. Then each row of synapses, a
// warp's work, reads from its source's column of the raster when spikes arrived, and adds up what they were worth, latest first.
//
// This part is what they share: learning signals, arrivals, sums over trials.

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
