// Arithmetic with one rounding per operation, for both precisions by the same names; counterparts in kernels/cpu.
#pragma once

__device__ __forceinline__ float mul_add(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double mul_add(double a, double b, double c) { return fma(a, b, c); }
__device__ __forceinline__ float root(float a) { return sqrtf(a); }
__device__ __forceinline__ double root(double a) { return sqrt(a); }
__device__ __forceinline__ float nearest(float a) { return rintf(a); }
__device__ __forceinline__ double nearest(double a) { return rint(a); }
__device__ __forceinline__ float magnitude(float a) { return fabsf(a); }
__device__ __forceinline__ double magnitude(double a) { return fabs(a); }
template <class Real>
__device__ __forceinline__ Real smaller(Real a, Real b) {
    return a < b ? a : b;
}
template <class Real>
__device__ __forceinline__ Real larger(Real a, Real b) {
    return a > b ? a : b;
}
