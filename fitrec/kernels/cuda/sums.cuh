// Sums in an order that is the same on every machine.
#pragma once

// Sum over the lanes of a warp by a fixed tree: lane i plus lane i + 16, then + 8, + 4, + 2, + 1. All lanes get it.
template <class Real>
__device__ __forceinline__ Real sum_of_lanes(Real sum) {
    for (int other = 16; other; other /= 2) sum += __shfl_xor_sync(FULL_WARP, sum, other);
    return sum;
}
