"""How closely the network's PSTHs follow their targets, measured where the trials' sums are."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import psth as kernel
from fitrec.learn.rule import Problem
from fitrec.learn.trial_sums import DeviceTrialSums, TrialSums
from fitrec.networks.weights import Weights
from fitrec.threads import thread_map

_Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
TILE = 512  # units per piece of work


def moments(psth_hz: NDArray[np.float64], rate_hz: NDArray[np.float64], threads: int | None = 1) -> NDArray[np.float64]:
    """Work out the sums that the correlations of (condition, time, unit) are made of: (3, condition, unit).

    They are the sums of products, of squares of the PSTH and of squares of the target, each as it deviates from its mean.
    """
    n_conditions, _, n_units = psth_hz.shape
    out = np.empty((3, n_conditions, n_units))
    psth_hz, rate_hz = np.ascontiguousarray(psth_hz, np.float64), np.ascontiguousarray(rate_hz, np.float64)

    def tile(place: tuple[int, int]) -> None:
        condition, first = place
        kernel.moments(psth_hz, rate_hz, out, condition, first, min(first + TILE, n_units))

    places = [(condition, first) for condition in range(n_conditions) for first in range(0, n_units, TILE)]
    thread_map(tile, places, threads if len(places) > 1 else 1)
    return out


def correlation_of(sums: NDArray[np.float64]) -> float:
    """Mean over conditions and units of Pearson's r along time, from (3, condition, unit) `moments`; NaN if defined for none.

    Units that do not vary where their target does, silent ones above all, count as 0: a network that loses its neurons must not
    win. Targets that do not vary are left out.
    """
    both, power, power_target = sums
    scale, target = np.sqrt(power * power_target), np.sqrt(power_target)
    defined = scale > 1e-12 * max(1.0, float(scale.max(initial=0.0)))
    counted = target > 1e-12 * max(1.0, float(target.max(initial=0.0)))
    return float((both[defined] / scale[defined]).sum() / counted.sum()) if defined.any() else float("nan")


def mean_correlation(psth_hz: NDArray[np.float64], rate_hz: NDArray[np.float64], threads: int | None = 1) -> float:
    """Return `correlation_of` smoothed PSTHs and their targets, both (condition, time, unit)."""
    return correlation_of(moments(psth_hz, rate_hz, threads))


def fit_correlation(
    problem: Problem, smooth_hz: NDArray[np.float64], conditions: NDArray[np.int64], target_hz: NDArray[np.float64]
) -> float:
    """Return `mean_correlation` of smoothed rates (condition, time, trained) of some conditions and the targets of all.

    Of their regions, where those are fitted. Segments of a continuous fit are joined in time, as far as a neuron's unit was
    recorded.
    """
    found, wanted = _compared(problem, smooth_hz, target_hz[conditions])
    if not problem.continuous:
        return mean_correlation(found, wanted)
    wanted, found = (x.reshape(1, -1, x.shape[2]) for x in (wanted, found))
    seen = np.isfinite(wanted)
    number = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    # What was not recorded takes the mean, from which it does not deviate.
    wanted, found = (np.where(seen, x, np.where(seen, x, 0).sum(axis=1, keepdims=True) / number) for x in (wanted, found))
    return mean_correlation(found, wanted)


def condition_correlation(problem: Problem, condition: int, psth_hz: NDArray[np.float64]) -> float:
    """Mean correlation of a condition's PSTH (time, trained), not smoothed yet, with its targets."""
    return mean_correlation(*_smoothed_and_target(problem, condition, psth_hz), problem.threads)


def moments_of(problem: Problem, condition: int, sums: TrialSums | DeviceTrialSums) -> NDArray[np.float64]:
    """`moments` (3, 1, trained) of the smoothed PSTH of a condition's trials; no more than these leaves a device."""
    if isinstance(sums, DeviceTrialSums):
        goal = problem.device_goal
        found = goal.smoother.moments(sums.smoothed_hz(goal.smoother, problem.bin_s), goal.rate_hz[condition])
        return found[:, None]
    return moments(*_smoothed_and_target(problem, condition, sums.psth_hz(problem.bin_s)), problem.threads)


def _smoothed_and_target(problem: Problem, condition: int, psth_hz: NDArray[np.float64]) -> _Pair:
    return _compared(problem, problem.smooth(psth_hz[None]), problem.rate_hz[condition : condition + 1])


def _compared(problem: Problem, smooth_hz: NDArray[np.float64], target_hz: NDArray[np.float64]) -> _Pair:
    """Return rates and targets, (condition, time, trained), or their means over regions; NaN in targets of no recorded unit."""
    if problem.regions is None:
        return smooth_hz, target_hz
    seen = np.isfinite(target_hz)
    wanted, numbers = problem.regions.means(target_hz, seen)
    return problem.regions.means(smooth_hz, seen)[0], np.where(numbers > 0, wanted, np.nan)


def smoothed_halves(problem: Problem, sums: TrialSums | DeviceTrialSums) -> Any:
    """Smoothed PSTHs of the even and of the odd trials: (half, time, trained) in Hz, where the sums are."""
    if isinstance(sums, DeviceTrialSums):
        return sums.smoothed_halves_hz(problem.device_goal.smoother, problem.bin_s)
    return problem.smooth(sums.psths_hz(problem.bin_s))


def halves_correlation(problem: Problem, halves_hz: Any, conditions: slice, on_device: bool) -> float:
    """Return `correlation_of` the mean of smoothed halves (half, condition, time, trained) with the conditions' targets."""
    if not on_device:
        return mean_correlation(halves_hz.mean(axis=0), problem.rate_hz[conditions], problem.threads)
    goal = problem.device_goal
    whole = zip(*halves_hz, goal.rate_hz[conditions], strict=True)
    found = [goal.smoother.moments((even + odd) / 2, rate_hz) for even, odd, rate_hz in whole]
    return correlation_of(np.stack(found, axis=1))


def validate(problem: Problem, weights: Weights, trials: int, first_trial: int) -> tuple[float, tuple[float, float]]:
    """Run closed-loop trials of every condition, or of some segments of a continuous fit, with frozen weights.

    Returns
    -------
    correlation : float
        See `correlation_of`.
    rates_hz : (E, I)

    """
    if problem.continuous:
        return _validate_time(problem, weights, range(first_trial, first_trial + trials))
    network = problem.simulator.network
    found, rates = [], []
    for condition in range(network.n_conditions):
        trials_of = range(first_trial, first_trial + trials)
        sums = problem.sum_trials(weights, condition, trials_of, on_device=problem.regions is None)
        found.append(moments_of(problem, condition, sums))
        rates.append(sums.mean_rates_hz(network.n_exc, problem.bin_s))
        problem.progress(condition, rates[-1], partial(correlation_of, found[-1]), frozen=True)
    exc, inh = np.mean(rates, axis=0)
    return correlation_of(np.concatenate(found, axis=1)), (float(exc), float(inh))


def _validate_time(problem: Problem, weights: Weights, trials: range) -> tuple[float, tuple[float, float]]:
    psths, rates = [], []
    for condition in problem.validated.tolist():
        sums = problem.sum_trials(weights, condition, trials, on_device=False)
        assert isinstance(sums, TrialSums)
        psths.append(sums.psth_hz(problem.bin_s))
        rates.append(sums.mean_rates_hz(problem.simulator.network.n_exc, problem.bin_s))
        problem.progress(condition, rates[-1], partial(condition_correlation, problem, condition, psths[-1]), frozen=True)
    exc, inh = np.mean(rates, axis=0)
    smooth_hz = problem.smooth(np.stack(psths))
    return fit_correlation(problem, smooth_hz, problem.validated, problem.rate_hz), (float(exc), float(inh))
