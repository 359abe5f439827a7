// What every CUDA file of this folder may use. The files compile for a device, and for the CPU through tests/cuda/host.
#pragma once

#ifndef CUDA_ON_HOST
typedef short int16_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef unsigned char uint8_t;
typedef int int32_t;
typedef long long int64_t;

#define DYNAMIC_SHARED(T, name) extern __shared__ __align__(16) unsigned char name##_bytes[]; T* name = reinterpret_cast<T*>(name##_bytes)

// Called in loops that wait for other blocks.
__device__ __forceinline__ void spin_wait() {}

// Counts one more; what the calling thread has written, or seen written, is written for whoever acquires the count.
__device__ __forceinline__ void release_one(unsigned* count) {
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(__cvta_generic_to_global(count)) : "memory");
}

__device__ __forceinline__ unsigned acquire(const unsigned* count) {
    unsigned value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(__cvta_generic_to_global(count)) : "memory");
    return value;
}
#endif

constexpr unsigned FULL_WARP = 0xffffffffu;

// Barrier over all blocks of a cooperative launch. `arrived` starts at zero; `round` counts this thread's barriers, from 1. What any
// thread wrote before the barrier is seen by every thread after it: thread 0 releases and acquires for its block (memory model of PTX,
// causality order through bar.sync), as in CUDA's cooperative groups. A __threadfence() here would be a stronger fence than that takes,
// and with one anywhere in a kernel ptxas makes all its atomic additions return their old values.
__device__ __forceinline__ void grid_barrier(unsigned* arrived, unsigned round) {
    __syncthreads();
    if (threadIdx.x == 0) {
        const unsigned wanted = round * gridDim.x;
        release_one(arrived);
        while ((int)(acquire(arrived) - wanted) < 0) spin_wait();
    }
    __syncthreads();
}

// Adds a fixed-point number. CUDA has no 64-bit signed addition; two's complement makes the unsigned one right.
__device__ __forceinline__ void add_fixed(int64_t* sum, int64_t value) {
    atomicAdd((unsigned long long*)sum, (unsigned long long)value);
}
