import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitrec.errors import TargetsError
from fitrec.targets import siegert
from fitrec.targets.drive import invert_fi

DRIVES = np.linspace(-4.0, 4.0, 161)


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


def test_a_silent_neuron_has_no_inverse() -> None:
    with pytest.raises(TargetsError, match="f-I curve has 0 different rates above 0"):
        invert_fi(np.ones(3), DRIVES, np.zeros(161), 0.1)
