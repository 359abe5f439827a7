"""Normal deviates as the published simulator, NEST 3, draws them for parameters of neurons.

The 64-bit Mersenne Twister (Matsumoto and Nishimura; ``std::mt19937_64`` in C++), seeded by O'Neill's seed sequence, which is
NumPy's `SeedSequence` too, and Marsaglia's polar method in the order of GNU's ``std::normal_distribution``.
"""

from collections.abc import Iterator
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

_WORDS, _SHIFT = 312, 156
_LOW, _HIGH = (1 << 31) - 1, (1 << 64) - (1 << 31)
_MATRIX = 0xB5026F5AA96619E9
_PARAMETERS_OF_NEURONS, _PROCESS = 0xB84C9BAE, 0  # the stream's name, and the virtual process


def normals(seed: int, number: int) -> NDArray[np.float64]:
    """Return the first deviates (number,) of a simulation with this seed on one virtual process."""
    uniforms = (word / 2.0**64 for word in _words([seed, _PARAMETERS_OF_NEURONS, _PROCESS]))
    drawn: list[float] = []
    while len(drawn) < number:
        x, y = (2 * next(uniforms) - 1 for _ in range(2))
        square = x * x + y * y
        if 0 < square <= 1:
            size = sqrt(-2 * log(square) / square)
            drawn += [y * size, x * size]
    return np.array(drawn[:number])


def _words(seeds: list[int]) -> Iterator[int]:
    """64-bit words of the generator."""
    halves = [int(half) for half in np.random.SeedSequence(seeds).generate_state(2 * _WORDS, np.uint32)]
    state = [low | high << 32 for low, high in zip(halves[::2], halves[1::2], strict=True)]
    while True:
        for k in range(_WORDS):
            joined = (state[k] & _HIGH) | (state[(k + 1) % _WORDS] & _LOW)
            state[k] = state[(k + _SHIFT) % _WORDS] ^ (joined >> 1) ^ (_MATRIX if joined & 1 else 0)
        for word in state:
            word ^= (word >> 29) & 0x5555555555555555
            word ^= (word << 17) & 0x71D67FFFEDA60000
            word ^= (word << 37) & 0xFFF7EEE000000000
            yield word ^ (word >> 43)
