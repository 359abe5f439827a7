// Spikes that a block has found, listed in its shared memory and shared among its warps.
#pragma once
#include "common.cuh"

#define MAX_BLOCK 512  // threads of a block that lists spikes, at most

// What a block lists spikes with.
struct SpikeList {
    unsigned votes_of_warp[MAX_BLOCK / 32];
    int item[MAX_BLOCK];
};

// List the items of the threads that say `there`; returns their number. Every thread of the block has to call it, with `votes` the
// ballot of its warp; no thread may still be reading an earlier list after that.
__device__ __forceinline__ int list_spikes(SpikeList& list, bool there, unsigned votes, int item) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (lane == 0) list.votes_of_warp[warp] = votes;
    const int count = __syncthreads_count(there);  // also: the list of before has been read
    if (count == 0) return 0;
    if (there) {
        int position = __popc(votes & ((1u << lane) - 1u));
        for (int other = 0; other < warp; ++other) position += __popc(list.votes_of_warp[other]);
        list.item[position] = item;
    }
    __syncthreads();
    return count;
}

// Lanes `first`, `first + stride`, ... of what delivers one spike: a lane's part of a row.
struct Part {
    int first, stride;
};

// Call deliver(item, part) for the listed spikes: few spikes are shared among the block's warps, of many each warp takes its own.
template <class Deliver>
__device__ __forceinline__ void share_spikes(const SpikeList& list, int count, Deliver deliver) {
    const int warps = blockDim.x / 32, warp = threadIdx.x / 32;
    const int per_spike = max(1, warps / count), teams = warps / per_spike;
    if (warp >= teams * per_spike) return;
    const Part part = {(warp % per_spike) * 32 + (int)(threadIdx.x % 32), per_spike * 32};
    for (int k = warp / per_spike; k < count; k += teams) deliver(list.item[k], part);
}
