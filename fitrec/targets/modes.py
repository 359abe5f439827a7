"""Less noisy targets: the population's PSTHs share a few time courses, trial noise does not.

A PSTH of few trials is partly noise, and a network that follows it exactly fits the noise. The training PSTHs of all units are
projected on their leading principal components; how many is chosen on the training trials alone, by predicting some of them from
the others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.targets.psth import psth

FOLDS = 5
REPEATS = 4
MAX_MODES = 40
# Added to the square root of the mean rate that scales each unit, so that nearly silent units do not dominate (Hz^0.5).
SOFT_SCALE = 0.5

Array = NDArray[np.float64]
Smoother = Callable[[Array], Array]


def leading_modes(rate_hz: Array, n_modes: int) -> Array:
    """Keep each unit's mean and the leading principal components of the deviations, units scaled by the root of their mean rate.

    Parameters
    ----------
    rate_hz : (condition, time, unit)
    n_modes : int

    Returns
    -------
    (condition, time, unit) float64
        Not negative.

    """
    mean, scale, left, right = _decompose(rate_hz)
    return _compose(left[:, :n_modes] @ right[:n_modes], mean, scale, rate_hz.shape)


def choose_modes(
    counts: NDArray[np.integer[Any]],
    trial_condition: NDArray[np.int32],
    n_conditions: int,
    bin_size_s: float,
    smoother: Smoother,
    *,
    observed: NDArray[np.bool_] | None = None,
    seed: int = 1,
) -> int:
    """Choose the number of modes of most training trials that predicts the other training trials best.

    Five-fold cross-validation within each condition, repeated. The score is the correlation over conditions and time, averaged
    over units by weight; a unit weighs as much as its own PSTH predicts, so that the clearly modulated ones decide.

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
        Seed of the folds.

    """
    rng = np.random.default_rng(seed)
    by_modes, by_psth = np.zeros((MAX_MODES, counts.shape[2])), np.zeros(counts.shape[2])
    for _ in range(REPEATS):
        fold = np.full(len(counts), -1)
        for condition in range(n_conditions):
            trials = np.flatnonzero(trial_condition == condition)
            fold[rng.permutation(trials)] = np.arange(len(trials)) % FOLDS
        for left_out in range(FOLDS):
            fitted, predicted = (
                psth(counts, trial_condition, n_conditions, bin_size_s, use=use, observed=observed)
                for use in (fold != left_out, fold == left_out)
            )
            usable = np.isfinite(fitted.sum(axis=(0, 1)) + predicted.sum(axis=(0, 1)))
            if usable.any():
                fitted, predicted = smoother(fitted[:, :, usable]), smoother(predicted[:, :, usable])
                by_modes[:, usable] += _correlations_by_modes(fitted, predicted)
                by_psth[usable] += _correlations(fitted, predicted)
    return int(np.argmax(by_modes @ np.maximum(by_psth, 0.0))) + 1


def _correlations_by_modes(rate_hz: Array, other_hz: Array) -> Array:
    """Correlations (mode, unit) of the first 1, 2, ... modes of some trials with other trials."""
    mean, scale, left, right = _decompose(rate_hz)
    found = np.empty((MAX_MODES, rate_hz.shape[2]))
    sum_of_modes = np.zeros((left.shape[0], rate_hz.shape[2]))
    for mode in range(MAX_MODES):
        if mode < left.shape[1]:
            sum_of_modes += np.outer(left[:, mode], right[mode])
        found[mode] = _correlations(_compose(sum_of_modes, mean, scale, rate_hz.shape), other_hz)
    return found


def _correlations(a: Array, b: Array) -> Array:
    """Pearson's r of each unit over conditions and time; 0 where one of the two is constant."""
    a, b = (values.reshape(-1, values.shape[2]) - values.mean(axis=(0, 1)) for values in (a, b))
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray((a * b).sum(axis=0) / np.where(norm > 0, norm, np.inf))


def _decompose(rate_hz: Array) -> tuple[Array, Array, Array, Array]:
    flat = rate_hz.reshape(-1, rate_hz.shape[2])
    mean = flat.mean(axis=0)
    scale = np.sqrt(mean) + SOFT_SCALE
    left, strength, right = np.linalg.svd((flat - mean) / scale, full_matrices=False)
    return mean, scale, left * strength, right


def _compose(deviations: Array, mean: Array, scale: Array, shape: tuple[int, ...]) -> Array:
    return np.asarray(np.maximum(deviations * scale + mean, 0.0).reshape(shape))
