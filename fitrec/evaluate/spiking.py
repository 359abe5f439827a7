"""Statistics of spike trains beyond the PSTH: irregularity, variability over trials, shared variability, weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.evaluate.psth import mean_defined

MIN_INTERVALS = 20


def cv_isi(
    unit: NDArray[np.integer[Any]],
    trial: NDArray[np.integer[Any]],
    time: NDArray[Any],
    n_units: int,
    min_intervals: int = MIN_INTERVALS,
) -> NDArray[np.float32]:
    """Coefficient of variation of the intervals between successive spikes within a trial, pooled over trials.

    Intervals that span trials do not count. A window cuts off long intervals, so compare only trains seen through like windows.

    Parameters
    ----------
    unit, trial, time : (spike,)
        Unit, trial and time of each spike, in any order; time in any unit.
    n_units : int
        Number of units.
    min_intervals : int
        Units with fewer intervals get NaN.

    Returns
    -------
    (unit,) float32

    """
    order = np.lexsort((time, trial, unit))
    unit, trial, time = unit[order], trial[order], time[order]
    within = (unit[1:] == unit[:-1]) & (trial[1:] == trial[:-1])
    interval = (time[1:] - time[:-1])[within].astype(np.float64)
    owner = unit[1:][within]
    n = np.bincount(owner, minlength=n_units)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(owner, interval, minlength=n_units) / n
        deviation = interval - mean[owner]
        cv = np.sqrt(np.bincount(owner, deviation**2, minlength=n_units) / (n - 1)) / mean
    return np.where(n >= min_intervals, cv, np.nan).astype(np.float32)


def fano_factor(
    window_counts: NDArray[Any], trial_condition: NDArray[np.integer[Any]], observed: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Variance over mean of the spike count over a condition's trials, averaged over conditions.

    Parameters
    ----------
    window_counts : (trial, unit)
        Spikes in the whole window.
    trial_condition : (trial,) integers
        Condition of each trial.
    observed : (trial, unit) bool or None
        Whether a unit was recorded in a trial.

    Returns
    -------
    (unit,) float64
        NaN where no condition has two trials and a spike.

    """
    per_condition = []
    for c in np.unique(trial_condition):
        of = trial_condition == c
        seen = np.ones_like(window_counts[of], bool) if observed is None else observed[of]
        x = np.where(seen, window_counts[of], 0.0)
        n = seen.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = x.sum(axis=0) / n
            variance = (np.where(seen, x - mean, 0.0) ** 2).sum(axis=0) / (n - 1)
            fano = np.where((n >= 2) & (mean > 0), variance / mean, np.nan)
        per_condition.append(fano)
    return mean_defined(np.stack(per_condition))


def sample_pairs(units: NDArray[np.integer[Any]], n_pairs: int, seed: int) -> NDArray[np.int64]:
    """At most `n_pairs` different pairs of different units, drawn at random: (pair, 2)."""
    n = len(units)
    total = n * (n - 1) // 2
    if total == 0:
        return np.empty((0, 2), np.int64)
    if total <= n_pairs:
        first, second = np.triu_indices(n, 1)
    else:
        # Pair number k of the strictly upper triangle in row order; drawn without replacement.
        k = np.sort(np.random.default_rng(seed).choice(total, n_pairs, replace=False))
        edges = np.concatenate([[0], np.cumsum(np.arange(n - 1, 0, -1))])
        first = np.searchsorted(edges, k, side="right") - 1
        second = k - edges[first] + first + 1
    return np.stack([units[first], units[second]], axis=1).astype(np.int64)


def noise_correlations(
    window_counts: NDArray[Any], trial_condition: NDArray[np.integer[Any]], pairs: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Correlation over trials of two units' spike counts, each count as a deviation from its condition's mean.

    Parameters
    ----------
    window_counts : (trial, unit)
        Spikes in the whole window.
    trial_condition : (trial,) integers
        Condition of each trial.
    pairs : (pair, 2) integers
        Units of each pair.

    Returns
    -------
    (pair,) float64
        NaN where a unit's count never varies.

    """
    x = np.asarray(window_counts, np.float64).copy()
    for c in np.unique(trial_condition):
        of = trial_condition == c
        x[of] -= x[of].mean(axis=0)
    spread = np.sqrt((x**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.where(spread > 1e-12, x / spread, np.nan)
    return np.asarray(np.einsum("tp,tp->p", x[:, pairs[:, 0]], x[:, pairs[:, 1]]))


def weight_statistics(before: NDArray[Any], after: NDArray[Any], n_exc: int) -> dict[str, dict[str, float | None]]:
    """Summarise what training did to the plastic weights, for E and I inputs apart.

    Parameters
    ----------
    before, after : (trained, input)
        Weights in threshold ms.
    n_exc : int
        Number of excitatory inputs of every neuron; they come first.

    Returns
    -------
    dict
        ``{"exc" | "inh": {"mean_before", "mean_after", "sd_after", "sign_changed"}}``, the last being the fraction of
        weights that left their sign; None for a population without inputs.

    """
    table: dict[str, dict[str, float | None]] = {}
    for name, sign, part in (("exc", 1, slice(0, n_exc)), ("inh", -1, slice(n_exc, None))):
        w0, w1 = before[:, part], after[:, part]
        empty = w0.size == 0
        table[name] = {
            "mean_before": None if empty else float(w0.mean(dtype=np.float64)),
            "mean_after": None if empty else float(w1.mean(dtype=np.float64)),
            "sd_after": None if empty else float(w1.std(dtype=np.float64)),
            "sign_changed": None if empty else float((sign * w1 < 0).mean()),
        }
    return table
