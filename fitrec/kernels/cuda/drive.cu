// Drives that ridge aims at, a thread per value: twin of kernels/cpu/drive.py.
#include "common.cuh"
#include "series.cuh"

// Mirrors kernels.cuda.drive._Curve; see InverseCurve in kernels/cpu/drive.py.
struct Curve {
    const double *log_rate, *cubic;
    const int32_t* begin;
    double pieces_per_log, first_rate, last_rate, last_drive, below, above;
    int32_t n_knots, n_pieces;
};

__device__ __forceinline__ double drive_at(const Curve& curve, double rate) {
    if (!(rate < curve.last_rate)) return curve.last_drive + (rate - curve.last_rate) * curve.above;
    const double log_rate = logarithm(rate), start = log_rate - curve.log_rate[0];
    if (rate < curve.first_rate) return fma(start, curve.below, curve.cubic[3]);
    const double place = start * curve.pieces_per_log;
    int k = curve.begin[place < curve.n_pieces ? max((int)place, 0) : curve.n_pieces - 1];
    while (k > 0 && log_rate < curve.log_rate[k]) --k;
    while (k + 2 < curve.n_knots && !(log_rate < curve.log_rate[k + 1])) ++k;
    const double d = log_rate - curve.log_rate[k], *c = curve.cubic + 4 * k;
    return fma(fma(fma(c[0], d, c[1]), d, c[2]), d, c[3]);
}

// What the drives of `rate` lack of the wanted ones.
extern "C" __global__ void drive_misses(
    const double* wanted, const double* rate, double* out, int64_t n, double floor, const __grid_constant__ Curve curve) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        out[at] = wanted[at] - drive_at(curve, rate[at] < floor ? floor : rate[at]);
}

// Move averages towards new values.
extern "C" __global__ void drive_move(double* average, const double* fresh, int64_t n, double weight) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        average[at] += weight * (fresh[at] - average[at]);
}

// Add a share of what was found to miss, kept within bounds.
extern "C" __global__ void drive_correct(double* correction, const double* found, int64_t n, double gain, double most) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x) {
        const double x = found[at];
        correction[at] += gain * (x < -most ? -most : x > most ? most : x);
    }
}

// What the plastic inputs have to supply.
extern "C" __global__ void drive_plastic(const double* needed, const double* correction, const double* current, double* out, int64_t n) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        out[at] = needed[at] + correction[at] - current[at];
}

// A share of a drive, as trials are forced by it.
extern "C" __global__ void drive_forced(const double* wanted, float* out, int64_t n, double share) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        out[at] = (float)(share * wanted[at]);
}

// Set `found` to 1 if a drive is infinite or NaN.
extern "C" __global__ void drive_not_finite(const double* x, int32_t* found, int64_t n) {
    bool bad = false;
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        bad |= !(fabs(x[at]) <= 0x1.fffffffffffffp1023);
    if (bad) atomicMax(found, 1);
}
