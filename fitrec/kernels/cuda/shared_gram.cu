// One Gram matrix of the traces of all presynaptic neurons, and the regressions of neurons that each take their block of it. Twin of
// kernels/cpu/shared_gram.py, which says in which order sums are taken.
#include "common.cuh"
#include "ridge.cuh"

#define PADDING 16  // matrices are padded to it, and triangles formed in blocks of 16 x 16

// Columns of samples, trial after trial; mirrors the NamedTuple of kernels/cuda/shared_gram.py.
struct Samples {
    const float* values;
    const int32_t* index;  // of each column, or null
    int64_t per_trial, per_sample, per_column;
    int32_t n;  // columns
};

__device__ __forceinline__ float sample(const Samples& x, int trial, int s, int i) {
    return x.values[trial * x.per_trial + s * x.per_sample + (x.index ? x.index[i] : i) * x.per_column];
}

// Add products of samples to out (left column, right column), or take them away; `upper`: only blocks on and above the diagonal. A
// tile of 64 x 64 per block and turn.
extern "C" __global__ void __launch_bounds__(BLOCK, 2) shared_products(
    const __grid_constant__ Samples left, const __grid_constant__ Samples right, float* out, int stride, int trials, int samples,
    int upper, int negative) {
    const int across = (right.n + TILE - 1) / TILE, tiles = (left.n + TILE - 1) / TILE * across;
    const int row = threadIdx.x / SIDE, column = threadIdx.x % SIDE;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int i = tile / across * TILE, j = tile % across * TILE;
        if (upper && i > j) continue;  // the whole block
        Sums total;
#pragma unroll
        for (int m = 0; m < PER; ++m)
#pragma unroll
            for (int k = 0; k < PER; ++k) {
                const int a = i + row + SIDE * m, b = j + column + SIDE * k;
                total.of[m][k] = a < left.n && b < right.n ? out[(int64_t)a * stride + b] : 0.0f;
            }
        float none = 0.0f;
        for (int trial = 0; trial < trials; ++trial)
            add_products<false>(
                total, none, min(TILE, left.n - i), min(TILE, right.n - j), samples, negative, false,
                [&](int a, int s) { return sample(left, trial, s, i + a); }, [&](int b, int s) { return sample(right, trial, s, j + b); },
                [&](int s) { return 0.0f; });
#pragma unroll
        for (int m = 0; m < PER; ++m)
#pragma unroll
            for (int k = 0; k < PER; ++k) {
                const int a = i + row + SIDE * m, b = j + column + SIDE * k;
                if (a < left.n && b < right.n && !(upper && a / PADDING > b / PADDING)) out[(int64_t)a * stride + b] = total.of[m][k];
            }
    }
}

// Add the traces of trials, (trial, time, neuron), to the sum of those of the pool, (time, pool).
extern "C" __global__ void shared_sum(const float* traces, const int32_t* pool, double* sum, int trials, int n_bins, int n, int n_pool) {
    const int64_t size = (int64_t)n_bins * n_pool;
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < size; at += (int64_t)gridDim.x * blockDim.x) {
        double total = sum[at];
        for (int k = 0; k < trials; ++k) total += traces[((int64_t)k * n_bins + at / n_pool) * n + pool[at % n_pool]];
        sum[at] = total;
    }
}

// Divide and multiply; out may be x.
extern "C" __global__ void shared_scale(const float* x, float* out, int64_t n, float divisor, float factor) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        out[at] = x[at] / divisor * factor;
}

// Means over trials, also rounded, and these times a weight.
extern "C" __global__ void shared_mean(
    const double* sum, double* mean, float* rounded, float* weighted, int64_t n, double trials, float weight) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x) {
        mean[at] = sum[at] / trials;
        rounded[at] = (float)mean[at];
        weighted[at] = weight * rounded[at];
    }
}

// Products of mean traces, (sample, pool), and targets, (sample, neuron), the eliminated columns' taken away: out (neuron, input).
extern "C" __global__ void shared_moments(
    const double* mean, const float* reduction, const double* target, const float* reduced, const int32_t* inputs, float* out,
    int n_samples, int n_pool, int n, int n_inputs, int n_columns) {
    const int64_t size = (int64_t)n * n_inputs;
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < size; at += (int64_t)gridDim.x * blockDim.x) {
        const int64_t u = at / n_inputs, column = inputs[at];
        double total = 0.0;
        for (int s = 0; s < n_samples; ++s) total = fma(mean[(int64_t)s * n_pool + column], target[(int64_t)s * n + u], total);
        for (int k = 0; k < n_columns; ++k)
            total = fma(-(double)reduction[column * n_columns + k], (double)reduced[u * n_columns + k], total);
        out[at] = (float)total;
    }
}

// Weights (neuron, input) of all neurons from the Gram matrix of the pool and the moments (neuron, input); `together` consecutive neurons
// have the same inputs, and a block of 256 threads solves them. `scratch_is_shared`: what a block keeps fits into shared memory.
extern "C" __global__ void __launch_bounds__(BLOCK, 2) shared_solve(
    const float* gram, int stride, const float* moment, const __grid_constant__ Regressions z, int together, float* weights,
    float* global_scratch, int scratch_floats, int scratch_is_shared) {
    DYNAMIC_SHARED(float, shared);
    const int n = z.n_inputs;
    const Scratch scratch = divide(scratch_is_shared ? shared : global_scratch + (size_t)blockIdx.x * scratch_floats, n);
    for (int first = blockIdx.x * together; first < z.n_neurons; first += gridDim.x * together) {
        const int32_t* inputs = z.inputs + (size_t)first * n;
        const int last = min(first + together, z.n_neurons);
        for (int at = threadIdx.x; at < n * n; at += BLOCK) {
            const int i = at / n, j = at % n, a = inputs[i], b = inputs[j];
            if (i <= j) element(scratch, i, j) = gram[(int64_t)min(a, b) * stride + max(a, b)];
        }
        __syncthreads();
        for (int u = first; u < last; ++u)
            for (int i = threadIdx.x; i < n; i += BLOCK)
                weights[(size_t)u * n + i] = right_side(scratch, z.initial + (size_t)u * n, n, i, moment[(size_t)u * n + i]);
        __syncthreads();
        penalise(z, scratch);
        factor(scratch, n);
        for (int u = first; u < last; ++u) {
            for (int i = threadIdx.x; i < n; i += BLOCK) scratch.moment[i] = weights[(size_t)u * n + i];
            __syncthreads();
            substitute(scratch, n);
            for (int j = threadIdx.x; j < n; j += BLOCK)
                weights[(size_t)u * n + j] = z.initial[(size_t)u * n + j] + scratch.moment[j];
            __syncthreads();  // the next neuron, or pool, overwrites the scratch
        }
    }
}
