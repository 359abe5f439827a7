"""Sums in an order that is the same on every machine: over 32 lanes, as a warp of a GPU takes them (kernels/cuda/sums.cuh)."""

from numba import njit

LANES = 32


@njit(inline="always")
def sum_of_lanes(lanes):
    """Sum of 32 lanes, which are used up: lane i plus lane i + 16, then + 8, + 4, + 2, + 1."""
    width = LANES // 2
    while width:
        for k in range(width):
            lanes[k] += lanes[k + width]
        width //= 2
    return lanes[0]
