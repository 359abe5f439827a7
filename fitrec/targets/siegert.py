"""The Siegert/Ricciardi rate of a leaky integrate-and-fire neuron with white noise, and its inverse.

    rate(mu) = 1 / (tau sqrt(pi) I),    I = integral from a = (reset - mu) / sigma to b = (threshold - mu) / sigma of erfcx(-x) dx

without refractoriness, in continuous time. For x > 0 the integrand is 2 exp(x^2) - erfcx(x), whose first part integrates to
Dawson's function and is kept as a logarithm; erfcx itself is smooth and bounded, and Gauss-Legendre quadrature in log(1 + x)
integrates it. So no rate overflows, however small, and the inverse can work on log(rate), which is increasing and concave in mu.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import dawsn, erfcx, log_ndtr

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_TOLERANCE = 1e-12
_MAX_STEPS = 100
_TABLE_POINTS = 1000

Floats = NDArray[np.float64]


def rate(mu: Any, sigma: float, tau_m_ms: float, threshold: float = 1.0, reset: float = 0.0) -> Floats:
    """Rate in Hz of an isolated neuron.

    Parameters
    ----------
    mu : array
        Mean drive, in units of the voltage.
    sigma : float
        Noise amplitude, in units of the voltage, above 0.
    tau_m_ms : float
        Membrane time constant in ms.
    threshold, reset : float
        Voltages.

    Returns
    -------
    array of float64, shaped like `mu`

    """
    return np.asarray(np.exp(-_log_integral(np.asarray(mu, np.float64), sigma, threshold, reset)) / _time_scale_s(tau_m_ms))


def inverse(
    rate_hz: Any, sigma: float, tau_m_ms: float, threshold: float = 1.0, reset: float = 0.0, *, floor_hz: float
) -> Floats:
    """Drive at which an isolated neuron fires at `rate_hz`; rates below `floor_hz` (above 0) are raised to it first.

    Newton's method on log(rate), started from a table; log(rate) is concave, so a step that passes the solution ends below it,
    and from there none passes it again.
    """
    wanted = np.asarray(rate_hz, np.float64)
    target = np.log(np.maximum(wanted, floor_hz) * _time_scale_s(tau_m_ms)).ravel()
    if target.size == 0:
        return np.zeros(wanted.shape)
    span = threshold - reset + sigma
    low, high = threshold - span, threshold + span
    while -_log_integral(np.array([low]), sigma, threshold, reset)[0] > target.min():
        low -= threshold - low
    while -_log_integral(np.array([high]), sigma, threshold, reset)[0] < target.max():
        high += high - threshold
    table = np.linspace(low, high, _TABLE_POINTS)
    mu = np.interp(target, -_log_integral(table, sigma, threshold, reset), table)
    for _ in range(_MAX_STEPS):
        log_integral = _log_integral(mu, sigma, threshold, reset)
        at_threshold = _log_erfcx_minus((threshold - mu) / sigma)
        at_reset = _log_erfcx_minus((reset - mu) / sigma)
        slope = (np.exp(at_threshold - log_integral) - np.exp(at_reset - log_integral)) / sigma
        step = (target + log_integral) / slope
        mu += step
        if np.max(np.abs(step)) <= _TOLERANCE * (abs(threshold) + sigma):
            break
    return mu.reshape(wanted.shape)


def _time_scale_s(tau_m_ms: float) -> float:
    return float(tau_m_ms * 1e-3 * np.sqrt(np.pi))


def _log_integral(mu: Floats, sigma: float, threshold: float, reset: float) -> Floats:
    """Logarithm of the integral I."""
    a, b = (reset - mu) / sigma, (threshold - mu) / sigma
    below = _erfcx_integral(np.maximum(-b, 0.0), np.maximum(-a, 0.0))
    above = _erfcx_integral(np.maximum(a, 0.0), np.maximum(b, 0.0))
    upper, lower = np.maximum(b, 0.0), np.maximum(a, 0.0)
    with np.errstate(divide="ignore"):
        log_gauss = upper**2 + np.log(2 * dawsn(upper)) + np.log1p(-np.exp(lower**2 - upper**2) * _dawson_ratio(lower, upper))
    # The rest is small beside a large first part, and the whole when b <= 0.
    largest = np.maximum(log_gauss, 0.0)
    return np.asarray(largest + np.log(np.exp(log_gauss - largest) + (below - above) * np.exp(-largest)))


def _dawson_ratio(lower: Floats, upper: Floats) -> Floats:
    return np.asarray(np.divide(dawsn(lower), dawsn(upper), out=np.zeros_like(lower), where=upper > 0))


def _erfcx_integral(start: Floats, stop: Floats) -> Floats:
    """Integral of erfcx over [start, stop], 0 <= start <= stop, by quadrature in s = log(1 + x)."""
    s0, s1 = np.log1p(start), np.log1p(stop)
    half = 0.5 * (s1 - s0)
    total = np.zeros_like(half)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        x = np.expm1(0.5 * (s0 + s1) + half * node)
        total += weight * erfcx(x) * (1.0 + x)
    return np.asarray(half * total)


def _log_erfcx_minus(x: Floats) -> Floats:
    """log(erfcx(-x)), which erfcx itself cannot hold for large x: erfcx(-x) = 2 exp(x^2) Phi(sqrt(2) x)."""
    return np.asarray(np.log(2.0) + x**2 + log_ndtr(np.sqrt(2.0) * x))
