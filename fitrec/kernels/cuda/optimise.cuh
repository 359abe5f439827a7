// What all optimisers on the device share: twin of `adam` and of the plain bounds in kernels/cpu/optimise.py.
#pragma once
#include "arithmetic.cuh"

// Mirrors kernels.optimise.Numbers.
template <class Real>
struct Numbers {
    Real rate, beta_1, new_1, beta_2, new_2, epsilon, w_min, w_max, scale, gain, limit, tiny;
};

template <class Real>
__device__ __forceinline__ Real bounded(const Numbers<Real>& o, Real w) {
    const Real above = o.w_min > w ? o.w_min : w;
    return o.w_max < above ? o.w_max : above;
}

// Change Adam's running means; what the weight loses.
template <class Real>
__device__ __forceinline__ Real adam(const Numbers<Real>& o, Real rate, Real g, Real& mean, Real& square) {
    mean = o.beta_1 * mean + o.new_1 * g;
    square = o.beta_2 * square + o.new_2 * g * g;
    return rate * mean / (root(square) + o.epsilon);
}
