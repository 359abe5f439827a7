"""Less noisy targets: the population's PSTHs share a few time courses, trial noise does not.

A PSTH of few trials is partly noise, and a network that follows it exactly fits the noise. The training PSTHs of all units are
taken apart into principal components (modes), and each mode is kept as far as it recurs from one half of the training trials to
the other.
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
    left, strength, right = np.linalg.svd((flat - mean) / scale, full_matrices=False)
    kept = min(len(gain), len(strength))
    deviations = (left[:, :kept] * (strength[:kept] * gain[:kept])) @ right[:kept]
    return np.asarray(np.maximum(deviations * scale + mean, 0.0).reshape(rate_hz.shape))


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
    recurring, energy = np.zeros(counts.shape[2]), np.zeros(counts.shape[2])
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
        for one, other in ((a, b), (b, a)):
            left, strength, right = np.linalg.svd(one, full_matrices=False)
            n = len(strength)
            recurring[:n] += strength * np.einsum("tm,tu,mu->m", left, other, right, optimize=True)
            energy[:n] += strength**2
    usable = energy > 1e-12 * energy.max(initial=0.0)
    half_reliability = np.clip(recurring[usable] / energy[usable], 0.0, 1.0)
    return np.asarray(np.minimum.accumulate(np.sqrt(2 * half_reliability / (1 + half_reliability))))


def _scale(flat: Array) -> Array:
    return np.asarray(np.sqrt(flat.mean(axis=0)) + SOFT_SCALE)
