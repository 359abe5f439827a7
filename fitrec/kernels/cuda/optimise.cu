// Gradient descent and Adam over flat arrays of weights that may have to keep their signs: twin of kernels/cpu/optimise.py, which says
// what is computed. A thread per weight; a warp per sum.
#include "common.cuh"
#include "optimise.cuh"
#include "series.cuh"
#include "sums.cuh"

__device__ __forceinline__ float with_sign(float magnitude, float sign) { return copysignf(magnitude, sign); }
__device__ __forceinline__ double with_sign(double magnitude, double sign) { return copysign(magnitude, sign); }

// Derivative by what the optimiser moves, given that by the weight.
template <class Real>
__device__ __forceinline__ Real inner(int constraint, Real scale, Real w, Real g) {
    if (constraint == CONSTRAINT_EXPONENTIAL) return g * magnitude(w);
    if (constraint == CONSTRAINT_SOFTPLUS) return -g * (Real)exp_minus_one((double)(-magnitude(w) / scale));
    return g;
}

// softplus(theta + outward), where a = softplus(theta).
__device__ __forceinline__ double softplus_moved(double a, double outward) {
    if (a < LINEAR_FROM) return log_one_plus(exp_minus_one(a) * exponential(outward));
    const double theta = a + outward;
    return (theta < 0.0 ? 0.0 : theta) + log_one_plus(exponential(-magnitude(theta)));
}

// Weight after a change of what the optimiser moves.
template <class Real>
__device__ __forceinline__ Real moved(int constraint, const Numbers<Real>& o, Real w, Real change) {
    const Real zero = 0;
    if (constraint == CONSTRAINT_NONE) return bounded(o, w - change);
    const Real sign = with_sign(Real(1), w), size = magnitude(w), outward = -sign * change;
    const bool negative = sign < zero;
    Real low = negative ? -o.w_max : o.w_min, floor = o.tiny, result;
    const Real high = negative ? -o.w_min : o.w_max;
    if (constraint == CONSTRAINT_CLIP) {
        result = size + outward;
        floor = zero;
    } else if (constraint == CONSTRAINT_EXPONENTIAL) {
        result = size * exponential(outward);
    } else {
        result = change == zero ? size : (Real)softplus_moved((double)(size / o.scale), (double)(outward / o.scale)) * o.scale;
    }
    floor = size > zero ? floor : zero;
    low = low > floor ? low : floor;
    result = result > low ? result : low;
    result = result < high ? result : high;
    return sign * result;
}

template <class Real>
__device__ __forceinline__ void update(
    const Numbers<Real>& o, int optimizer, int constraint, Real* weights, const Real* gradient, Real* mean, Real* square, int64_t size) {
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= size) return;
    const Real w = weights[i];
    Real g = o.gain * inner(constraint, o.scale, w, gradient[i]);
    g = -o.limit > g ? -o.limit : g;
    g = o.limit < g ? o.limit : g;
    Real change = o.rate * g;
    if (optimizer == OPTIMIZER_ADAM) {
        Real m = mean[i], s = square[i];
        change = adam(o, o.rate, g, m, s);
        mean[i] = magnitude(m) > o.tiny ? m : Real(0);
        square[i] = s > o.tiny ? s : Real(0);
    }
    weights[i] = moved(constraint, o, w, change);
}

extern "C" __global__ void optimise_update_float(
    const __grid_constant__ Numbers<float> o, int optimizer, int constraint, float* weights, const float* gradient, float* mean,
    float* square, int64_t size) {
    update(o, optimizer, constraint, weights, gradient, mean, square, size);
}

extern "C" __global__ void optimise_update_double(
    const __grid_constant__ Numbers<double> o, int optimizer, int constraint, double* weights, const double* gradient, double* mean,
    double* square, int64_t size) {
    update(o, optimizer, constraint, weights, gradient, mean, square, size);
}

// Sums of the squares of the derivatives by what the optimiser moves, a warp for every SQUARES_PART of them.
template <class Real>
__device__ __forceinline__ void squares(
    int constraint, Real scale, const Real* weights, const Real* gradient, int64_t size, double* parts) {
    const int64_t part = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) / 32, begin = part * SQUARES_PART;
    if (begin >= size) return;
    const int64_t end = begin + SQUARES_PART < size ? begin + SQUARES_PART : size;
    const int lane = threadIdx.x % 32;
    double sum = 0.0;
    for (int64_t i = begin + lane; i < end; i += 32) {
        const double g = (double)inner(constraint, scale, weights[i], gradient[i]);
        sum += g * g;
    }
    sum = sum_of_lanes(sum);
    if (lane == 0) parts[part] = sum;
}

extern "C" __global__ void optimise_squares_float(
    int constraint, float scale, const float* weights, const float* gradient, int64_t size, double* parts) {
    squares(constraint, scale, weights, gradient, size, parts);
}

extern "C" __global__ void optimise_squares_double(
    int constraint, double scale, const double* weights, const double* gradient, int64_t size, double* parts) {
    squares(constraint, scale, weights, gradient, size, parts);
}

// Divide values by a number.
template <class Real>
__device__ __forceinline__ void divide(Real* values, Real divisor, int64_t size) {
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < size) values[i] /= divisor;
}

extern "C" __global__ void optimise_divide_float(float* values, float divisor, int64_t size) { divide(values, divisor, size); }
extern "C" __global__ void optimise_divide_double(double* values, double divisor, int64_t size) { divide(values, divisor, size); }
