// What the event-driven and the dense forms of recursive least squares share: state, dot products, the step of the weights.
#pragma once
#include "common.cuh"
#include "sums.cuh"

#define MAX_BLOCK 256

// These structs mirror the NamedTuples of kernels/cuda/rls.py.
struct State {
    void* p;         // full: (pool, input, width) float; packed: (pool, packed_size) float; (pool, input, width) int16
    float* scale;    // (pool, width), for 16 bits
    float* weights;  // (neuron, width)
    float* q;        // (pool, width)
    float* g;        // (pool, width / 16, rank, 16)
    float* h;        // (pool, rank)
};

struct Signals {
    const int32_t* pre;            // (pool, input - ff)
    const float *trace, *delta;    // (all neurons,)
    const float *ff_trace, *ff_delta;
    const float* bias;             // (neuron,)
};

struct Sizes {
    int32_t n_pools, n_neurons, n_inputs, n_ff, width, rank;
    int32_t pool_size, dale, first_exc, first_inh;
    int32_t scratch_is_shared, g_is_shared, packed_size, half_flush;
};

__device__ __forceinline__ bool finite(float x) { return fabsf(x) <= 0x1.fffffep127f; }

// Sum of a[j] b[j], the same in all lanes of the warp.
__device__ __forceinline__ float dot(const float* a, const float* b, int width) {
    float sum = 0.0f;
    for (int j = threadIdx.x % 32; j < width; j += 32) sum = fmaf(a[j], b[j], sum);
    return sum_of_lanes(sum);
}

// The earliest update, and in it the first neuron, that went wrong.
__device__ __forceinline__ void report(uint64_t* bad, unsigned update, int neuron) {
    atomicMin((unsigned long long*)bad, (unsigned long long)update << 32 | (unsigned)neuron);
}

// Learn, a neuron of the pool per warp: w <- w - c e k, then the projection of Dale's law.
__device__ __forceinline__ void update_weights(
    const State& state, const Signals& signals, const Sizes& z, int pool, const float* r, const float* k, float c, unsigned update,
    uint64_t* bad) {
    const int lane = threadIdx.x % 32, end = min((pool + 1) * z.pool_size, z.n_neurons);
    for (int neuron = pool * z.pool_size + threadIdx.x / 32; neuron < end; neuron += blockDim.x / 32) {
        float* weights = state.weights + (size_t)neuron * z.width;
        const float e = dot(weights, r, z.width) + signals.bias[neuron];
        if (!finite(e)) {
            if (lane == 0) report(bad, update, neuron);
            continue;
        }
        const float factor = -c * e;
        for (int j = lane; j < z.width; j += 32) {
            float w = fmaf(factor, k[j], weights[j]);
            if (z.dale && z.first_exc <= j && j < z.first_inh) w = w < 0 ? 0.0f : w;
            if (z.dale && z.first_inh <= j && j < z.n_inputs) w = w > 0 ? 0.0f : w;
            weights[j] = w;
        }
    }
}
