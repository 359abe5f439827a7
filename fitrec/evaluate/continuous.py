"""How well a network follows held-out time: information about single spikes, and a linear regression to hold it against."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.evaluate.psth import correlate, r_squared

Array = NDArray[np.float64]

# Rates below this share of a unit's mean are raised to it in likelihoods: a spike where a rate is 0 would be impossible.
FLOOR = 0.1
FOLDS = 5
# Ridge penalties that are tried, relative to the variance of an input.
PENALTIES = np.logspace(-4, 2, 13)


def score_held_out_time(
    model_hz: Array,
    linear_hz: Array,
    untrained_hz: Array | None,
    train_hz: Array,
    test_hz: Array,
    counts: NDArray[Any],
    bin_s: float,
) -> dict[str, Array]:
    """Score each unit in the held-out segments beside the linear regression.

    Parameters
    ----------
    model_hz, linear_hz, untrained_hz : (segment, time, unit)
        Smoothed rates of the network, of the regression, and of the network before training; NaN where not simulated.
    train_hz, test_hz : (segment, time, unit)
        Smoothed recorded rates, NaN in the segments of the other kind and where a unit was not recorded.
    counts : (segment, time, unit)
        Recorded spikes.
    bin_s : float

    Returns
    -------
    dict of (unit,) arrays
        ``bits_per_spike``, ``bits_per_spike_linear``, ``bits_per_spike_untrained``, ``r_linear``, ``r2_linear``.

    """
    mean_hz = np.nanmean(train_hz, axis=(0, 1))
    held_out = np.isfinite(test_hz)

    def bits(rate_hz: Array | None) -> Array:
        return np.full(len(mean_hz), np.nan) if rate_hz is None else bits_per_spike(rate_hz, mean_hz, counts, held_out, bin_s)

    return {
        "bits_per_spike": bits(model_hz),
        "bits_per_spike_linear": bits(linear_hz),
        "bits_per_spike_untrained": bits(untrained_hz),
        "r_linear": correlate(linear_hz, test_hz),
        "r2_linear": r_squared(linear_hz, test_hz),
    }


def bits_per_spike(rate_hz: Array, mean_hz: Array, counts: NDArray[Any], use: NDArray[np.bool_], bin_s: float) -> Array:
    """Poisson log likelihood of counts beyond that of a constant rate, in bits per spike.

    ``sum(k log2(m / m0) - (m - m0) / ln 2) / sum(k)`` with the expected counts m and m0 = mean x bin (Pillow et al. 2008).
    Rates below a tenth of the mean are raised to it.

    Parameters
    ----------
    rate_hz : (segment, time, unit)
    mean_hz : (unit,)
        The constant rate to compare with, that of the training time.
    counts : (segment, time, unit)
    use : (segment, time, unit) bool
        Bins that count.
    bin_s : float

    Returns
    -------
    (unit,) float64
        NaN for units without a rate, or without a spike in these bins.

    """
    floor_hz = np.maximum(FLOOR * mean_hz, np.finfo(np.float64).tiny)
    relative = np.maximum(rate_hz, floor_hz) / np.maximum(mean_hz, np.finfo(np.float64).tiny)
    terms = counts * np.log(relative) - (relative - 1) * mean_hz * bin_s
    spikes = np.where(use, counts, 0).sum(axis=(0, 1), dtype=np.float64)
    total = np.where(use, terms, 0.0).sum(axis=(0, 1))
    return np.where(spikes > 0, total / (np.maximum(spikes, 1) * np.log(2)), np.nan)


def linear_rates(input_hz: Array, train_hz: Array) -> Array:
    """Ridge regression of each unit's smoothed rate on those of the input units at the same time.

    The penalty of each unit is the one that predicts best within training time, in five stretches of it left out in turn.

    Parameters
    ----------
    input_hz : (segment, time, input)
        Smoothed.
    train_hz : (segment, time, unit)
        Smoothed; NaN in held-out segments, and where a unit was not recorded.

    Returns
    -------
    (segment, time, unit) float64
        Predictions, not negative, for all segments.

    """
    recorded = np.isfinite(train_hz).all(axis=1)
    predicted = np.empty(train_hz.shape)
    # Units that were recorded in the same segments share their regressions.
    patterns, of_unit = np.unique(recorded, axis=1, return_inverse=True)
    for k, pattern in enumerate(patterns.T):
        units = np.flatnonzero(of_unit.reshape(-1) == k)
        segments = np.flatnonzero(pattern)
        regression = _Regression(input_hz, train_hz[:, :, units], segments)
        predicted[:, :, units] = regression.predict(input_hz, _best_penalty(input_hz, train_hz[:, :, units], segments))
    return np.maximum(predicted, 0.0)


def _best_penalty(inputs: Array, rates: Array, segments: NDArray[np.int64]) -> Array:
    """Return the penalty (unit,) with the least squared error in stretches of `segments` left out in turn."""
    folds = [fold for fold in np.array_split(segments, FOLDS) if len(fold)]
    if len(folds) < 2:
        return np.ones(rates.shape[2])
    error = np.zeros((len(PENALTIES), rates.shape[2]))
    for fold in folds:
        regression = _Regression(inputs, rates, np.setdiff1d(segments, fold))
        for k, penalty in enumerate(PENALTIES):
            error[k] += ((regression.predict(inputs[fold], penalty) - rates[fold]) ** 2).sum(axis=(0, 1))
    return np.asarray(PENALTIES[error.argmin(axis=0)])


class _Regression:
    """Ridge regressions of rates (segment, time, unit) on inputs (segment, time, input) in some segments, for any penalty."""

    def __init__(self, inputs: Array, rates: Array, segments: NDArray[np.int64]) -> None:
        x, y = (a[segments].reshape(-1, a.shape[2]) for a in (inputs, rates))
        self._mean, self._scale, self._constant = x.mean(axis=0), x.std(axis=0), y.mean(axis=0)
        self._scale = np.where(self._scale > 0, self._scale, 1.0)
        x = (x - self._mean) / self._scale
        self._values, self._vectors = np.linalg.eigh(x.T @ x / len(x))
        self._projected = self._vectors.T @ (x.T @ (y - self._constant) / len(x))

    def predict(self, inputs: Array, penalty: Any) -> Array:
        """Rates (..., unit) for inputs (..., input); one penalty, or one for each unit."""
        weights = self._vectors @ (self._projected / (self._values[:, None] + penalty))
        return np.asarray((inputs - self._mean) / self._scale @ weights + self._constant)
