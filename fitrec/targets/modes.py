"""Principal components (modes) of a population: its PSTHs share a few time courses, trial noise does not."""

import numpy as np
from numpy.typing import NDArray

# Added to the square root of the mean rate that scales each unit, so that nearly silent units do not dominate (Hz^0.5).
SOFT_SCALE = 0.5

Array = NDArray[np.float64]


def leading_modes(rate_hz: Array, modes: int) -> Array:
    """Keep each unit's mean, and of the deviations the leading principal components.

    Units are scaled by the root of their mean rate before the components are sought.

    Parameters
    ----------
    rate_hz : (condition, time, unit)
    modes : int
        Number of components.

    Returns
    -------
    (condition, time, unit) float64
        Not negative.

    """
    flat = rate_hz.reshape(-1, rate_hz.shape[2])
    mean, scale = flat.mean(axis=0), unit_scale(flat)
    deviations = _weigh((flat - mean) / scale, np.ones(modes))
    return np.asarray(np.maximum(deviations * scale + mean, 0.0).reshape(rate_hz.shape))


def recurring_filter(gram: Array) -> Array:
    """Wiener's filter over samples: of the average of two measurements it keeps each mode in proportion to its reliability.

    Parameters
    ----------
    gram : (3, sample, sample)
        Products, summed over units, of the deviations of one measurement, of the other, and of the sum of both; only the upper
        triangles are read.

    Returns
    -------
    (sample, sample) float64
        Applied to the average's deviations from the left.

    """
    one, other, both = (np.triu(g) + np.triu(g, 1).T for g in gram)
    across = (both - one - other) / 2
    found = []
    for own in (one, other):
        energy, left = np.linalg.eigh(own)
        found.append(((left * (across @ left)).sum(axis=0)[::-1], energy[::-1]))
    gain = reliability(found[0][0] + found[1][0], found[0][1] + found[1][1])
    left = np.linalg.eigh(both)[1][:, ::-1][:, : len(gain)]
    return np.asarray((left * gain) @ left.T)


def recurrence_both_ways(one: Array, other: Array) -> tuple[Array, Array]:
    """Of each mode of one measurement: what of it stands in the other, and its energy; plus the same the other way round."""
    pairs = [_recurrence(one, other), _recurrence(other, one)]
    return pairs[0][0] + pairs[1][0], pairs[0][1] + pairs[1][1]


def _recurrence(one: Array, other: Array) -> tuple[Array, Array]:
    left = principal_modes(one)
    loadings = left.T @ one
    return (loadings * (left.T @ other)).sum(axis=1), (loadings**2).sum(axis=1)


def reliability(recurring: Array, energy: Array) -> Array:
    """Reliability of each mode in the average of two measurements (Spearman-Brown), falling from mode to mode."""
    usable = energy > 1e-12 * energy.max(initial=0.0)
    half = np.clip(recurring[usable] / energy[usable], 0.0, 1.0)
    return np.asarray(np.minimum.accumulate(2 * half / (1 + half)))


def _weigh(deviations: Array, gain: Array) -> Array:
    """Leading principal components of (sample, unit) times their gains."""
    left = principal_modes(deviations)[:, : len(gain)]
    return np.asarray((left * gain[: left.shape[1]]) @ (left.T @ deviations))


def principal_modes(deviations: Array) -> Array:
    """Time courses (sample, mode) of the principal components, the strongest first; units may be many, samples are few."""
    return np.asarray(np.linalg.eigh(deviations @ deviations.T)[1][:, ::-1])


def unit_scale(flat: Array) -> Array:
    """Scale of the units of (sample, unit) rates: about that of their Poisson noise."""
    return np.asarray(np.sqrt(flat.mean(axis=0)) + SOFT_SCALE)
