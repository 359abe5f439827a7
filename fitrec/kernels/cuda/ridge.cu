// Batch ridge: keeping traces, and every neuron's regression on them. Twin of kernels/cpu/ridge.py and kernels/cpu/trace_rows.py,
// which say in which order sums are taken.
//
// A block solves one neuron at a time. Its Gram matrix is formed in tiles of 64 x 64, 4 x 4 elements per thread, from samples that
// the block gathers into shared memory; each element is one thread's, so its sum has the CPU's order. The upper triangle stands in
// shared memory if it fits there, with the factor in its place.
#include "common.cuh"
#include "ridge.cuh"

#define LEVELS 65535.0f

// These structs mirror the NamedTuples of kernels/cuda/ridge.py.
struct Traces {
    const void* kept;          // (condition, pool, slot, time), 16-bit integers or float32
    const float* scale;        // (condition, pool, slot)
    const float* root_weight;  // (condition, used)
    int32_t n_conditions, n_pool, slots, used, n_bins, is_float;
};

struct Eliminated {
    const float* reduction;  // (pool, column)
    const float* moment;     // (neuron, column)
    int32_t n_columns;
};

// Sample s of neuron p of the pool, times the root of its trial's weight.
__device__ __forceinline__ float weighted_trace(const Traces& x, int c, int p, int s) {
    const int k = s / x.n_bins;
    const size_t row = (size_t)c * x.n_pool + p, at = row * x.slots * x.n_bins + s;
    const float value = x.is_float ? ((const float*)x.kept)[at] : (float)((const uint16_t*)x.kept)[at];
    return value * (x.scale[row * x.slots + k] * x.root_weight[c * x.used + k]);
}

// Gram matrix (upper triangle) and moments of neuron u.
__device__ __forceinline__ void normal_equations(
    const Traces& x, const Eliminated& e, const Regressions& z, int u, const Scratch& scratch) {
    const int n = z.n_inputs, row = threadIdx.x / SIDE, column = threadIdx.x % SIDE;
    const int32_t* inputs = z.inputs + (size_t)u * n;
    for (int i = 0; i < n; i += TILE)
        for (int j = i; j < n; j += TILE) {
            Sums total;
            clear(total);
            float moment = 0.0f;
            const int rows = min(TILE, n - i), columns = min(TILE, n - j);
            for (int c = 0; c < x.n_conditions; ++c)
                add_products<true>(
                    total, moment, rows, columns, x.used * x.n_bins, false, i == j,
                    [&](int a, int s) { return weighted_trace(x, c, inputs[i + a], s); },
                    [&](int b, int s) { return weighted_trace(x, c, inputs[j + b], s); },
                    [&](int s) {
                        const double root = x.root_weight[c * x.used + s / x.n_bins];
                        return (float)(root * z.target[((size_t)c * x.n_bins + s % x.n_bins) * z.n_neurons + u]);
                    });
            add_products<true>(
                total, moment, rows, columns, e.n_columns, true, i == j,
                [&](int a, int s) { return e.reduction[(size_t)inputs[i + a] * e.n_columns + s]; },
                [&](int b, int s) { return e.reduction[(size_t)inputs[j + b] * e.n_columns + s]; },
                [&](int s) { return e.moment[(size_t)u * e.n_columns + s]; });
#pragma unroll
            for (int m = 0; m < PER; ++m)
#pragma unroll
                for (int k = 0; k < PER; ++k) {
                    const int a = i + row + SIDE * m, b = j + column + SIDE * k;
                    if (a <= b && b < n) element(scratch, a, b) = total.of[m][k];
                }
            if (i == j && (int)threadIdx.x < rows) scratch.moment[i + threadIdx.x] = moment;
        }
}

// Weights (neuron, input) of all neurons. The block has 256 threads. `scratch_is_shared`: what a block keeps fits into shared memory.
extern "C" __global__ void __launch_bounds__(BLOCK, 2) ridge_solve(
    const __grid_constant__ Traces x, const __grid_constant__ Eliminated e, const __grid_constant__ Regressions z, float* weights,
    float* global_scratch, int scratch_floats, int scratch_is_shared) {
    DYNAMIC_SHARED(float, shared);
    const int n = z.n_inputs;
    const Scratch scratch = divide(scratch_is_shared ? shared : global_scratch + (size_t)blockIdx.x * scratch_floats, n);
    for (int u = blockIdx.x; u < z.n_neurons; u += gridDim.x) {
        normal_equations(x, e, z, u, scratch);
        __syncthreads();
        const float* initial = z.initial + (size_t)u * n;
        for (int i = threadIdx.x; i < n; i += BLOCK) scratch.moment[i] = right_side(scratch, initial, n, i, scratch.moment[i]);
        __syncthreads();
        penalise(z, scratch);
        factor(scratch, n);
        substitute(scratch, n);
        for (int j = threadIdx.x; j < n; j += BLOCK) weights[(size_t)u * n + j] = initial[j] + scratch.moment[j];
        __syncthreads();  // the next neuron overwrites the scratch
    }
}

// Products of the pool's traces in condition c and the weighted feed-forward traces, ff (sample, n_ff): cross (pool, n_ff). One tile
// of 64 x 64 per block and turn, 256 threads.
extern "C" __global__ void __launch_bounds__(BLOCK) ridge_cross(
    const __grid_constant__ Traces x, int c, const float* ff, float* cross, int n_ff) {
    const int across = (n_ff + TILE - 1) / TILE, tiles = (x.n_pool + TILE - 1) / TILE * across;
    const int row = threadIdx.x / SIDE, column = threadIdx.x % SIDE;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int i = tile / across * TILE, j = tile % across * TILE;
        Sums total;
        clear(total);
        float none = 0.0f;
        add_products<true>(
            total, none, min(TILE, x.n_pool - i), min(TILE, n_ff - j), x.used * x.n_bins, false, false,
            [&](int a, int s) { return weighted_trace(x, c, i + a, s); },
            [&](int b, int s) { return ff[(size_t)s * n_ff + j + b]; }, [&](int s) { return 0.0f; });
#pragma unroll
        for (int m = 0; m < PER; ++m)
#pragma unroll
            for (int k = 0; k < PER; ++k) {
                const int a = i + row + SIDE * m, b = j + column + SIDE * k;
                if (a < x.n_pool && b < n_ff) cross[(size_t)a * n_ff + b] = total.of[m][k];
            }
    }
}

// Keep the traces of one trial, trace (time, all neurons), in slot `slot` of condition c; energy (pool,) gets each sum of squares.
// A warp takes 32 neurons of the pool; 256 threads per block.
extern "C" __global__ void __launch_bounds__(BLOCK) ridge_keep(
    const float* trace, int n, const int32_t* pool, void* kept, float* scale, double* energy, int n_pool, int slots, int n_bins,
    int is_float, int c, int slot) {
    __shared__ float tiles[BLOCK / 32][32][33];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int first = (blockIdx.x * (BLOCK / 32) + warp) * 32; first < n_pool; first += gridDim.x * BLOCK) {
        const int p = first + lane;
        const float* own = trace + (p < n_pool ? pool[p] : 0);
        float largest = 0.0f;
        double squares = 0.0;
        for (int t = 0; t < n_bins && p < n_pool; ++t) {
            const float x = own[(size_t)t * n];
            largest = fmaxf(largest, x);
            squares += (double)x * x;
        }
        const float per_step = is_float ? 1.0f : largest > 0 ? LEVELS / largest : 0.0f;
        if (p < n_pool) {
            energy[p] = squares;
            scale[((size_t)c * n_pool + p) * slots + slot] = is_float ? 1.0f : largest / LEVELS;
        }
        for (int start = 0; start < n_bins; start += 32) {
            const int length = min(32, n_bins - start);
            for (int t = 0; t < length; ++t) {
                const float x = own[(size_t)(start + t) * n];
                tiles[warp][lane][t] = is_float ? x : rintf(x * per_step);
            }
            __syncwarp();
            for (int i = 0; i < 32 && first + i < n_pool; ++i)
                if (lane < length) {
                    const size_t at = (((size_t)c * n_pool + first + i) * slots + slot) * n_bins + start + lane;
                    const float x = tiles[warp][i][lane];
                    if (is_float) ((float*)kept)[at] = x;
                    else ((uint16_t*)kept)[at] = (uint16_t)x;
                }
            __syncwarp();
        }
    }
}

// Average the kept traces of condition c over the trials in the first slots, in their order, by the share of each; mean (time, pool).
// A warp takes 32 times of a neuron.
extern "C" __global__ void __launch_bounds__(BLOCK) ridge_average(Traces x, int c, const float* share, int trials, float* mean) {
    const int lane = threadIdx.x % 32, per_row = (x.n_bins + 31) / 32;
    const int64_t warps = (int64_t)gridDim.x * (BLOCK / 32);
    for (int64_t w = blockIdx.x * (int64_t)(BLOCK / 32) + threadIdx.x / 32; w < (int64_t)x.n_pool * per_row; w += warps) {
        const int p = (int)(w / per_row), t = (int)(w % per_row) * 32 + lane;
        if (t >= x.n_bins) continue;
        const size_t row = (size_t)c * x.n_pool + p;
        float total = 0.0f;
        for (int k = 0; k < trials; ++k) {
            const size_t at = (row * x.slots + k) * x.n_bins + t;
            const float value = x.is_float ? ((const float*)x.kept)[at] : (float)((const uint16_t*)x.kept)[at];
            total = fmaf(value, x.scale[row * x.slots + k] * share[k], total);
        }
        mean[(size_t)t * x.n_pool + p] = total;
    }
}
