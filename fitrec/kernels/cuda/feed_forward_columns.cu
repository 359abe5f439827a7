// Feed-forward columns of the ridge problems: twin of kernels/cpu/feed_forward_columns.py. A tile of 64 x 64 per block and turn.
#include "common.cuh"
#include "products.cuh"

// Columns of out (pool, width), from `column` on: cross (pool, ff) times the transpose of half (ff, ff).
extern "C" __global__ void __launch_bounds__(PRODUCT_BLOCK, 2) columns_reduce(
    const float* cross, const double* half, float* out, int n_pool, int n_ff, int width, int column) {
    multiply<true>(
        n_pool, n_ff, n_ff, [&](int i, int k) { return (double)cross[(int64_t)i * n_ff + k]; },
        [&](int j, int k) { return half[(int64_t)j * n_ff + k]; },
        [&](int i, int j, double x) { out[(int64_t)i * width + column + j] = (float)x; });
}

// Columns of out (neuron, width), from `column` on: half_mean (ff, time) times target (time, neuron).
extern "C" __global__ void __launch_bounds__(PRODUCT_BLOCK, 2) columns_moment(
    const double* target, const double* half_mean, float* out, int n_time, int n, int n_ff, int width, int column) {
    multiply<false>(
        n_ff, n, n_time, [&](int i, int t) { return half_mean[(int64_t)i * n_time + t]; },
        [&](int j, int t) { return target[(int64_t)t * n + j]; },
        [&](int i, int j, double x) { out[(int64_t)j * width + column + i] = (float)x; });
}

// Products of each neuron's plastic drive with the feed-forward traces, (neuron, ff), its inputs in their order.
extern "C" __global__ void columns_drive(
    const float* cross, const int32_t* inputs, const float* plastic, double* out, int n, int n_inputs, int n_ff) {
    const int64_t size = (int64_t)n * n_ff;
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < size; at += (int64_t)gridDim.x * blockDim.x) {
        const int64_t first = at / n_ff * n_inputs;
        double total = 0.0;
        for (int j = 0; j < n_inputs; ++j)
            total = fma((double)plastic[first + j], (double)cross[(int64_t)inputs[first + j] * n_ff + at % n_ff], total);
        out[at] = total;
    }
}

// Feed-forward weights, (neuron, ff): matrix (ff, time + ff) times target (time, neuron) and, below it, the products of columns_drive.
extern "C" __global__ void __launch_bounds__(PRODUCT_BLOCK, 2) columns_weights(
    const double* target, const double* drive, const double* matrix, float* out, int n_time, int n, int n_ff) {
    const int depth = n_time + n_ff;
    multiply<false>(
        n_ff, n, depth, [&](int i, int k) { return matrix[(int64_t)i * depth + k]; },
        [&](int j, int k) { return k < n_time ? target[(int64_t)k * n + j] : drive[(int64_t)j * n_ff + k - n_time]; },
        [&](int i, int j, double x) { out[(int64_t)j * n_ff + i] = (float)x; });
}
