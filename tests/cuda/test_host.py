"""The host shim does what a device does, and tells when a kernel does what a device does not allow."""

import ctypes
from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cuda.source import with_includes
from tests.cuda.host.device import HostDevice, HostError, compiler, library, run

pytestmark = pytest.mark.skipif(not compiler(), reason="the host shim is compiled with g++, which is not installed")

KERNELS = r"""
#include "common.cuh"

// Sum over each block by shuffles and shared memory, static and dynamic.
extern "C" __global__ void block_sums(const int* x, int* sums, int n) {
    __shared__ int total;
    DYNAMIC_SHARED(int, of_warp);
    int sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += x[i];
    for (int delta = 16; delta > 0; delta /= 2) sum += __shfl_down_sync(FULL_WARP, sum, delta);
    if (threadIdx.x == 0) total = 0;
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < blockDim.x / 32) atomicAdd(&total, of_warp[threadIdx.x]);
    __syncthreads();
    if (threadIdx.x == 1) sums[blockIdx.x] = total;
}

// Each round, every block adds to the next block's cell what stands in its own; static shared memory outlives the barrier.
extern "C" __global__ void pass_round(unsigned* arrived, int* cells, int rounds) {
    __shared__ int mine;
    if (threadIdx.x == 0) mine = blockIdx.x;
    __syncthreads();
    for (int round = 0; round < rounds; ++round) {
        if (threadIdx.x == 3) atomicAdd(&cells[(round + 1) % 2 * gridDim.x + (blockIdx.x + 1) % gridDim.x], mine);
        grid_barrier(arrived, round + 1);
        if (threadIdx.x == 0) mine = cells[(round + 1) % 2 * gridDim.x + blockIdx.x];
        if (threadIdx.x == 0) cells[(round + 1) % 2 * gridDim.x + blockIdx.x] = 0;
        __syncthreads();
    }
    if (threadIdx.x == 0) cells[blockIdx.x] = mine;
}

extern "C" __global__ void votes(const int* x, unsigned* ballots, int* counts, int n) {
    const bool yes = (int)threadIdx.x < n && x[threadIdx.x] > 0;
    const unsigned ballot = __ballot_sync(FULL_WARP, yes);
    const int count = __syncthreads_count(yes);
    const int again = __syncthreads_count(!yes);
    const int first = __shfl_sync(FULL_WARP, x[threadIdx.x], __ffs(ballot) - 1);
    if (threadIdx.x % 32 == 7) ballots[threadIdx.x / 32] = ballot;
    if (threadIdx.x == 0) { counts[0] = count; counts[1] = again; }
    if (threadIdx.x % 32 == 5) counts[2 + threadIdx.x / 32] = first;
}

// Races: the barrier between writing and reading is missing.
extern "C" __global__ void without_barrier(int* out) {
    __shared__ int x[64];
    x[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = x[63 - threadIdx.x];
}

extern "C" __global__ void half_a_barrier(int* out) {
    if (threadIdx.x < 5) __syncthreads();
    else while (*(volatile int*)out == 0) spin_wait();
}

extern "C" __global__ void half_a_warp(int* out) {
    if (threadIdx.x < 16) out[0] = __shfl_sync(FULL_WARP, 1, 0);
    else out[1] = __shfl_sync(0xffff0000u, 1, 16);
}

extern "C" __global__ void one_more(int* out) {
    DYNAMIC_SHARED(int, x);
    x[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = x[threadIdx.x];
}

struct Inner { double a; short b; };
struct Outer { char first; Inner inner; float* x; int n; };
extern "C" __global__ void add_all(const Outer s) {
    if (threadIdx.x == 0) s.x[0] = s.first + s.inner.a + s.inner.b + s.n;
}
"""


def built() -> ctypes.CDLL:
    return library(with_includes(KERNELS, "kernels.cu"))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("grid", "block"), [(1, 32), (3, 64), (2, 1024)])
def test_shared_memory_and_shuffles(grid: int, block: int, reverse: bool) -> None:
    x = np.random.default_rng(1).integers(-100, 100, 5000).astype(np.int32)
    sums = np.zeros(grid, np.int32)
    run(built(), "block_sums", grid, block, (x, sums, np.int32(len(x))), shared=4 * block // 32, reverse=reverse)
    of_block = [x[np.arange(len(x)) // block % grid == b].sum() for b in range(grid)]
    np.testing.assert_array_equal(sums, of_block)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rounds", [1, 2, 100])
def test_barrier_over_the_grid(rounds: int, reverse: bool) -> None:
    blocks = 5
    cells, arrived = np.zeros(2 * blocks, np.int32), np.zeros(1, np.uint32)
    run(built(), "pass_round", blocks, 32, (arrived, cells, np.int32(rounds)), cooperative=True, reverse=reverse)
    np.testing.assert_array_equal(cells[:blocks], (np.arange(blocks) - rounds) % blocks)


@pytest.mark.parametrize("reverse", [False, True])
def test_votes(reverse: bool) -> None:
    x = np.random.default_rng(2).integers(0, 2, 96).astype(np.int32)
    x[64:] *= np.arange(3, 35, dtype=np.int32)
    ballots, counts = np.zeros(3, np.uint32), np.zeros(5, np.int32)
    run(built(), "votes", 1, 96, (x, ballots, counts, np.int32(90)), reverse=reverse)
    yes = (x > 0) & (np.arange(96) < 90)
    np.testing.assert_array_equal(ballots, np.packbits(yes.reshape(3, 32), axis=1, bitorder="little").view(np.uint32)[:, 0])
    np.testing.assert_array_equal(counts[:2], [yes.sum(), 96 - yes.sum()])
    np.testing.assert_array_equal(counts[2:], [x[32 * w :][np.argmax(yes[32 * w :])] for w in range(3)])


def test_a_missing_barrier_shows_in_one_of_the_orders() -> None:
    results = []
    for reverse in (False, True):
        out = np.zeros(64, np.int32)
        run(built(), "without_barrier", 1, 64, (out,), reverse=reverse)
        results.append(out)
    assert (results[0] != results[1]).any()


def test_a_barrier_that_not_all_reach_is_a_deadlock() -> None:
    with pytest.raises(HostError, match="half_a_barrier: deadlock"):
        run(built(), "half_a_barrier", 1, 32, (np.zeros(1, np.int32),))
    test_votes(False)  # the shim goes on working


def test_differing_masks_are_an_error() -> None:
    with pytest.raises(HostError, match="differing masks: block 0, thread 16"):
        run(built(), "half_a_warp", 1, 32, (np.zeros(2, np.int32),))


def test_shared_memory_that_a_block_has_not_is_an_error() -> None:
    out = np.zeros(32, np.int32)
    run(built(), "one_more", 2, 32, (out,), shared=4 * 32)
    with pytest.raises(HostError, match="one_more: more dynamic shared memory is written than a block has"):
        run(built(), "one_more", 2, 32, (out,), shared=4 * 31)


def test_arrays_of_the_device_do_not_meet_those_of_the_host() -> None:
    device, host = HostDevice(), np.arange(3)
    there = device.asarray(np.arange(3))
    for mistake in (
        lambda: there + host,
        lambda: there[host],
        lambda: there.__setitem__(slice(None), host),
        lambda: there.__setitem__(host, 1),
        lambda: device.asarray(there),
        lambda: device.to_host(host),
    ):
        with pytest.raises(HostError):
            mistake()
    there[:] = there[there] + 1
    assert device.to_host(there).tolist() == [1, 2, 3]


def test_memory_that_nobody_filled_is_rubbish() -> None:
    xp = HostDevice().xp
    assert np.isnan(xp.empty((2, 3), np.float32)).all()
    assert np.isnan(xp.empty(4)).all()
    assert (xp.empty(2, np.int32) == -1).all()


def test_arguments_have_the_size_of_the_parameters() -> None:
    x = np.zeros(8, np.int32)
    with pytest.raises(HostError, match=r"parameters of \[8, 8, 4\] bytes, but was given \[8, 8, 8\]"):
        run(built(), "block_sums", 1, 32, (x, x, np.int64(8)))
    with pytest.raises(HostError, match="was given a int"):
        run(built(), "block_sums", 1, 32, (x, x, 8))


def test_structs_have_the_layout_of_c() -> None:
    from typing import NamedTuple

    from fitrec.kernels.cuda.arguments import pack

    class Inner(NamedTuple):
        a: Any
        b: Any

    class Outer(NamedTuple):
        first: Any
        inner: Inner
        x: Any
        n: Any

    x = np.zeros(1, np.float32)
    packed = pack(Outer(np.int8(3), Inner(np.float64(0.25), np.int16(100)), x, np.int32(1000)))
    run(built(), "add_all", 1, 32, (packed,))
    assert x[0] == 1103.25
    with pytest.raises(TypeError, match="argument n is a int"):
        pack(Outer(np.int8(3), Inner(np.float64(0.25), np.int16(100)), x, 1000))
    with pytest.raises(ValueError, match="C-contiguous"):
        pack(Outer(np.int8(3), Inner(np.float64(0.25), np.int16(100)), np.zeros((4, 4))[:, 1], np.int32(1)))


def test_a_cooperative_launch_has_no_more_blocks_than_run_together() -> None:
    device = HostDevice(blocks=2)
    with pytest.raises(AssertionError, match="cannot run together"):
        device.launch("philox", "fill_normal", 3, 32, (), cooperative=True)
