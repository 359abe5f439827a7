// Event-driven recursive least squares with held-back updates: twin of kernels/cpu/rls.py, which has the equations.
//
// A block works on one pool at a time. Elements of a row (of P, q, k, g) are spread over the threads and each is summed in the order
// of the CPU's vectors; a dot product is one warp's, whose lanes are the CPU's 32 lanes. Nothing here depends on grid or block.
#include "rls_storage.cuh"

__device__ __forceinline__ Scratch divide(float* shared, float* global, const Sizes& z) {
    float* at = z.scratch_is_shared ? shared : global + (size_t)blockIdx.x * 4 * z.width;
    float* rest = z.scratch_is_shared ? shared + 4 * z.width : shared;
    return {at, at + z.width, at + 2 * z.width, (int*)(at + 3 * z.width), z.g_is_shared ? rest : nullptr};
}

// List the inputs that spiked since the last update, in ascending order, and gather the traces of all; returns how many.
__device__ __forceinline__ int gather(const Signals& s, const Sizes& z, int pool, const Scratch& scratch) {
    __shared__ unsigned votes_of_warp[MAX_BLOCK / 32];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int32_t* pre = s.pre + (size_t)pool * (z.n_inputs - z.n_ff);
    int count = 0;
    for (int first = 0; first < z.width; first += blockDim.x) {
        const int j = first + threadIdx.x;
        float r = 0.0f, d = 0.0f;
        if (j < z.n_ff) {
            r = s.ff_trace[j];
            d = s.ff_delta[j];
        } else if (j < z.n_inputs) {
            const int i = pre[j - z.n_ff];
            r = s.trace[i];
            d = s.delta[i];
        }
        if (j < z.width) scratch.r[j] = r;
        const unsigned votes = __ballot_sync(FULL_WARP, d != 0);
        if (lane == 0) votes_of_warp[warp] = votes;
        const int fresh = __syncthreads_count(d != 0);
        if (d != 0) {
            int position = count + __popc(votes & ((1u << lane) - 1u));
            for (int other = 0; other < warp; ++other) position += __popc(votes_of_warp[other]);
            scratch.changed[position] = j;
            scratch.delta[position] = d;
        }
        count += fresh;
        __syncthreads();
    }
    return count;
}

// x - sum_i h_i g_i, of element j.
__device__ __forceinline__ float without_held(float x, const float* g, const float* h, const Sizes& z, int held, int j) {
    for (int i = 0; i < held; ++i) x = fmaf(-h[i], g[place(z, j, i)], x);
    return x;
}

// The `held` updates that the pool holds back, brought into shared memory if there is room.
__device__ __forceinline__ float* fetch_held(float* g, const Scratch& scratch, const Sizes& z, int held) {
    if (!scratch.g) return g;
    for (int j = threadIdx.x; j < z.width; j += blockDim.x) {
        const int first = place(z, j, 0);
        for (int i = 0; i < held * LANES; i += LANES) scratch.g[first + i] = g[first + i];
    }
    return scratch.g;
}

// One update of every pool; see rls_step.
template <class P>
__device__ __forceinline__ void update(
    float* shared, const State& state, const Signals& signals, const Sizes& z, int held, float rho, unsigned update,
    float* global_scratch, uint64_t* bad) {
    const Scratch scratch = divide(shared, global_scratch, z);
    for (int pool = blockIdx.x; pool < z.n_pools; pool += gridDim.x) {
        __syncthreads();  // the pool before is done with the scratch
        const P p = of_pool(P(), state, z, pool);
        float *q = state.q + (size_t)pool * z.width, *h = state.h + (size_t)pool * z.rank;
        float* stored = state.g + (size_t)pool * z.width * z.rank;
        float* g = fetch_held(stored, scratch, z, held);
        const int count = gather(signals, z, pool, scratch);
        add_columns(p, q, rho, scratch, z, count);
        for (int i = threadIdx.x; i < held; i += blockDim.x) {
            float total = rho * h[i];
            for (int m = 0; m < count; ++m) total = fmaf(scratch.delta[m], g[place(z, scratch.changed[m], i)], total);
            h[i] = total;
        }
        __syncthreads();
        for (int j = threadIdx.x; j < z.width; j += blockDim.x) scratch.k[j] = without_held(q[j], g, h, z, held, j);
        __syncthreads();
        const float rk = dot(scratch.r, scratch.k, z.width);
        if (!(rk >= 0 && finite(rk))) {
            if (threadIdx.x == 0) report(bad, update, pool * z.pool_size);
            continue;
        }
        const float c = 1.0f / (1.0f + rk), root = sqrtf(c);
        update_weights(state, signals, z, pool, scratch.r, scratch.k, c, update, bad);
        for (int j = threadIdx.x; j < z.width; j += blockDim.x) {
            const float value = root * scratch.k[j];
            g[place(z, j, held)] = value;
            if (scratch.g) stored[place(z, j, held)] = value;
        }
        if (threadIdx.x == 0) h[held] = root * rk;
        if (held + 1 < z.rank) continue;
        __syncthreads();
        apply_held(p, g, scratch, z, z.rank);
        for (int j = threadIdx.x; j < z.width; j += blockDim.x) q[j] = without_held(q[j], g, h, z, z.rank, j);
    }
}

// Apply what is held back; see rls_flush.
template <class P>
__device__ __forceinline__ void flush(float* shared, const State& state, const Sizes& z, int held, float* global_scratch) {
    const Scratch scratch = divide(shared, global_scratch, z);
    for (int pool = blockIdx.x; pool < z.n_pools; pool += gridDim.x) {
        __syncthreads();
        const float* g = fetch_held(state.g + (size_t)pool * z.width * z.rank, scratch, z, held);
        __syncthreads();
        apply_held(of_pool(P(), state, z, pool), g, scratch, z, held);
    }
}

// One update of every pool, with P stored in full, packed or in 16 bits. `held` are held back so far; when they become `rank`, all
// are applied. The block's size is a multiple of 32 and at most MAX_BLOCK. `bad` gets the smallest update << 32 | neuron with a
// negative or infinite r'k or an infinite error.
extern "C" __global__ void __launch_bounds__(MAX_BLOCK) rls_step(
    const __grid_constant__ State state, const __grid_constant__ Signals signals, const __grid_constant__ Sizes z, int held,
    float rho, unsigned number, float* global_scratch, uint64_t* bad) {
    DYNAMIC_SHARED(float, shared);
    update<Full>(shared, state, signals, z, held, rho, number, global_scratch, bad);
}

extern "C" __global__ void __launch_bounds__(MAX_BLOCK) rls_step_packed(
    const __grid_constant__ State state, const __grid_constant__ Signals signals, const __grid_constant__ Sizes z, int held,
    float rho, unsigned number, float* global_scratch, uint64_t* bad) {
    DYNAMIC_SHARED(float, shared);
    update<Packed>(shared, state, signals, z, held, rho, number, global_scratch, bad);
}

extern "C" __global__ void __launch_bounds__(MAX_BLOCK) rls_step_int16(
    const __grid_constant__ State state, const __grid_constant__ Signals signals, const __grid_constant__ Sizes z, int held,
    float rho, unsigned number, float* global_scratch, uint64_t* bad) {
    DYNAMIC_SHARED(float, shared);
    update<Int16>(shared, state, signals, z, held, rho, number, global_scratch, bad);
}

// Apply what is held back, at the end of a trial.
extern "C" __global__ void __launch_bounds__(MAX_BLOCK) rls_flush(
    const __grid_constant__ State state, const __grid_constant__ Sizes z, int held, float* global_scratch) {
    DYNAMIC_SHARED(float, shared);
    flush<Full>(shared, state, z, held, global_scratch);
}

extern "C" __global__ void __launch_bounds__(MAX_BLOCK) rls_flush_packed(
    const __grid_constant__ State state, const __grid_constant__ Sizes z, int held, float* global_scratch) {
    DYNAMIC_SHARED(float, shared);
    flush<Packed>(shared, state, z, held, global_scratch);
}

extern "C" __global__ void __launch_bounds__(MAX_BLOCK) rls_flush_int16(
    const __grid_constant__ State state, const __grid_constant__ Sizes z, int held, float* global_scratch) {
    DYNAMIC_SHARED(float, shared);
    flush<Int16>(shared, state, z, held, global_scratch);
}

// What was added to each trace since the last update; the trace becomes the last one.
extern "C" __global__ void rls_added(const float* trace, float* last, float* delta, int n, float rho) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        delta[i] = trace[i] - rho * last[i];
        last[i] = trace[i];
    }
}

// The error without plastic input: the static current of the moment, if it counts, minus the wanted drive.
extern "C" __global__ void rls_bias(
    const float* u_static, const int32_t* trained, const double* wanted, float* bias, int n, int instantaneous) {
    for (int m = blockIdx.x * blockDim.x + threadIdx.x; m < n; m += gridDim.x * blockDim.x)
        bias[m] = (float)((instantaneous ? (double)u_static[trained[m]] : 0.0) - wanted[m]);
}
