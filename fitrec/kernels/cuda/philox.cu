// The random numbers on their own, for the tests of the generator and of what compiles it.
#include "philox.cuh"

// words (n, 4): those of the counters (n, 4) under one key.
extern "C" __global__ void philox_words(const uint32_t* counters, uint32_t* words, int n, uint32_t seed, uint32_t stream) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const uint32_t* c = counters + 4 * i;
        const Words x = philox(c[0], c[1], c[2], c[3], seed, stream);
        words[4 * i] = x.x0;
        words[4 * i + 1] = x.x1;
        words[4 * i + 2] = x.x2;
        words[4 * i + 3] = x.x3;
    }
}

// out[i]: normal deviate of the counter (i, c1, c2, c3).
extern "C" __global__ void fill_normal(float* out, int n, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t seed, uint32_t stream) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        out[i] = normal(i, c1, c2, c3, seed, stream);
}

// out[i]: deviate of neuron i's membrane noise.
extern "C" __global__ void fill_membrane_deviates(float* out, int n, uint32_t step, uint32_t trial, uint32_t condition, uint32_t seed) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        out[i] = membrane_deviate(i, step, trial, condition, seed);
}
