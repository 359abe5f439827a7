"""Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011), keyed by (seed, stream).

A value depends on its counter alone, never on the order of evaluation or on how neurons and trials are split over threads.
"""

import numpy as np
from numba import njit

M0 = np.uint64(0xD2511F53)
M1 = np.uint64(0xCD9E8D57)
W0 = np.uint32(0x9E3779B9)
W1 = np.uint32(0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)

# Streams: the second half of the key, one per purpose.
INITIAL_VOLTAGE, MEMBRANE_NOISE, STIMULUS, FEED_FORWARD, FEED_FORWARD_RATE = 1, 2, 3, 4, 5

# The sum of eight 16-bit words has mean 8 * 65535 / 2 and variance 8 * (65536^2 - 1) / 12.
NORMAL_MEAN = 262140
NORMAL_SCALE = np.float32(1.0 / np.sqrt(8.0 * (65536.0**2 - 1.0) / 12.0))


@njit(inline="always")
def philox(c0, c1, c2, c3, seed, stream):
    """Four 32-bit words for the counter (c0, c1, c2, c3) and the key (seed, stream)."""
    x0, x1, x2, x3 = np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)
    k0, k1 = np.uint32(seed), np.uint32(stream)
    for _ in range(10):
        p0 = M0 * np.uint64(x0)
        p1 = M1 * np.uint64(x2)
        y0 = np.uint32(np.uint32(p1 >> SHIFT) ^ x1 ^ k0)
        y2 = np.uint32(np.uint32(p0 >> SHIFT) ^ x3 ^ k1)
        x1 = np.uint32(p1 & LOW)
        x3 = np.uint32(p0 & LOW)
        x0 = y0
        x2 = y2
        k0 = np.uint32(k0 + W0)
        k1 = np.uint32(k1 + W1)
    return x0, x1, x2, x3


@njit(inline="always")
def normal(c0, c1, c2, c3, seed, stream):
    """Return a normal deviate (float32) from one call: the scaled sum of its eight 16-bit words, which are exact integers."""
    x0, x1, x2, x3 = philox(c0, c1, c2, c3, seed, stream)
    total = np.int32(0)
    total += np.int32(x0 & np.uint32(0xFFFF)) + np.int32(x0 >> np.uint32(16))
    total += np.int32(x1 & np.uint32(0xFFFF)) + np.int32(x1 >> np.uint32(16))
    total += np.int32(x2 & np.uint32(0xFFFF)) + np.int32(x2 >> np.uint32(16))
    total += np.int32(x3 & np.uint32(0xFFFF)) + np.int32(x3 >> np.uint32(16))
    return np.float32(total - np.int32(NORMAL_MEAN)) * NORMAL_SCALE


@njit(nogil=True, cache=True)
def fill_normal(out, c1, c2, c3, seed, stream):
    """Fill `out[i]` with the normal deviate of counter (i, c1, c2, c3)."""
    for i in range(out.shape[0]):
        out[i] = normal(i, c1, c2, c3, seed, stream)


@njit(nogil=True, cache=True)
def ornstein_uhlenbeck(out, x, decay, noise, mean, c2, c3, seed, stream):
    """Fill `out[step, i]` with x <- mean + decay (x - mean) + noise z, starting from the array x (changed in place)."""
    for step in range(out.shape[0]):
        for i in range(out.shape[1]):
            z = normal(i, step, c2, c3, seed, stream)
            x[i] = mean + decay * (x[i] - mean) + noise * z
            out[step, i] = x[i]
