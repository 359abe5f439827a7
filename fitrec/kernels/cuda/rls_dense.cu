// Dense recursive least squares, for comparison: twin of kernels/cpu/rls_dense.py. P streams through the registers, a column per
// thread, so it need not fit into shared memory. In State, q holds k and g what is held back, both (pool, width).
#include "rls.cuh"

#define ROWS 8  // of P whose loads are under way together

// Traces of the pool's inputs.
__device__ __forceinline__ void gather(const Signals& s, const Sizes& z, int pool, float* r) {
    const int32_t* pre = s.pre + (size_t)pool * (z.n_inputs - z.n_ff);
    for (int j = threadIdx.x; j < z.width; j += blockDim.x)
        r[j] = j < z.n_ff ? s.ff_trace[j] : j < z.n_inputs ? s.trace[pre[j - z.n_ff]] : 0.0f;
}

// k = P r of column j; with `held`, P <- P - held held' on the way. `p` points to the column's first row.
__device__ __forceinline__ float advance(float* p, const Sizes& z, const float* r, const float* held, int j) {
    float k = 0.0f;
    for (int first = 0; first < z.n_inputs; first += ROWS) {
        float x[ROWS];
#pragma unroll
        for (int m = 0; m < ROWS; ++m) x[m] = first + m < z.n_inputs ? p[(size_t)(first + m) * z.width] : 0.0f;
#pragma unroll
        for (int m = 0; m < ROWS; ++m) {
            const int a = first + m;
            if (a >= z.n_inputs) break;
            if (held) {
                x[m] = fmaf(-held[a], held[j], x[m]);
                p[(size_t)a * z.width] = x[m];
            }
            k = fmaf(r[a], x[m], k);
        }
    }
    return k;
}

// Gather, k = P r, weights; returns c, or a negative number where the pool went wrong. `shared` has room for two rows.
__device__ __forceinline__ float learn(
    const State& state, const Signals& signals, const Sizes& z, int pool, float* shared, const float* held, unsigned update,
    uint64_t* bad) {
    float *r = shared, *k = shared + z.width, *p = (float*)state.p + (size_t)pool * z.n_inputs * z.width;
    __syncthreads();  // the pool before is done with the shared memory
    gather(signals, z, pool, r);
    __syncthreads();
    for (int j = threadIdx.x; j < z.width; j += blockDim.x) k[j] = advance(p + j, z, r, held, j);
    __syncthreads();
    const float rk = dot(r, k, z.width);
    if (!(rk >= 0 && finite(rk))) {
        if (threadIdx.x == 0) report(bad, update, pool * z.pool_size);
        return -1.0f;
    }
    const float c = 1.0f / (1.0f + rk);
    update_weights(state, signals, z, pool, r, k, c, update, bad);
    return c;
}

// The update of the step before is applied while this step's k is formed: P is read and written once.
extern "C" __global__ void __launch_bounds__(MAX_BLOCK) rls_one_pass(
    const __grid_constant__ State state, const __grid_constant__ Signals signals, const __grid_constant__ Sizes z, unsigned update,
    uint64_t* bad) {
    DYNAMIC_SHARED(float, shared);
    float* held = shared + 2 * z.width;
    for (int pool = blockIdx.x; pool < z.n_pools; pool += gridDim.x) {
        float* stored = state.g + (size_t)pool * z.width;
        __syncthreads();
        for (int j = threadIdx.x; j < z.width; j += blockDim.x) held[j] = stored[j];
        const float c = learn(state, signals, z, pool, shared, held, update, bad);
        if (c < 0) continue;
        const float root = sqrtf(c);
        for (int j = threadIdx.x; j < z.width; j += blockDim.x) stored[j] = root * shared[z.width + j];
    }
}

// First pass of two, as TrainSpikingNet does it: k and the weights. `factor` (pool,) gets -c.
extern "C" __global__ void __launch_bounds__(MAX_BLOCK) rls_first_pass(
    const __grid_constant__ State state, const __grid_constant__ Signals signals, const __grid_constant__ Sizes z, float* factor,
    unsigned update, uint64_t* bad) {
    DYNAMIC_SHARED(float, shared);
    for (int pool = blockIdx.x; pool < z.n_pools; pool += gridDim.x) {
        const float c = learn(state, signals, z, pool, shared, nullptr, update, bad);
        for (int j = threadIdx.x; j < z.width; j += blockDim.x) state.q[(size_t)pool * z.width + j] = shared[z.width + j];
        if (threadIdx.x == 0) factor[pool] = c < 0 ? 0.0f : -c;
    }
}

// Second pass: P <- P - c k k'.
extern "C" __global__ void __launch_bounds__(MAX_BLOCK) rls_second_pass(
    const __grid_constant__ State state, const __grid_constant__ Sizes z, const float* factor) {
    for (int pool = blockIdx.x; pool < z.n_pools; pool += gridDim.x) {
        float* p = (float*)state.p + (size_t)pool * z.n_inputs * z.width;
        const float *k = state.q + (size_t)pool * z.width, c = factor[pool];
        if (c == 0) continue;
        for (int a = threadIdx.x / 32; a < z.n_inputs; a += blockDim.x / 32) {
            const float own = c * k[a];
            for (int j = threadIdx.x % 32; j < z.width; j += 32) p[(size_t)a * z.width + j] = fmaf(own, k[j], p[(size_t)a * z.width + j]);
        }
    }
}
