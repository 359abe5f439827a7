// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011), keyed by (seed, stream). Twin of kernels/cpu/philox.py.
#pragma once
#include "common.cuh"

struct Words {
    uint32_t x0, x1, x2, x3;
};

// Four 32-bit words for the counter (c0, c1, c2, c3) and the key (seed, stream).
__device__ __forceinline__ Words philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t seed, uint32_t stream) {
    Words x = {c0, c1, c2, c3};
    uint32_t k0 = seed, k1 = stream;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const uint32_t high0 = __umulhi(0xD2511F53u, x.x0), low0 = 0xD2511F53u * x.x0;
        const uint32_t high1 = __umulhi(0xCD9E8D57u, x.x2), low1 = 0xCD9E8D57u * x.x2;
        x = {high1 ^ x.x1 ^ k0, low1, high0 ^ x.x3 ^ k1, low0};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return x;
}

__device__ __forceinline__ int sum_of_halves(uint32_t word) { return (int)(word & 0xFFFFu) + (int)(word >> 16); }

// Normal deviate from one call: the scaled sum of its eight 16-bit words, which are exact integers.
__device__ __forceinline__ float normal(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t seed, uint32_t stream) {
    const Words x = philox(c0, c1, c2, c3, seed, stream);
    const int total = sum_of_halves(x.x0) + sum_of_halves(x.x1) + sum_of_halves(x.x2) + sum_of_halves(x.x3);
    return (float)(total - NORMAL_MEAN) * NORMAL_SCALE;
}

// Deviate of neuron i's membrane noise, as kernels/cpu/noise.py says: ones among 32 random bits. Each thread makes the call that three other
// neurons share: a thread per neuron needs no exchange, and arithmetic is not what a step waits for.
__device__ __forceinline__ float membrane_deviate(uint32_t i, uint32_t step, uint32_t trial, uint32_t condition, uint32_t seed) {
    const uint32_t place = i % (4 * NOISE_LANES), word = place / NOISE_LANES;
    const uint32_t call = i / (4 * NOISE_LANES) * NOISE_LANES + place % NOISE_LANES;
    const Words x = philox(call, step, trial, condition, seed, STREAM_MEMBRANE_NOISE);
    const uint32_t bits = word < 2 ? (word == 0 ? x.x0 : x.x1) : (word == 2 ? x.x2 : x.x3);
    return (float)(__popc(bits) - 16) * DEVIATE_SCALE;
}
