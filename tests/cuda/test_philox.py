"""The generator on the device equals numba's, bit for bit."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cpu import noise
from fitrec.kernels.cpu import philox as cpu
from fitrec.kernels.reference import philox as reference


@pytest.mark.parametrize(("grid", "block"), [(1, 32), (3, 64), (2, 1000)])
def test_words_equal_the_reference(device: Any, grid: int, block: int) -> None:
    rng = np.random.default_rng(1)
    counters = rng.integers(0, 2**32, (500, 4), dtype=np.uint32)
    counters[:2] = [[0] * 4, [0xFFFFFFFF] * 4]
    seed, stream = 0xA4093822, 0x299F31D0
    words = device.xp.zeros((500, 4), np.uint32)
    args = (device.asarray(counters), words, np.int32(500), np.uint32(seed), np.uint32(stream))
    device.launch("philox", "philox_words", grid, block, args)
    expected = reference.philox(*counters.T, seed, stream).T
    np.testing.assert_array_equal(device.to_host(words), expected)


def test_normal_equals_numba(device: Any) -> None:
    n, key = 3000, (7, 8, 9, 10, cpu.MEMBRANE_NOISE)
    expected, found = np.empty(n, np.float32), device.xp.zeros(n, np.float32)
    cpu.fill_normal(expected, *key)
    device.launch("philox", "fill_normal", 2, 128, (found, np.int32(n), *map(np.uint32, key)))
    np.testing.assert_array_equal(device.to_host(found), expected)


def test_membrane_noise_equals_numba(device: Any) -> None:
    expected, found = np.empty((3, noise.GROUP), np.float32), device.xp.zeros(3 * noise.GROUP, np.float32)
    for group in range(3):
        noise.fill_deviates(expected[group], group, 7, 8, 9, 10)
    device.launch("philox", "fill_membrane_deviates", 2, 128, (found, np.int32(expected.size), *map(np.uint32, (7, 8, 9, 10))))
    np.testing.assert_array_equal(device.to_host(found), expected.reshape(-1))
