import numpy as np
import pytest

from fitrec.kernels.cpu import philox as fast
from fitrec.kernels.reference import philox as reference

FULL = 0xFFFFFFFF
# Known answers of Random123 (kat_vectors, philox4x32 10): counter, key, words.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((FULL, FULL, FULL, FULL), (FULL, FULL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]) -> None:
    assert tuple(int(word) for word in fast.philox(*counter, *key)) == words
    assert tuple(reference.philox(*counter, *key).tolist()) == words


def test_streams_have_the_numbers_of_the_reference() -> None:
    from fitrec.kernels.reference import lif

    assert (reference.MEMBRANE_NOISE, lif.FEED_FORWARD) == (fast.MEMBRANE_NOISE, fast.FEED_FORWARD)
    streams = (fast.INITIAL_VOLTAGE, fast.MEMBRANE_NOISE, fast.STIMULUS, fast.FEED_FORWARD, fast.FEED_FORWARD_RATE)
    assert len(set(streams)) == 5


def test_numba_equals_the_reference() -> None:
    counters = np.random.default_rng(1).integers(0, 2**32, (300, 6))
    expected = np.stack([reference.philox(*row[:4], int(row[4]), int(row[5])) for row in counters])
    found = np.array([fast.philox(*row) for row in counters.tolist()])
    np.testing.assert_array_equal(found, expected)


def test_normal_is_the_scaled_sum_of_the_words() -> None:
    out = np.empty(5000, np.float32)
    fast.fill_normal(out, 7, 8, 9, 10, fast.MEMBRANE_NOISE)
    expected = reference.normal(np.arange(5000), 7, 8, 9, 10, fast.MEMBRANE_NOISE)
    np.testing.assert_allclose(out, expected, rtol=2e-7, atol=0)


def test_normal_moments() -> None:
    n = 500_000
    out = np.empty(n, np.float32)
    fast.fill_normal(out, 1, 2, 3, 4, fast.MEMBRANE_NOISE)
    z = out.astype(np.float64)
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(1.85 / n)
    assert abs((z**3).mean()) < 4 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3 + 0.15) < 0.03  # the sum of eight uniform numbers has excess kurtosis -1.2 / 8


@pytest.mark.parametrize("argument", range(1, 6))
def test_every_counter_and_key_gives_another_sequence(argument: int) -> None:
    n = 20_000
    first, second = np.empty(n, np.float32), np.empty(n, np.float32)
    arguments = [5, 6, 7, 8, 9]
    fast.fill_normal(first, *arguments)
    arguments[argument - 1] += 1
    fast.fill_normal(second, *arguments)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(n)


def test_ornstein_uhlenbeck_follows_its_recursion() -> None:
    x0 = np.array([1.0, -2.0, 0.5], np.float32)
    decay, noise, mean = 0.9, 0.3, 0.7
    path = np.empty((50, 3), np.float32)
    fast.ornstein_uhlenbeck(path, x0.copy(), np.float32(decay), np.float32(noise), np.float32(mean), 4, 0, 11, fast.STIMULUS)
    x = x0.astype(np.float64)
    for step in range(50):
        x = mean + decay * (x - mean) + noise * reference.normal(np.arange(3), step, 4, 0, 11, fast.STIMULUS)
        np.testing.assert_allclose(path[step], x, atol=2e-6)
