import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitrec.errors import TargetsError
from fitrec.kernels.reference import drive as reference
from fitrec.targets import siegert
from fitrec.targets.drive import inverse_curve, invert

DRIVES = np.linspace(-4.0, 4.0, 161)


def invert_fi(rate_hz: np.ndarray, drives: np.ndarray, rates: np.ndarray, floor_hz: float) -> np.ndarray:
    return invert(rate_hz, inverse_curve(drives, rates), floor_hz)


def test_inverts_a_smooth_curve() -> None:
    curve = siegert.rate(DRIVES, 0.3092, 10.0)
    wanted = np.geomspace(0.1, 150.0, 50)
    expected = siegert.inverse(wanted, 0.3092, 10.0, floor_hz=0.1)
    np.testing.assert_allclose(invert_fi(wanted, DRIVES, curve, 0.1), expected, atol=2e-3)


def test_noise_of_the_curve_is_averaged() -> None:
    rng = np.random.default_rng(1)
    curve = siegert.rate(DRIVES, 0.65, 10.0)
    noisy = rng.poisson(curve * 20) / 20
    wanted = np.geomspace(0.5, 100, 20)
    np.testing.assert_allclose(invert_fi(wanted, DRIVES, noisy, 0.1), siegert.inverse(wanted, 0.65, 10.0, floor_hz=0.1), atol=0.1)


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=30))
def test_monotone_also_beyond_the_curve(rates: list[float]) -> None:
    curve = siegert.rate(DRIVES, 0.65, 10.0)
    drives = invert_fi(np.sort(rates), DRIVES, curve, 1e-3)
    assert np.isfinite(drives).all()
    assert (np.diff(drives) >= -1e-12).all()


def test_beyond_the_curve_the_last_chord_goes_on() -> None:
    drives = invert_fi(np.array([30.0, 40.0]), np.array([0.0, 1.0, 2.0]), np.array([1.0, 10.0, 20.0]), 0.1)
    np.testing.assert_allclose(drives, [3.0, 4.0])
    below = invert_fi(np.array([0.1, 0.0]), np.array([0.0, 1.0, 2.0]), np.array([1.0, 10.0, 20.0]), 0.01)
    np.testing.assert_allclose(below, [-1.0, -2.0])


@pytest.mark.parametrize("points", [2, 3, 40, 161])
def test_equals_the_textbook_form(points: int) -> None:
    """Between the knots, on them and beyond; curves with steps a thousand times as high as others."""
    rng = np.random.default_rng(points)
    drives, rates = np.sort(rng.uniform(-4, 4, points)), np.cumsum(rng.uniform(1e-3, 1, points) ** 6 + 1e-6)
    wanted = np.concatenate((rates, np.geomspace(1e-5, 3 * rates[-1], 3000), [0.0])).reshape(-1, 1)
    expected = reference.invert(wanted, rates, drives, 1e-4)
    np.testing.assert_allclose(invert_fi(wanted, drives, rates, 1e-4), expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


def test_what_is_not_finite_stays_so() -> None:
    drives = invert_fi(np.array([np.nan, np.inf, 1.0]), np.array([0.0, 1.0]), np.array([0.5, 2.0]), 0.1)
    assert np.isnan(drives[0])
    assert drives[1] == np.inf
    assert np.isfinite(drives[2])


def test_rates_are_inverted_in_pieces_on_any_number_of_threads() -> None:
    curve = inverse_curve(DRIVES, siegert.rate(DRIVES, 0.65, 10.0))
    rates = np.random.default_rng(2).gamma(1.0, 5.0, (3, 100, 250))
    expected = invert(rates, curve, 0.1)
    np.testing.assert_array_equal(invert(rates, curve, 0.1, threads=3), expected)
    np.testing.assert_array_equal(invert(rates[1], curve, 0.1), expected[1])


def test_a_silent_neuron_has_no_inverse() -> None:
    with pytest.raises(TargetsError, match="f-I curve has 0 different rates above 0"):
        invert_fi(np.ones(3), DRIVES, np.zeros(161), 0.1)
