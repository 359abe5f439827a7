"""Less noisy targets: the population's PSTHs share a few time courses, trial noise does not.

A PSTH of few trials is partly noise, and a network that follows it exactly fits the noise. The training PSTHs of all units are
taken apart into principal components (modes), and each mode is kept as far as it recurs from one half of the training trials to
the other. `recurring_part` does the same for any quantity measured twice.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.targets.psth import psth

HALVINGS = 10
# Added to the square root of the mean rate that scales each unit, so that nearly silent units do not dominate (Hz^0.5).
SOFT_SCALE = 0.5

Array = NDArray[np.float64]
Smoother = Callable[[Array], Array]


def weighted_modes(rate_hz: Array, gain: Array) -> Array:
    """Keep each unit's mean, and of the deviations the leading principal components times `gain`.

    Units are scaled by the root of their mean rate before the components are sought.

    Parameters
    ----------
    rate_hz : (condition, time, unit)
    gain : (mode,)
        Of the first, second, ... component; those beyond are left out.

    Returns
    -------
    (condition, time, unit) float64
        Not negative.

    """
    flat = rate_hz.reshape(-1, rate_hz.shape[2])
    mean, scale = flat.mean(axis=0), _scale(flat)
    deviations = _weigh((flat - mean) / scale, gain)
    return np.asarray(np.maximum(deviations * scale + mean, 0.0).reshape(rate_hz.shape))


def recurring_part(first: Array, second: Array) -> Array:
    """Best estimate of what two measurements with independent noise have in common.

    Each unit's mean over conditions and time is averaged over the two; of the deviations each principal component is kept in
    proportion to its reliability in the average (Wiener's gain, for the least squared error).

    Parameters
    ----------
    first, second : (condition, time, unit)

    Returns
    -------
    (condition, time, unit) float64

    """
    a, b = (half.reshape(-1, half.shape[2]) for half in (first, second))
    # Units in multiples of their noise: the reliable ones lead the components.
    noise = np.sqrt(((a - b) ** 2).mean(axis=0)) / 2
    scale = np.where(noise > 0, noise, max(float(noise.max(initial=0.0)), 1e-30))
    mean = (a.mean(axis=0) + b.mean(axis=0)) / 2
    halves = [(half - half.mean(axis=0)) / scale for half in (a, b)]
    reliability = _reliability(*(np.add(x, y) for x, y in zip(_recurrence(*halves), _recurrence(*halves[::-1]), strict=True)))
    return np.asarray((_weigh((halves[0] + halves[1]) / 2, reliability) * scale + mean).reshape(first.shape))


def mode_gains(
    counts: NDArray[np.integer[Any]],
    trial_condition: NDArray[np.int32],
    n_conditions: int,
    bin_size_s: float,
    smoother: Smoother,
    *,
    observed: NDArray[np.bool_] | None = None,
    seed: int = 1,
) -> Array:
    """Gain of each mode: the root of its reliability in the PSTH of all these trials.

    The trials of each condition are halved at random; the share of a mode of one half's PSTH that stands in the other's is its
    reliability at half the trials, and the Spearman-Brown formula doubles their number. Its root, rather than the reliability
    itself (Wiener's gain, which makes the squared error least), keeps the expected energy of what recurs.

    Parameters
    ----------
    counts : (trial, time, unit)
        Training trials only.
    trial_condition : (trial,)
    n_conditions : int
    bin_size_s : float
    smoother : callable
        Smooths (condition, time, unit) along time as the targets are smoothed.
    observed : (trial, unit) bool or None
        Units recorded in each trial; all when None.
    seed : int
        Seed of the halvings.

    Returns
    -------
    (mode,) float64
        From 1 to 0, falling; empty if no condition has two trials.

    """
    rng = np.random.default_rng(seed)
    by_condition = [np.flatnonzero(trial_condition == condition) for condition in range(n_conditions)]
    halved = [c for c, trials in enumerate(by_condition) if len(trials) >= 2]
    n_samples = len(halved) * counts.shape[1]
    recurring, energy = np.zeros(n_samples), np.zeros(n_samples)
    for _ in range(HALVINGS if halved else 0):
        first = np.zeros(len(counts), np.bool_)
        for condition in halved:
            trials = rng.permutation(by_condition[condition])
            first[trials[: len(trials) // 2]] = True
        a, b = (
            psth(counts, trial_condition, n_conditions, bin_size_s, use=use, observed=observed)[halved] for use in (first, ~first)
        )
        seen = np.isfinite(a.sum(axis=(0, 1)) + b.sum(axis=(0, 1)))
        a, b = (smoother(half[:, :, seen]).reshape(-1, int(seen.sum())) for half in (a, b))
        scale = _scale((a + b) / 2)
        a, b = ((half - half.mean(axis=0)) / scale for half in (a, b))
        for pair in ((a, b), (b, a)):
            for total, found in zip((recurring, energy), _recurrence(*pair), strict=True):
                total[: len(found)] += found
    return np.sqrt(_reliability(recurring, energy))


def _recurrence(one: Array, other: Array) -> tuple[Array, Array]:
    """Of each mode of one measurement: what of it stands in the other, and its energy (both per mode)."""
    left = _modes(one)
    loadings = left.T @ one
    return (loadings * (left.T @ other)).sum(axis=1), (loadings**2).sum(axis=1)


def _reliability(recurring: Array, energy: Array) -> Array:
    """Reliability of each mode in the average of two measurements (Spearman-Brown), falling from mode to mode."""
    usable = energy > 1e-12 * energy.max(initial=0.0)
    half = np.clip(recurring[usable] / energy[usable], 0.0, 1.0)
    return np.asarray(np.minimum.accumulate(2 * half / (1 + half)))


def _weigh(deviations: Array, gain: Array) -> Array:
    """Leading principal components of (sample, unit) times their gains."""
    left = _modes(deviations)[:, : len(gain)]
    return np.asarray((left * gain[: left.shape[1]]) @ (left.T @ deviations))


def _modes(deviations: Array) -> Array:
    """Time courses (sample, mode) of the principal components, the strongest first; units may be many, samples are few."""
    return np.asarray(np.linalg.eigh(deviations @ deviations.T)[1][:, ::-1])


def _scale(flat: Array) -> Array:
    return np.asarray(np.sqrt(flat.mean(axis=0)) + SOFT_SCALE)
