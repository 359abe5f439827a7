"""Philox4x32-10 and the normal deviates built on it, over whole arrays of counters (Salmon et al. 2011)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
MEMBRANE_NOISE = 2  # stream of the generator


def philox(c0: ArrayLike, c1: ArrayLike, c2: ArrayLike, c3: ArrayLike, seed: int, stream: int) -> NDArray[np.uint32]:
    """Four 32-bit words for each counter (c0, c1, c2, c3) under the key (seed, stream).

    Returns
    -------
    (word,) + shape of the counters, uint32

    """
    x0, x1, x2, x3 = np.broadcast_arrays(*(np.asarray(c, np.uint64) & _LOW for c in (c0, c1, c2, c3)))
    k0, k1 = seed & 0xFFFFFFFF, stream & 0xFFFFFFFF
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * x0, np.uint64(0xCD9E8D57) * x2
        x0, x1 = (p1 >> _SHIFT) ^ x1 ^ np.uint64(k0), p1 & _LOW
        x2, x3 = (p0 >> _SHIFT) ^ x3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([x0, x1, x2, x3]).astype(np.uint32)


def membrane_deviate(i: ArrayLike, step: ArrayLike, trial: ArrayLike, condition: ArrayLike, seed: int) -> NDArray[np.float64]:
    """Return neuron i's deviate of the membrane noise: ones among 32 random bits, less their mean, over their standard deviation.

    The bits are word (i mod 512) div 128 of the call with the counter (128 (i div 512) + i mod 128, step, trial, condition).
    """
    i = np.asarray(i)
    words = philox(128 * (i // 512) + i % 128, step, trial, condition, seed, MEMBRANE_NOISE)
    word = np.choose(i % 512 // 128, words)
    count = np.unpackbits(word[..., None].view(np.uint8), axis=-1).sum(axis=-1)
    return np.asarray((count - 16.0) / np.sqrt(8.0))


def normal(c0: ArrayLike, c1: ArrayLike, c2: ArrayLike, c3: ArrayLike, seed: int, stream: int) -> NDArray[np.float64]:
    """Sum of the eight 16-bit words of one call, with its mean removed and divided by its standard deviation."""
    words = philox(c0, c1, c2, c3, seed, stream).astype(np.int64)
    total = ((words & 0xFFFF) + (words >> 16)).sum(axis=0)
    return np.asarray((total - 4 * 65535) / np.sqrt(8 * (65536.0**2 - 1) / 12))
