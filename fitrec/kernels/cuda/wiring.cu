// Random wiring, and its index by presynaptic neuron: twin of kernels/cpu/wiring.py. A warp per row.
#include "philox.cuh"

// Fill `draws` columns of each row of out (row, stride): a sorted sample of `pool`, which ascends, without replacement and without
// the element at the place excluded[row]. Shared memory holds `draws` numbers per warp.
//
// The draws are taken one after the other, as on the CPU: the first so many that differ make the sample.
extern "C" __global__ void wiring_sample(
    int32_t* out, const int32_t* pool, const int64_t* excluded, int n_rows, int draws, int stride, uint32_t pool_size,
    uint32_t row_offset, uint32_t seed, uint32_t stream) {
    DYNAMIC_SHARED(int32_t, shared);
    const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
    int32_t* drawn = shared + threadIdx.x / 32 * draws;
    for (int row = blockIdx.x * warps + threadIdx.x / 32; row < n_rows; row += gridDim.x * warps) {
        int found = 0;
        for (uint32_t attempt = 0; found < draws; attempt += 32) {
            const Words x = philox(row + row_offset, attempt + lane, 0, 0, seed, stream);
            for (int next = 0; next < 128 && found < draws; ++next) {
                const uint32_t mine = next % 4 == 0 ? x.x0 : next % 4 == 1 ? x.x1 : next % 4 == 2 ? x.x2 : x.x3;
                const int32_t candidate = (int32_t)__umulhi(__shfl_sync(FULL_WARP, mine, next / 4), pool_size);
                bool refused = candidate == excluded[row];
                for (int k = lane; k < found; k += 32) refused |= drawn[k] == candidate;
                if (__any_sync(FULL_WARP, refused)) continue;
                if (lane == 0) drawn[found] = candidate;
                ++found;
                __syncwarp();
            }
        }
        for (int k = lane; k < draws; k += 32) {
            int rank = 0;
            for (int j = 0; j < draws; ++j) rank += drawn[j] < drawn[k];
            out[(int64_t)row * stride + rank] = pool[drawn[k]];
        }
        __syncwarp();
    }
}

// Count how often each value stands in a table.
extern "C" __global__ void wiring_count(const int32_t* table, uint64_t* counts, int64_t n) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        atomicAdd((unsigned long long*)counts + table[at], 1ull);
}

// List where each value stands in a table (row, slot): at `cursor` and after, in any order, position[row] * slots + slot.
extern "C" __global__ void wiring_list(
    const int32_t* table, const int32_t* position, uint64_t* cursor, int64_t* places, int64_t n, int slots) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        places[atomicAdd((unsigned long long*)cursor + table[at], 1ull)] = position[at / slots] * (int64_t)slots + at % slots;
}

// Sort the places of each value, and write the rows they stand in, order[position], and their slots.
extern "C" __global__ void wiring_sort(
    const int64_t* places, const int64_t* indptr, const int32_t* order, int32_t* row, int32_t* slot, int n_values, int slots) {
    const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
    for (int value = blockIdx.x * warps + threadIdx.x / 32; value < n_values; value += gridDim.x * warps) {
        const int64_t first = indptr[value], last = indptr[value + 1];
        for (int64_t k = first + lane; k < last; k += 32) {
            const int64_t place = places[k];
            int64_t to = first;
            for (int64_t j = first; j < last; ++j) to += places[j] < place;
            row[to] = order[place / slots];
            slot[to] = (int32_t)(place % slots);
        }
    }
}

// Neurons that rows stand for, in 16 or 32 bits.
extern "C" __global__ void wiring_targets(const int32_t* row, const int32_t* neuron, void* out, int64_t n, int wide) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x) {
        const int32_t target = neuron[row[at]];
        if (wide) ((uint32_t*)out)[at] = (uint32_t)target;
        else ((uint16_t*)out)[at] = (uint16_t)target;
    }
}
