// What two noisy measurements, (sample, unit), have in common: twin of kernels/cpu/recurring.py, which says in which order sums are
// taken. known (3, unit): mean of either measurement, noise of their average.
#include "common.cuh"
#include "products.cuh"

// A thread per unit.
extern "C" __global__ void recurring_units(const double* one, const double* other, double* known, int n, int n_units) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n_units; i += gridDim.x * blockDim.x) {
        double sum_one = 0.0, sum_other = 0.0, squares = 0.0;
        for (int64_t at = i; at < (int64_t)n * n_units; at += n_units) {
            const double difference = one[at] - other[at];
            sum_one += one[at];
            sum_other += other[at];
            squares += difference * difference;
        }
        known[i] = sum_one / n;
        known[(int64_t)n_units + i] = sum_other / n;
        known[2 * (int64_t)n_units + i] = 0.5 * sqrt(squares / n);
    }
}

// Products over groups of units, from first_group on, of the deviations of one measurement, of the other and of their sum, in
// multiples of the noise: partial (group, 3, sample, sample), upper triangles. A tile of one of these matrices per block and turn.
extern "C" __global__ void __launch_bounds__(PRODUCT_BLOCK, 2) recurring_gram(
    const double* one, const double* other, const double* known, double noiseless, double* partial, int n, int n_units, int first_group,
    int n_groups) {
    __shared__ ProductChunks chunks;
    const int side = (n + PRODUCT_TILE - 1) / PRODUCT_TILE, tiles = side * (side + 1) / 2;
    const double *mean_one = known, *mean_other = known + n_units, *noise = known + 2 * (int64_t)n_units;
    for (int64_t item = blockIdx.x; item < (int64_t)n_groups * 3 * tiles; item += gridDim.x) {
        const int group = (int)(item / (3 * tiles)), which = (int)(item / tiles % 3);
        int p = 0, rest = (int)(item % tiles);
        for (; rest >= side - p; ++p) rest -= side - p;
        const int i = p * PRODUCT_TILE, j = (p + rest) * PRODUCT_TILE;
        const int begin = (first_group + group) * RECURRING_GROUP;
        const auto deviation = [&](int s, int u) {
            const int64_t at = (int64_t)s * n_units + u;
            const double factor = 1.0 / (noise[u] > 0 ? noise[u] : noiseless);
            const double a = (one[at] - mean_one[u]) * factor, b = (other[at] - mean_other[u]) * factor;
            return which == 0 ? a : which == 1 ? b : a + b;
        };
        double* out = partial + (int64_t)(group * 3 + which) * n * n;
        multiply_tile<true>(
            chunks, min(PRODUCT_TILE, n - i), min(PRODUCT_TILE, n - j), min(RECURRING_GROUP, n_units - begin),
            [&](int a, int k) { return deviation(i + a, begin + k); }, [&](int b, int k) { return deviation(j + b, begin + k); },
            [&](int a, int b, double x) { out[(int64_t)(i + a) * n + j + b] = x; });
    }
}

// Add the groups' products to gram (3, sample, sample), group after group; upper triangles.
extern "C" __global__ void recurring_add(const double* partial, double* gram, int n, int n_groups) {
    const int64_t size = 3 * (int64_t)n * n;
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < size; at += (int64_t)gridDim.x * blockDim.x) {
        if (at / n % n > at % n) continue;
        double total = gram[at];
        for (int group = 0; group < n_groups; ++group) total += partial[group * size + at];
        gram[at] = total;
    }
}

// The filter (sample, sample) applied to the mean of both measurements' deviations, and their means added; a tile per block and turn.
extern "C" __global__ void __launch_bounds__(PRODUCT_BLOCK, 2) recurring_filter(
    const double* one, const double* other, const double* known, const double* filter, double* out, int n, int n_units) {
    const double *mean_one = known, *mean_other = known + n_units;
    multiply<false>(
        n, n_units, n, [&](int i, int s) { return filter[(int64_t)i * n + s]; },
        [&](int j, int s) {
            const int64_t at = (int64_t)s * n_units + j;
            return 0.5 * ((one[at] - mean_one[j]) + (other[at] - mean_other[j]));
        },
        [&](int i, int j, double x) { out[(int64_t)i * n_units + j] = x + 0.5 * (mean_one[j] + mean_other[j]); });
}
