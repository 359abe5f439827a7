// From mean spikes per trial to the learning signals of a fit of rates: twin of kernels/cpu/rate_errors.py, which says in which order
// sums are taken. A thread per value.
#include "common.cuh"

// A smoothing along time: row t of the matrix is not 0 from span[2 t] to span[2 t + 1].
struct Smoothing {
    const double* matrix;
    const int32_t* span;
    int32_t n_time;
};

// Where the trained neurons stand among all.
struct Neurons {
    const int32_t* trained;  // (n_trained,)
    const int32_t* place;    // (n,): among the trained, or -1
    int32_t n, n_trained, width;
};

__device__ __forceinline__ int64_t thread_number() { return blockIdx.x * (int64_t)blockDim.x + threadIdx.x; }

// Derivative of the loss by a rate: of the Poisson likelihood of counts, or of the squared error.
__device__ __forceinline__ double slope(double rate, double goal, int is_poisson, double scale, double bin_s, double floor_hz) {
    return is_poisson ? scale * (1.0 - goal * bin_s / ((rate + floor_hz) * bin_s)) : scale * (rate - goal);
}

extern "C" __global__ void rate_means(const int64_t* counts, float* mean, int64_t size, double trials) {
    const int64_t at = thread_number();
    if (at < size) mean[at] = (float)((double)counts[at] / trials);
}

extern "C" __global__ void rate_blend(const float* a, float weight_a, const float* b, float weight_b, float* out, int64_t size) {
    const int64_t at = thread_number();
    if (at < size) out[at] = weight_a * a[at] + weight_b * b[at];
}

extern "C" __global__ void rate_totals(const float* mean, double* out, int n_time, int n) {
    const int64_t i = thread_number();
    if (i >= n) return;
    double sum = 0.0;
    for (int t = 0; t < n_time; ++t) sum += (double)mean[(int64_t)t * n + i];
    out[i] = sum;
}

extern "C" __global__ void rate_smoothed(
    const float* mean, const __grid_constant__ Neurons neurons, const __grid_constant__ Smoothing s, double bin_s, double* out) {
    const int64_t at = thread_number();
    if (at >= (int64_t)s.n_time * neurons.n_trained) return;
    const int t = (int)(at / neurons.n_trained), i = (int)(at % neurons.n_trained);
    const float* own = mean + neurons.trained[i];
    double sum = 0.0;
    for (int k = s.span[2 * t]; k < s.span[2 * t + 1]; ++k) sum += s.matrix[(int64_t)t * s.n_time + k] * (double)own[(int64_t)k * neurons.n];
    out[at] = sum / bin_s;
}

extern "C" __global__ void rate_slopes(
    const double* smooth, const double* target, double* out, int64_t size, int is_poisson, double scale, double bin_s, double floor_hz) {
    const int64_t at = thread_number();
    if (at >= size) return;
    const double goal = target[at];
    out[at] = goal == goal ? slope(smooth[at], goal, is_poisson, scale, bin_s, floor_hz) : 0.0;
}

// Derivatives of the loss by rates of neurons, (width,), observed at one time, in units of `per_unit` Hz; target: (n_trained,) in Hz.
extern "C" __global__ void rate_online(
    const float* observed, const __grid_constant__ Neurons neurons, const double* target, int is_poisson, double scale, double bin_s,
    double floor_hz, double per_unit, float* out) {
    const int64_t neuron = thread_number();
    if (neuron >= neurons.n || neurons.place[neuron] < 0) return;
    const double rate = per_unit * (double)observed[neuron], goal = target[neurons.place[neuron]];
    if (goal == goal) out[neuron] = (float)(per_unit * slope(rate, goal, is_poisson, scale, bin_s, floor_hz));
}

// Derivatives by a spike, (time, width); those of the padding are 0.
extern "C" __global__ void rate_signals(
    const double* by_rate, const __grid_constant__ Neurons neurons, const __grid_constant__ Smoothing s, double bin_s, const double* pull,
    double divisor, float* out) {
    const int64_t at = thread_number();
    if (at >= (int64_t)s.n_time * neurons.width) return;
    const int t = (int)(at / neurons.width), neuron = (int)(at % neurons.width);
    if (neuron >= neurons.n) return;
    const int i = neurons.place[neuron];
    double sum = 0.0;
    if (i >= 0) {
        for (int k = s.span[2 * t]; k < s.span[2 * t + 1]; ++k)
            sum += s.matrix[(int64_t)t * s.n_time + k] * by_rate[(int64_t)k * neurons.n_trained + i];
        sum /= bin_s;
    }
    out[at] = (float)((sum + pull[neuron]) / divisor);
}
