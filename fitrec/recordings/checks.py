"""Rules that every recording must obey; a reader calls them before it returns."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.errors import RecordingError

# Usual ones first.
_SAMPLE_RATES_HZ = (30_000, 20_000, 25_000, 32_000, 24_414.0625, 1_000, 1_000_000)
# No cell fires faster for long; times that imply it are in another unit.
_MAX_RATE_HZ = 1000.0


def check_units(unit_ids: NDArray[Any], where: str) -> None:
    """At least one unit, all ids different."""
    if len(unit_ids) == 0:
        raise RecordingError(f"{where} holds no units; fitrec needs at least one")
    ids, n = np.unique(unit_ids, return_counts=True)
    if (n > 1).any():
        raise RecordingError(
            f"unit id {ids[n > 1][0]} occurs {n[n > 1][0]} times in {where}; make the ids unique, for example by adding the probe"
        )


def check_trials(trials: pd.DataFrame, where: str) -> None:
    """No trial stops before it starts; a time may be missing (NaN), which the targets stage minds where it needs it."""
    late = np.flatnonzero(trials["start_time"].to_numpy() > trials["stop_time"].to_numpy())
    if late.size:
        row = trials.iloc[late[0]]
        raise RecordingError(
            f"trial {late[0]} of {where} stops at {row['stop_time']} s, before it starts at {row['start_time']} s; "
            "correct the table"
        )


def check_spike_times(
    times_s: NDArray[np.float64],
    indptr: NDArray[np.int64],
    unit_ids: NDArray[Any],
    where: str,
    trials_end_s: float | None,
) -> None:
    """Finite, non-negative and sorted times in seconds.

    Parameters
    ----------
    times_s : (spike,)
        Times of all units, unit after unit.
    indptr : (unit + 1,)
        Unit i owns ``times_s[indptr[i]:indptr[i + 1]]``.
    unit_ids : (unit,)
        Names for the messages.
    where : str
        Names the file in messages.
    trials_end_s : float or None
        End of the last trial: tells samples from seconds.

    """

    def owner(spike: int) -> tuple[object, int]:
        unit = int(np.searchsorted(indptr, spike, side="right")) - 1
        return unit_ids[unit], spike - int(indptr[unit])

    if indptr[0] != 0 or indptr[-1] != times_s.size or (np.diff(indptr) < 0).any():
        raise RecordingError(
            f"the index of the spike times in {where} does not fit their number ({times_s.size}); the file is damaged"
        )
    bad = np.flatnonzero(~np.isfinite(times_s))
    if bad.size:
        unit, i = owner(bad[0])
        raise RecordingError(f"spike {i} of unit {unit} in {where} has time {times_s[bad[0]]}; every spike needs a finite time")
    bad = np.flatnonzero(times_s < 0)
    if bad.size:
        unit, i = owner(bad[0])
        raise RecordingError(
            f"spike {i} of unit {unit} in {where} has the negative time {times_s[bad[0]]:g} s; times count from the start of the "
            "recording, so shift all times or remove the spike"
        )
    falls = np.diff(times_s) < 0
    borders = indptr[1:-1]
    falls[borders[(borders > 0) & (borders < times_s.size)] - 1] = False
    bad = np.flatnonzero(falls)
    if bad.size:
        unit, i = owner(bad[0] + 1)
        raise RecordingError(
            f"spike times of unit {unit} in {where} are not sorted: spike {i} at {times_s[bad[0] + 1]:g} s follows one at "
            f"{times_s[bad[0]]:g} s; sort them, or mend the clock if it was reset"
        )
    _check_time_unit(times_s, indptr, unit_ids, where, trials_end_s)


def _check_time_unit(
    times_s: NDArray[np.float64],
    indptr: NDArray[np.int64],
    unit_ids: NDArray[Any],
    where: str,
    trials_end_s: float | None,
) -> None:
    if times_s.size == 0:
        return
    last = float(times_s.max())
    whole = times_s.size >= 50 and bool((times_s == np.rint(times_s)).all())
    if whole or (trials_end_s and last > 100 * trials_end_s):
        raise RecordingError(
            f"spike times in {where} look like samples, not seconds: "
            f"{'all are whole numbers and ' if whole else ''}the last is {last:g}"
            + (f", while the last trial ends at {trials_end_s:g} s" if trials_end_s else "")
            + f"; divide them by the sampling rate{_likely_rate(last, trials_end_s)}"
        )
    if trials_end_s and last < trials_end_s / 100:
        raise RecordingError(
            f"spike times in {where} end at {last:g} s, but the last trial ends at {trials_end_s:g} s; "
            "bring both to seconds on one clock"
        )
    n = np.diff(indptr)
    for unit in np.flatnonzero(n >= 100):
        first, final = times_s[indptr[unit]], times_s[indptr[unit + 1] - 1]
        if n[unit] > _MAX_RATE_HZ * (final - first):
            raise RecordingError(
                f"unit {unit_ids[unit]} in {where} has {n[unit]} spikes in {final - first:g} s, more than {_MAX_RATE_HZ:g} Hz; "
                "spike times must be in seconds"
            )


def _likely_rate(last: float, trials_end_s: float | None) -> str:
    """Name a usual sampling rate that would make the spikes end with the last trial or somewhat later."""
    if trials_end_s:
        for rate in _SAMPLE_RATES_HZ:
            if 0.9 < last / rate / trials_end_s < 2:
                return f" ({rate:g} Hz would fit)"
    return ""


def inside_intervals(times_s: NDArray[np.float64], intervals_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which times (spike,) lie in any of the closed intervals (interval, 2)."""
    if len(intervals_s) == 0:
        return np.zeros(times_s.shape, np.bool_)
    ordered = intervals_s[np.argsort(intervals_s[:, 0])]
    before = np.searchsorted(ordered[:, 0], times_s, side="right") - 1
    latest_stop = np.maximum.accumulate(ordered[:, 1])
    return (before >= 0) & (times_s <= latest_stop[before])


def check_counts(counts: NDArray[Any], unit_ids: NDArray[Any], where: str) -> NDArray[np.unsignedinteger[Any]]:
    """Return counts (trial, time, unit) as the smallest unsigned integers that hold them.

    Raises
    ------
    RecordingError
        Naming the first value that is no count: NaN, negative, or not a whole number.

    """
    if counts.dtype.kind not in "biuf":
        raise RecordingError(f"the counts in {where} have type {counts.dtype}; whole numbers are wanted")
    if counts.dtype.kind in "if":
        bad = ~((counts >= 0) & (counts == np.rint(counts)) & np.isfinite(counts))
        if bad.any():
            trial, time, unit = np.argwhere(bad)[0]
            value = counts[trial, time, unit]
            hint = "mark missing trials by n_trials_key" if np.isnan(value) else "give the counts before smoothing or scaling"
            raise RecordingError(
                f"the count of unit {unit_ids[unit]} in trial {trial}, bin {time} of {where} is {value}; counts must be whole "
                f"numbers, zero or more: {hint}"
            )
    most = int(counts.max()) if counts.size else 0
    return counts.astype(np.min_scalar_type(most), copy=False)


def check_rates(rate_hz: NDArray[np.float64], conditions: list[str], unit_ids: NDArray[Any], where: str) -> None:
    """Finite, non-negative rates (condition, time, unit) in Hz."""
    bad = np.argwhere(~(np.isfinite(rate_hz) & (rate_hz >= 0)))
    if bad.size:
        condition, time, unit = bad[0]
        raise RecordingError(
            f"the rate of unit {unit_ids[unit]} in condition {conditions[condition]}, bin {time} of {where} is "
            f"{rate_hz[condition, time, unit]} ({len(bad)} such values in all); rates must be finite and not negative: "
            "mend or remove such units"
        )
