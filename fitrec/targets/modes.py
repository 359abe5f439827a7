"""Less noisy targets: the population's PSTHs share a few time courses, trial noise does not.

A PSTH of few trials is partly noise, and a network that follows it exactly fits the noise. The training PSTHs of all units are
projected on their leading principal components; how many is chosen on the training trials alone, by predicting one half of them
from the other.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fitrec.targets.psth import psth
from fitrec.targets.targets import Targets

HALVINGS = 10
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


def choose_modes(targets: Targets, smoother: Smoother, seed: int) -> int:
    """Choose the number of modes with which one half of the training trials predicts the other half best.

    Scored by the mean over units of the correlation over conditions and time, averaged over random halvings of each condition.

    Parameters
    ----------
    targets : Targets
        With counts.
    smoother : callable
        Smooths (condition, time, unit) along time as the targets were smoothed.
    seed : int
        Seed of the halvings.

    """
    assert targets.counts is not None
    assert targets.trial_condition is not None
    assert targets.trial_is_test is not None
    rng = np.random.default_rng(seed)
    n_conditions = len(targets.condition_names)
    score = np.zeros(MAX_MODES)
    for _ in range(HALVINGS):
        first = np.zeros(len(targets.trial_condition), bool)
        for condition in range(n_conditions):
            trials = np.flatnonzero((targets.trial_condition == condition) & ~targets.trial_is_test)
            first[rng.permutation(trials)[: len(trials) // 2]] = True
        second = ~first & ~targets.trial_is_test
        halves = [
            psth(targets.counts, targets.trial_condition, n_conditions, targets.bin_size_s, use=use, observed=targets.observed)
            for use in (first, second)
        ]
        usable = np.isfinite(halves[0].sum(axis=(0, 1)) + halves[1].sum(axis=(0, 1)))
        if not usable.any():
            continue
        score += _scores(*(smoother(half[:, :, usable]) for half in halves))
    return int(np.argmax(score)) + 1


def _scores(rate_hz: Array, other_hz: Array) -> Array:
    """Mean correlation over units of the first 1, 2, ... modes of one half with the other half."""
    mean, scale, left, right = _decompose(rate_hz)
    wanted = _standardised(other_hz.reshape(-1, other_hz.shape[2]))
    scores = np.empty(MAX_MODES)
    sum_of_modes = np.zeros_like(wanted)
    for mode in range(MAX_MODES):
        if mode < left.shape[1]:
            sum_of_modes += np.outer(left[:, mode], right[mode])
        guess = _compose(sum_of_modes, mean, scale, rate_hz.shape).reshape(wanted.shape)
        scores[mode] = (_standardised(guess) * wanted).sum(axis=0).mean()
    return scores


def _decompose(rate_hz: Array) -> tuple[Array, Array, Array, Array]:
    flat = rate_hz.reshape(-1, rate_hz.shape[2])
    mean = flat.mean(axis=0)
    scale = np.sqrt(mean) + SOFT_SCALE
    left, strength, right = np.linalg.svd((flat - mean) / scale, full_matrices=False)
    return mean, scale, left * strength, right


def _compose(deviations: Array, mean: Array, scale: Array, shape: tuple[int, ...]) -> Array:
    return np.asarray(np.maximum(deviations * scale + mean, 0.0).reshape(shape))


def _standardised(values: Array) -> Array:
    """Columns with mean 0 and norm 1 (0 where constant), so that products of columns are correlations."""
    centred = values - values.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    return np.asarray(centred / np.where(norm > 0, norm, np.inf))
