// PSTHs against their targets, a thread per value or unit: twin of kernels/cpu/psth.py, which says in which order sums are taken.
#include "common.cuh"

// Rates in Hz from the counts of `trials` trials, which are the sum of two arrays.
extern "C" __global__ void psth_rates(
    const int64_t* counts, const int64_t* more, double* rates, int64_t n, double trials, double bin_s) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        rates[at] = (double)(counts[at] + (more ? more[at] : 0)) / trials / bin_s;
}

// Smooth x (time, item) along time.
extern "C" __global__ void psth_smooth(
    const double* x, const double* weights, const double* covered, double* out, int n_time, int n_items, int reach) {
    const int64_t n = (int64_t)n_time * n_items;
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x) {
        const int t = (int)(at / n_items);
        double sum = x[at] * weights[reach];
        for (int j = reach; j > 0; --j) {
            const int64_t away = (int64_t)j * n_items;
            const bool before = t >= j, after = t + j < n_time;
            if (before && after) sum += (x[at - away] + x[at + away]) * weights[reach - j];
            else if (before || after) sum += (before ? x[at - away] : x[at + away]) * weights[reach - j];
        }
        out[at] = sum / covered[t];
    }
}

// Sums over time of what PSTH and target, (time, unit), deviate from their means: products, and the squares of either; out (3, unit).
extern "C" __global__ void psth_moments(const double* psth, const double* rate, double* out, int n_time, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        double mean_a = 0, mean_b = 0, both = 0, power_a = 0, power_b = 0;
        for (int64_t at = i; at < (int64_t)n_time * n; at += n) {
            mean_a += psth[at];
            mean_b += rate[at];
        }
        mean_a /= n_time;
        mean_b /= n_time;
        for (int64_t at = i; at < (int64_t)n_time * n; at += n) {
            const double a = psth[at] - mean_a, b = rate[at] - mean_b;
            both += a * b;
            power_a += a * a;
            power_b += b * b;
        }
        out[i] = both;
        out[(int64_t)n + i] = power_a;
        out[2 * (int64_t)n + i] = power_b;
    }
}
