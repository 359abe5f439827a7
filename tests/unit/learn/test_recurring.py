"""What two measurements share: kept, of anything else little; the same as in the textbook form."""

import numpy as np
import pytest

from fitrec.kernels.reference import drive as reference
from fitrec.learn import recurring


def recurring_part(first: np.ndarray, second: np.ndarray, threads: int = 1) -> np.ndarray:
    return np.asarray(recurring.recurring_part(first, second, recurring.HostRecurring(threads)))


def measurements(n_samples: int, n_units: int, noise: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A signal of three time courses (2 conditions, time, unit) and two measurements; the units' noise differs a hundredfold."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1, n_samples).reshape(2, -1)
    courses = np.stack([np.sin(2 * np.pi * (0.5 + 0.4 * mode) * time + rng.uniform(0, 6)) for mode in range(3)])
    signal = 12.0 + 2.0 * np.einsum("mct,mu->ctu", courses, rng.normal(size=(3, n_units)))
    own = noise * 10.0 ** rng.uniform(-1, 1, n_units)
    return signal, *(signal + own * rng.normal(size=signal.shape) for _ in range(2))


@pytest.mark.parametrize(("n_samples", "n_units"), [(2, 3), (16, 1), (40, 60), (34, 4500)])
def test_equals_the_textbook_form(n_samples: int, n_units: int) -> None:
    """More and fewer units than samples, several groups of units; one unit without noise."""
    _, first, second = measurements(n_samples, n_units, 1.0)
    second[:, :, -1] = first[:, :, -1]
    expected = reference.recurring_part(*(x.reshape(n_samples, n_units) for x in (first, second)))
    np.testing.assert_allclose(recurring_part(first, second).reshape(expected.shape), expected, rtol=1e-8, atol=1e-9)


def test_is_nearer_to_the_signal_than_the_average() -> None:
    signal, first, second = measurements(80, 60, 2.0)
    average = (first + second) / 2
    found = recurring_part(first, second)
    np.testing.assert_allclose(found.mean(axis=(0, 1)), average.mean(axis=(0, 1)))
    assert ((found - signal) ** 2).mean() < 0.3 * ((average - signal) ** 2).mean()


def test_equal_measurements_are_kept() -> None:
    signal, *_ = measurements(80, 60, 0.0)
    np.testing.assert_allclose(recurring_part(signal, signal), signal)
    constant = np.broadcast_to(signal[0, 0], signal.shape)
    np.testing.assert_allclose(recurring_part(constant, constant), constant)


def test_threads_change_no_bit() -> None:
    _, first, second = measurements(36, 2100, 1.0)
    np.testing.assert_array_equal(recurring_part(first, second, 3), recurring_part(first, second, 1))
