// The weights that a gradient fit learns, on the device in the order of the optimiser: of E inputs, of I inputs, each (trained, input),
// then of feed-forward inputs (condition, trained, ff). `place` says where among those of the first condition a synapse of the compiled
// network stands.
#include "common.cuh"
#include "sums.cuh"

// Where a synapse stands, seen from a condition.
struct Places {
    const uint32_t* place;  // (synapse,)
    int64_t n_synapses, first_ff, condition;  // feed-forward weights begin at first_ff; of `condition` there are so many before
};

__device__ __forceinline__ int64_t place_of(const Places& p, int64_t k) {
    const int64_t at = p.place[k];
    return at < p.first_ff ? at : at + p.condition;
}

// The weights in the order of the compiled network's synapses.
extern "C" __global__ void learned_flat(const __grid_constant__ Places p, const float* weights, float* flat) {
    const int64_t k = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (k < p.n_synapses) flat[k] = weights[place_of(p, k)];
}

// Add a gradient by the compiled network's synapses to the sums over conditions.
extern "C" __global__ void learned_add(const __grid_constant__ Places p, const float* flat, double* sums) {
    const int64_t k = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (k < p.n_synapses) sums[place_of(p, k)] += (double)flat[k];
}

// Gradients by a parameter of neurons, of those that learn it, or, for one `shared` value, their sum: lane by lane of the first warp, as
// `total` of kernels/cpu/optimise.py does.
extern "C" __global__ void learned_parameter(const double* sums, const int32_t* neurons, int32_t n, int32_t shared, float* gradient) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (!shared) {
        if (i < n) gradient[i] = (float)sums[neurons[i]];
        return;
    }
    if (i >= 32) return;
    double sum = 0.0;
    for (int k = i; k < n; k += 32) sum += (double)(float)sums[neurons[k]];
    sum = sum_of_lanes(sum);
    if (i == 0) gradient[0] = (float)sum;
}

// Rows of gradients whose part along the rates of their inputs is shortened.
struct Rows {
    int64_t n_rows;
    int32_t n_inputs;
    const int32_t* source;  // (row, stride), of which the first n_inputs count: what an input's rate is found by, or none
    int32_t stride;
    int64_t group;  // without source: rows that share n_inputs rates
    const double* rate_hz;
    double share;
};

__device__ __forceinline__ double rate_of(const Rows& r, int64_t row, int i) {
    return r.source ? r.rate_hz[r.source[row * r.stride + i]] : r.rate_hz[row / r.group * r.n_inputs + i];
}

// Round the sums of gradients, (row, input), and shorten them along the rates: `shorten_along` of kernels/cpu/optimise.py. A warp per
// row.
extern "C" __global__ void learned_shorten(const __grid_constant__ Rows r, const double* sums, float* gradient) {
    const int64_t row = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) / 32;
    if (row >= r.n_rows) return;
    const int lane = threadIdx.x % 32;
    const double* from = sums + row * r.n_inputs;
    float* to = gradient + row * r.n_inputs;
    double along = 0.0;
    if (r.share != 1.0) {
        double products = 0.0, powers = 0.0;
        for (int i = lane; i < r.n_inputs; i += 32) {
            const double rate = rate_of(r, row, i);
            products += (double)(float)from[i] * rate;
            powers += rate * rate;
        }
        products = sum_of_lanes(products);
        powers = sum_of_lanes(powers);
        along = products / (SMALLEST_DOUBLE > powers ? SMALLEST_DOUBLE : powers);
    }
    for (int i = lane; i < r.n_inputs; i += 32) {
        const double g = (double)(float)from[i];
        to[i] = r.share == 1.0 ? (float)g : (float)(g - (1.0 - r.share) * along * rate_of(r, row, i));
    }
}
