import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import erfcx

from fitrec.targets import siegert

# Published by the notebooks of TrainSpikingNet (sigma 0.65, tau 10 ms, threshold 1, reset 0), Hz: drive.
PUBLISHED = {
    0.1: -0.749397, 0.0333333: -0.887292, 0.0357143: -0.878981, 0.0384615: -0.870006, 0.42735: -0.54407, 0.480769: -0.525916,
    0.5: -0.51981, 0.545455: -0.506156, 0.5625: -0.501289, 1.3125: -0.358576, 6.21601: -0.0306708, 6.38112: -0.0240227,
    27.5787: 0.466731, 28.1274: 0.475752, 28.6364: 0.484046,
}  # fmt: skip
DRIVES = [-0.75, -0.5, -0.25, 0, 0.25, 0.48, 0.75, 1.2]
RATES = {
    0.65: [0.0995449, 0.5670863, 2.3300069, 7.0036260, 16.0291852, 28.3873088, 46.9305124, 83.9302517],
    0.4: [1.16823e-6, 1.588700e-4, 9.5257918e-3, 0.2452687, 2.6075765, 10.8440943, 29.5110413, 70.7962912],
}


@pytest.mark.parametrize("sigma", [0.65, 0.4])
def test_forward_golden_values(sigma: float) -> None:
    np.testing.assert_allclose(siegert.rate(np.array(DRIVES), sigma, 10.0), RATES[sigma], rtol=5e-6)


def test_published_pairs() -> None:
    drives = siegert.inverse(np.array(list(PUBLISHED)), 0.65, 10.0, floor_hz=0.01)
    np.testing.assert_allclose(drives, list(PUBLISHED.values()), atol=8e-6)


def test_inverse_golden_values() -> None:
    drives = siegert.inverse(np.array([0.1, 1, 5, 10, 20, 50]), 0.3092, 10.0, floor_hz=0.01)
    np.testing.assert_allclose(drives, [0.1682244, 0.3334056, 0.4945779, 0.5919021, 0.7268508, 1.0404441], atol=1e-7)


def test_zero_rates_get_the_floor() -> None:
    drives = siegert.inverse(np.array([[0.0, 0.05], [0.1, 5.0]]), 0.65, 10.0, floor_hz=0.1)
    np.testing.assert_array_equal(drives[0], drives[1, 0])
    assert drives.shape == (2, 2)
    assert siegert.inverse(np.zeros((0, 3)), 0.65, 10.0, floor_hz=0.1).shape == (0, 3)


@given(st.floats(0.05, 5.0), st.floats(-2.0, 5.0), st.floats(-1.0, 0.5))
def test_equals_quadrature(sigma: float, mu: float, reset: float) -> None:
    start, stop = (reset - mu) / sigma, (1.0 - mu) / sigma
    if stop > 25:  # the integral overflows
        return
    integral = quad(lambda x: erfcx(-x), start, stop, epsabs=0, epsrel=1e-12, limit=500)[0]
    expected = 1 / (0.02 * np.sqrt(np.pi) * integral)
    np.testing.assert_allclose(siegert.rate(mu, sigma, 20.0, 1.0, reset), expected, rtol=1e-9)


@given(st.floats(0.02, 3.0), st.floats(1e-6, 1000.0), st.floats(2.0, 50.0))
def test_inverse_inverts(sigma: float, rate_hz: float, tau_m_ms: float) -> None:
    mu = siegert.inverse(np.array([rate_hz]), sigma, tau_m_ms, floor_hz=1e-9)
    np.testing.assert_allclose(siegert.rate(mu, sigma, tau_m_ms), rate_hz, rtol=1e-9)


def test_extremes_do_not_overflow() -> None:
    rates = siegert.rate(np.array([-1000.0, -30.0, 0.0, 1.0, 30.0]), 0.02, 10.0)
    assert np.isfinite(rates).all()
    assert (np.diff(rates) >= 0).all()
    # Without noise: 1 / (tau log((mu - reset) / (mu - threshold))).
    assert siegert.rate(2.0, 1e-3, 10.0) == pytest.approx(100 / np.log(2), rel=1e-4)
