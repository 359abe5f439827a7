"""Drives from rates, by the inverse of a measured f-I curve, and what `ridge` does with them; value by value, in float64."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fitrec.kernels.cpu.math import fma, log

CHUNK = 256  # rates whose logarithms are taken together


class InverseCurve(NamedTuple):
    """Drive as a function of the rate: a cubic of its logarithm between knots; see `fitrec.targets.drive.inverse_curve`."""

    log_rate: NDArray[Any]  # (knot,) float64, ascending
    cubic: NDArray[Any]  # (knot - 1, 4) float64, of the distance from the knot before, highest power first
    begin: NDArray[Any]  # (piece,) int32: of equal pieces of log_rate, the last knot not above where each begins
    pieces_per_log: Any  # float64: pieces per unit of log_rate
    first_rate: Any  # float64: below it the drive goes on along `below` in log(rate), from the first knot
    last_rate: Any  # float64: from it on the drive goes on along `above` in rate, from `last_drive`
    last_drive: Any  # float64
    below: Any  # float64
    above: Any  # float64


@njit(nogil=True, cache=True)
def logarithms(x):
    """Return the logarithms of (n,) float64 as `invert` takes them."""
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = log(x[i])
    return out


@njit(inline="always")
def _drive_at(rate, log_rate, curve):
    if not rate < curve.last_rate:  # also what is not a number, and stays so
        return curve.last_drive + (rate - curve.last_rate) * curve.above
    start = log_rate - curve.log_rate[0]
    if rate < curve.first_rate:
        return fma(start, curve.below, curve.cubic[0, 3])
    piece = min(max(np.int64(start * curve.pieces_per_log), 0), len(curve.begin) - 1)
    k = np.int64(curve.begin[piece])
    while k > 0 and log_rate < curve.log_rate[k]:
        k -= 1
    while k + 2 < len(curve.log_rate) and not log_rate < curve.log_rate[k + 1]:
        k += 1
    d, c = log_rate - curve.log_rate[k], curve.cubic[k]
    return fma(fma(fma(c[0], d, c[1]), d, c[2]), d, c[3])


@njit(nogil=True, cache=True)
def invert(rate, floor, curve, out, first, last):
    """Drive at which a neuron fires at each of the rates first..last-1.

    Parameters
    ----------
    rate, out : (n,) float64
        Rates that are not a number give drives that are not.
    floor : float64
        Rates below it are raised to it; above 0.
    curve : InverseCurve

    """
    wanted, logs = np.empty(CHUNK), np.empty(CHUNK)
    for start in range(first, last, CHUNK):
        n = min(CHUNK, last - start)
        for i in range(n):
            r = rate[start + i]
            wanted[i] = floor if r < floor else r
        for i in range(n):
            logs[i] = log(wanted[i])
        for i in range(n):
            out[start + i] = _drive_at(wanted[i], logs[i], curve)


@njit(nogil=True, cache=True)
def misses(wanted, rate, floor, curve, out, first, last):
    """Find what the drives of rates lack of the wanted ones; see `invert`."""
    invert(rate, floor, curve, out, first, last)
    for i in range(first, last):
        out[i] = wanted[i] - out[i]


@njit(nogil=True, cache=True)
def move(average, fresh, weight, first, last):
    """Move averages towards new values."""
    for i in range(first, last):
        average[i] += weight * (fresh[i] - average[i])


@njit(nogil=True, cache=True)
def correct(correction, found, gain, most, first, last):
    """Add a share of what was found to miss, kept within bounds."""
    for i in range(first, last):
        x = found[i]
        correction[i] += gain * (-most if x < -most else most if x > most else x)


@njit(nogil=True, cache=True)
def plastic(needed, correction, current, out, first, last):
    """Work out what the plastic inputs have to supply."""
    for i in range(first, last):
        out[i] = needed[i] + correction[i] - current[i]
