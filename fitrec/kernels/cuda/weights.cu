// Weights on the device: in fixed point, as the time loop delivers them, and whether they are all finite.
#include "common.cuh"

__device__ __forceinline__ int64_t fixed_point(float weight) { return (int64_t)rint((double)weight * 0x1p32); }

// fixed[s]: plastic synapse s, which is input slot[s] of trained neuron row[s]; weights (neuron, width) begin with `first` others.
extern "C" __global__ void weights_fix_plastic(
    const float* weights, const int32_t* row, const int32_t* slot, int64_t* fixed, int64_t n, int width, int first) {
    for (int64_t s = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; s < n; s += (int64_t)gridDim.x * blockDim.x)
        fixed[s] = fixed_point(weights[(int64_t)row[s] * width + first + slot[s]]);
}

// fixed (ff, neuron) from the first n_ff columns of weights (neuron, width).
extern "C" __global__ void weights_fix_feed_forward(const float* weights, int64_t* fixed, int n_ff, int n_neurons, int width) {
    const int64_t n = (int64_t)n_ff * n_neurons;
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        fixed[at] = fixed_point(weights[at % n_neurons * width + at / n_neurons]);
}

// Sets `found` to 1 if any of n weights is infinite or NaN.
extern "C" __global__ void weights_not_finite(const float* weights, int32_t* found, int64_t n) {
    bool bad = false;
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        bad |= !(fabsf(weights[at]) <= 0x1.fffffep127f);
    if (bad) atomicMax(found, 1);
}
