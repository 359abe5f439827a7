// What the code of compiled neuron models is made of: one rounding per operation, as in kernels/cpu/simd_math.py, and the structs it
// works on. The generated text in front defines Real and the sizes (N_STATES, ...).
#pragma once
#include "arithmetic.cuh"
#include "philox.cuh"
#include "spikes.cuh"
#include "sums.cuh"

__device__ __forceinline__ Real flag(bool set) { return set ? Real(1) : Real(0); }
__device__ __forceinline__ Real choose(Real flag, Real yes, Real no) { return flag != Real(0) ? yes : no; }

// The sum that has arrived, which becomes 0.
__device__ __forceinline__ Real take_fixed(int64_t* sum, Real scale) {
    const int64_t value = *sum;
    if (value != 0) *sum = 0;
    return (Real)value * scale;
}

// Constants that all neurons share.
struct Scalars {
    Real k[N_SCALARS];
};

// The structs below mirror NamedTuples of kernels/cuda/model.py. Arrays per neuron are padded to `width`, as on the CPU.
struct Parameters {
    const Real* vectors;  // (constant that differs between neurons, width)
    const Real* noise;    // (width,)
    Real scale, one;      // value of a unit of the sums that arrive, and the reverse
    int32_t noisy;
    int32_t n, width, n_sources, n_trials, delay;
};

struct Wiring {
    const int64_t* static_indptr;
    const int32_t* static_target;  // port * width + neuron
    const int64_t* static_fixed;
    const int64_t* plastic_indptr;
    const int32_t* plastic_target;
    const Real* plastic_weight;
};

struct State {
    Real *states, *filters;  // (trial, state or align_pre port, width)
    Real *last, *wait;       // (trial, width)
    int64_t* arriving;       // (parity of the step, trial, port, width), all 0 between launches
};

// One trial's part of a State.
struct Cells {
    Real *states, *filters, *last, *wait;
    int64_t* arriving;
};
