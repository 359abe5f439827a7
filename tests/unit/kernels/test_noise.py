"""Membrane noise: bits of the generator counted, each neuron with words of its own."""

import numpy as np
import pytest

from fitrec.kernels.cpu import noise as fast
from fitrec.kernels.cpu.lif_step import add_noise
from fitrec.kernels.reference import philox as reference

STEP, TRIAL, CONDITION, SEED = 7, 8, 9, 10


def deviates(groups: int, step: int = STEP, trial: int = TRIAL, condition: int = CONDITION, seed: int = SEED) -> np.ndarray:
    out = np.empty((groups, fast.GROUP), np.float32)
    for group in range(groups):
        fast.fill_deviates(out[group], group, step, trial, condition, seed)
    return out.reshape(-1)


def test_numba_equals_the_reference() -> None:
    found = deviates(3)
    expected = reference.membrane_deviate(np.arange(len(found)), STEP, TRIAL, CONDITION, SEED)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=0)
    one_by_one = [fast.deviate(i, STEP, TRIAL, CONDITION, SEED) for i in range(len(found))]
    np.testing.assert_array_equal(found, one_by_one)


def test_neurons_share_no_word() -> None:
    i = np.arange(3 * fast.GROUP)
    call, word = fast.LANES * (i // fast.GROUP) + i % fast.LANES, i % fast.GROUP // fast.LANES
    assert len(set(zip(call.tolist(), word.tolist(), strict=True))) == len(i)
    assert (call.max() + 1) * 4 == len(i)  # and none is left over


def test_moments() -> None:
    """Binomial of 32 coins: excess kurtosis -2 / 32."""
    z = deviates(1000).astype(np.float64)
    n = len(z)
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(1.94 / n)
    assert abs((z**3).mean()) < 4 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3 + 2 / 32) < 4 * np.sqrt(90 / n)


@pytest.mark.parametrize("argument", ["step", "trial", "condition", "seed"])
def test_every_counter_and_key_gives_another_sequence(argument: str) -> None:
    first = deviates(40)
    second = deviates(40, **{argument: 11})
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(first))


def test_neurons_are_independent_of_their_neighbours() -> None:
    """Words of one call, and calls of neighbouring counters, have nothing in common."""
    z = np.stack([deviates(1, step=step) for step in range(400)])
    correlation = np.corrcoef(z, rowvar=False)
    off = correlation[~np.eye(fast.GROUP, dtype=bool)]
    assert abs(off.std() * np.sqrt(400) - 1) < 0.02
    assert abs(off).max() < 6 / np.sqrt(400)


def test_what_a_membrane_sees_is_gaussian() -> None:
    """Filtered over 20 steps: quantiles of a normal distribution, as far as 100,000 samples tell."""
    v = np.zeros(100 * fast.GROUP)
    for step in range(150):
        v = 0.95 * v + deviates(100, step=step)
    v *= np.sqrt(1 - 0.95**2)
    for quantile, place in ((0.001, -3.0902), (0.02275, -2.0), (0.15866, -1.0), (0.5, 0.0), (0.84134, 1.0), (0.999, 3.0902)):
        assert abs((v < place).mean() - quantile) < 4.5 * np.sqrt(quantile * (1 - quantile) / len(v))


@pytest.mark.parametrize(("first", "last"), [(0, 512), (0, 7), (500, 530), (511, 512), (512, 1030), (100, 1600)])
def test_a_part_of_the_neurons_gets_the_noise_of_the_whole(first: int, last: int) -> None:
    rest = np.random.default_rng(1).normal(size=1600).astype(np.float32)
    v, whole = rest.copy(), rest.copy()
    scratch, amplitude = np.empty(fast.GROUP, np.float32), np.float32(0.3)
    add_noise(whole, amplitude, 0, STEP, TRIAL, CONDITION, SEED, scratch)
    add_noise(v[first:last], amplitude, first, STEP, TRIAL, CONDITION, SEED, scratch)
    np.testing.assert_array_equal(v[first:last], whole[first:last])
    np.testing.assert_array_equal(v[:first], rest[:first])
    np.testing.assert_array_equal(v[last:], rest[last:])
    np.testing.assert_allclose(whole - rest, 0.3 * deviates(4)[:1600], rtol=0, atol=1e-6)
