"""Drives from rates in their textbook forms: the inverse of an f-I curve, and what two noisy measurements have in common."""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float64]


def invert(rate_hz: Array, rates: Array, drives: Array, floor_hz: float) -> Array:
    """Drive at which a neuron fires at `rate_hz`, by a curve of ascending `rates` and `drives`; see `targets.drive`."""
    wanted = np.maximum(rate_hz, floor_hz)
    x, log_wanted = np.log(rates), np.log(wanted)
    inside = PchipInterpolator(x, drives)(np.clip(log_wanted, x[0], x[-1]))
    above = np.maximum(wanted - rates[-1], 0.0) * (drives[-1] - drives[-2]) / (rates[-1] - rates[-2])
    below = np.minimum(log_wanted - x[0], 0.0) * (drives[1] - drives[0]) / (x[1] - x[0])
    return np.asarray(inside + above + below)


def recurring_part(one: Array, other: Array) -> Array:
    """Estimate what two measurements (sample, unit) have in common, mode by mode; see `learn.recurring`."""
    noise = np.sqrt(((one - other) ** 2).mean(axis=0)) / 2
    scale = np.where(noise > 0, noise, max(float(noise.max(initial=0.0)), 1e-30))
    mean = (one.mean(axis=0) + other.mean(axis=0)) / 2
    a, b = ((half - half.mean(axis=0)) / scale for half in (one, other))
    found = [_recurrence(a, b), _recurrence(b, a)]
    recurring, energy = (x + y for x, y in zip(*found, strict=True))
    usable = energy > 1e-12 * energy.max(initial=0.0)
    half = np.clip(recurring[usable] / energy[usable], 0.0, 1.0)
    gain = np.minimum.accumulate(2 * half / (1 + half))
    left = _modes((a + b) / 2)[:, : len(gain)]
    return np.asarray((left * gain) @ (left.T @ ((a + b) / 2)) * scale + mean)


def _recurrence(one: Array, other: Array) -> tuple[Array, Array]:
    """Of each mode of one measurement: what of it stands in the other, and its energy."""
    left = _modes(one)
    loadings = left.T @ one
    return (loadings * (left.T @ other)).sum(axis=1), (loadings**2).sum(axis=1)


def _modes(deviations: Array) -> Array:
    """Time courses (sample, mode) of the principal components, the strongest first."""
    return np.asarray(np.linalg.eigh(deviations @ deviations.T)[1][:, ::-1])
