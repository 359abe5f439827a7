"""Peri-stimulus time histograms: mean rate per condition, bin and unit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def psth(
    counts: NDArray[np.integer[Any]],
    trial_condition: NDArray[np.int32],
    n_conditions: int,
    bin_size_s: float,
    *,
    use: NDArray[np.bool_],
    observed: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Average over trials.

    Parameters
    ----------
    counts : (trial, time, unit)
        Spikes per bin, 0 where a unit was not observed.
    trial_condition : (trial,)
        Condition of each trial.
    n_conditions : int
        Number of conditions.
    bin_size_s : float
        Bin width in seconds.
    use : (trial,) bool
        The trials to average.
    observed : (trial, unit) bool or None
        Units recorded in each trial; all when None.

    Returns
    -------
    (condition, time, unit) float64
        Rates in Hz; NaN for a unit that no trial of the condition observed.

    """
    rate_hz = np.empty((n_conditions, *counts.shape[1:]))
    for condition in range(n_conditions):
        trials = np.flatnonzero(use & (trial_condition == condition))
        n = np.full(counts.shape[2], len(trials)) if observed is None else observed[trials].sum(axis=0)
        with np.errstate(invalid="ignore"):
            rate_hz[condition] = counts[trials].sum(axis=0, dtype=np.int64) / (n * bin_size_s)
    return rate_hz
