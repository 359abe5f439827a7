"""How well a perfect model could do: ceilings from the recording's own trials and from the number of simulated trials.

The test PSTH of a unit is signal plus trial noise, y = s + n. Its reliability is var(s) / var(y). A model that knows s exactly
correlates with y by sqrt(reliability), and no model can be expected to do better: the ceiling. The reliability is estimated from
random halvings of the test trials: the mean correlation of the two halves' PSTHs, r_half, is the reliability of a PSTH of half as
many trials, and the formula 2 r_half / (1 + r_half) doubles it (Spearman 1910, Brown 1910; for PSTHs see Schoppe et al. 2016).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.evaluate.psth import Method, correlate, mean_defined

# Smooths an array along one axis of time bins; linear, as `fitrec.targets.smoothing.smooth` with its settings bound.
Smoother = Callable[..., NDArray[np.float64]]

_UNITS_AT_ONCE = 1024


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """Ceilings of all units.

    Attributes
    ----------
    half_r : (unit,) float64
        Correlation of the PSTHs of two random halves of the trials, mean over the splits.
    reliability : (unit,) float64
        Spearman-Brown reliability of the PSTH of all these trials.
    r : (unit,) float64
        The highest correlation a noise-free model can be expected to reach with that PSTH: the root of the reliability.
    reason : list of str
        Why the ceiling is undefined (NaN), else "".

    """

    half_r: NDArray[np.float64]
    reliability: NDArray[np.float64]
    r: NDArray[np.float64]
    reason: list[str]


def split_half_ceiling(
    counts: NDArray[np.integer[Any]],
    trial_condition: NDArray[np.integer[Any]],
    smooth: Smoother,
    *,
    observed: NDArray[np.bool_] | None = None,
    splits: int = 50,
    seed: int = 0,
    method: Method = "concatenated",
) -> Ceiling:
    """Ceiling of the correlation with the PSTHs of these trials, from random halvings stratified by condition.

    An odd number of trials is halved as evenly as it goes. For a unit that missed trials (`observed`) its own trials are halved.
    Conditions with fewer than two trials cannot be halved and do not enter.

    Parameters
    ----------
    counts : (trial, time, unit) integers
        Spikes per bin of the trials behind the PSTH (the test trials).
    trial_condition : (trial,) integers
        Condition of each trial.
    smooth : callable
        ``smooth(x, axis=...)``: the smoothing of the PSTHs.
    observed : (trial, unit) bool or None
        Whether a unit was recorded in a trial; None: all were.
    splits, seed : int
        Number of random halvings and their seed.
    method : str
        As in `fitrec.evaluate.psth.correlate`.

    """
    n_trials, n_bins, n_units = counts.shape
    keys = np.random.default_rng(seed).random((splits, n_trials))
    by_condition = [np.flatnonzero(trial_condition == c) for c in np.unique(trial_condition)]
    half_r = np.full(n_units, np.nan)
    reason = [""] * n_units
    for unit in range(n_units):
        own = [t if observed is None else t[observed[t, unit]] for t in by_condition]
        own = [t for t in own if len(t) >= 2]
        if not own:
            reason[unit] = "no condition with two test trials"
            continue
        # Smoothing is linear: smoothing the trials once is smoothing every half's PSTH.
        trials = smooth(counts[:, :, unit].astype(np.float64), axis=1)
        halves = np.empty((2, len(own), n_bins, splits))
        for k, t in enumerate(own):
            order = keys[:, t].argsort(axis=1)
            first = np.zeros((splits, len(t)))
            np.put_along_axis(first, order[:, : len(t) // 2], 1.0, axis=1)
            for half, member in enumerate((first, 1.0 - first)):
                halves[half, k] = (member @ trials[t] / member.sum(axis=1, keepdims=True)).T
        r = correlate(halves[0], halves[1], method)
        if np.isnan(r).mean() > 0.5:
            reason[unit] = "too few spikes to halve the test trials"
        else:
            half_r[unit] = mean_defined(r)
    reliability = spearman_brown(half_r)
    for worst in np.flatnonzero(half_r <= 0):
        reason[int(worst)] = "halves of the test trials do not correlate"
    return Ceiling(half_r=half_r, reliability=reliability, r=np.sqrt(reliability), reason=reason)


def spearman_brown(half_r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reliability of the whole from the correlation of its halves: 2 r / (1 + r); NaN unless the correlation is positive."""
    positive = np.where(half_r > 0, half_r, np.nan)
    return np.asarray(2 * positive / (1 + positive))


def poisson_ceiling(
    rate_hz: NDArray[Any],
    trials: int,
    bin_size_s: float,
    smooth: Smoother,
    *,
    blurred: bool = True,
    draws: int = 20,
    seed: int = 0,
    method: Method = "concatenated",
) -> NDArray[np.float64]:
    """Estimate how well a perfect network's PSTH correlates with the target when its spikes are Poisson and its trials few.

    The network fires at exactly the target rates, and its PSTH is smoothed like the recording's: PSTH = smooth(poisson). The
    target is thereby smoothed a second time, so a network whose rates are sharper than the smoothed target can do better; without
    that blur (`blurred` false) PSTH = rate + smooth(poisson - rate), the bound for any network with Poisson spikes.

    Parameters
    ----------
    rate_hz : (condition, time, unit)
        Target rates; NaN where there are none.
    trials : int
        Simulated trials per condition.
    bin_size_s : float
        Bin width in seconds.
    smooth, method
        As in `split_half_ceiling`.
    blurred : bool
        Whether the target is smoothed again along with the noise.
    draws, seed : int
        Monte Carlo repetitions that are averaged, and their seed.

    Returns
    -------
    (unit,) float64
        NaN where the target is constant.

    """
    rng = np.random.default_rng(seed)
    ceiling = np.full(rate_hz.shape[2], np.nan)
    for start in range(0, rate_hz.shape[2], _UNITS_AT_ONCE):
        rate = np.asarray(rate_hz[:, :, start : start + _UNITS_AT_ONCE], np.float64)
        known = np.nan_to_num(rate)
        scale = trials * bin_size_s
        expected = np.where(np.isfinite(rate), smooth(known, axis=1) if blurred else known, np.nan)
        r = [
            correlate(expected + smooth(rng.poisson(known * scale) / scale - known, axis=1), rate, method) for _ in range(draws)
        ]  # a draw without any spike has a constant PSTH, hence no correlation
        ceiling[start : start + _UNITS_AT_ONCE] = mean_defined(np.stack(r))
    return ceiling
