"""Chooses units; every one left out is listed with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.errors import RecordingError
from fitrec.recordings.recording import Recording, exclusion_table

# What the column `reason` of an exclusion table may say; the last two come from the targets stage.
REASONS = ("silent", "area", "label", "low rate", "low presence", "beyond max_units", "silent in window", "no trials")

_PRESENCE_PARTS = 100


def select_units(
    recording: Recording,
    *,
    min_rate_hz: float = 0.0,
    min_presence: float = 0.0,
    areas: Sequence[str] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
    max_units: int | None = None,
) -> Recording:
    """Keep the units that pass all filters; silent units never pass.

    Parameters
    ----------
    recording : Recording
        With all units of the source.
    min_rate_hz : float
        Smallest mean rate over all trials or conditions, or the whole recording.
    min_presence : float
        Smallest fraction of the trials, or of 100 equal parts of the recording, with a spike.
    areas : sequence of str or None
        Areas to keep.
    columns : mapping
        Column of the units table -> values to keep.
    max_units : int or None
        Keep the units with the highest rates.

    Raises
    ------
    RecordingError
        If a filter names a column that does not exist, or no unit is left.

    """
    units = recording.units
    rate_hz, presence = mean_rate_hz(recording), _presence(recording)
    reasons = np.full(len(units), "", dtype=object)
    details = np.full(len(units), "", dtype=object)

    def leave_out(failing: NDArray[np.bool_], reason: str, describe: Any) -> None:
        for unit in np.flatnonzero(failing & (reasons == "")):
            reasons[unit], details[unit] = reason, describe(unit)

    leave_out(rate_hz == 0, "silent", lambda _: "no spike in the whole recording")
    if areas is not None:
        found = units["area"]
        leave_out(~found.isin(list(areas)).to_numpy(), "area", lambda u: f"area is '{found[u]}', wanted {', '.join(areas)}")
    for column, wanted in (columns or {}).items():
        if column not in units:
            raise RecordingError(
                f"the units of {recording.name} have no column '{column}' to filter by; they have {', '.join(units.columns)}"
            )
        values = units[column]
        shown = ", ".join(str(w) for w in wanted)
        leave_out(
            ~values.isin(list(wanted)).to_numpy(), "label", lambda u, c=column, v=values, s=shown: f"{c} is '{v[u]}', wanted {s}"
        )
    leave_out(rate_hz < min_rate_hz, "low rate", lambda u: f"{rate_hz[u]:.3g} Hz, wanted {min_rate_hz:g} Hz")
    leave_out(presence < min_presence, "low presence", lambda u: f"{presence[u]:.3g}, wanted {min_presence:g}")
    if max_units is not None:
        order = np.argsort(np.where(reasons == "", -rate_hz, np.inf), kind="stable")
        beyond = np.isin(np.arange(len(units)), order[max_units:])
        leave_out(beyond, "beyond max_units", lambda u: f"{rate_hz[u]:.3g} Hz, wanted the {max_units} highest rates")

    keep = reasons == ""
    out = exclusion_table(units["unit_id"][~keep].tolist(), reasons[~keep].tolist(), details[~keep].tolist())
    if not keep.any():
        raise RecordingError(f"no unit of {recording.name} is left: {summary(out)}; loosen the filters")
    kept = _take(recording, np.flatnonzero(keep))
    return replace(kept, excluded=pd.concat([recording.excluded, out], ignore_index=True) if len(recording.excluded) else out)


def resample_units(recording: Recording, n_units: int, seed: int) -> Recording:
    """Draw units with replacement: a surrogate population of any size, numbered from 0.

    The column ``source_unit_id`` of its units table holds the unit that each is a copy of; spikes and rates are exact copies.
    """
    drawn = np.random.default_rng(seed).integers(recording.n_units, size=n_units)
    surrogate = _take(recording, drawn)
    units = surrogate.units.rename(columns={"unit_id": "source_unit_id"})
    units.insert(0, "unit_id", np.arange(n_units))
    return replace(surrogate, units=units)


def _take(recording: Recording, chosen: NDArray[np.int64]) -> Recording:
    """Return the recording with the units of these indices, in this order."""
    changes: dict[str, Any] = {"units": recording.units.iloc[chosen].reset_index(drop=True)}
    if recording.spike_times_s is not None and recording.spike_indptr is not None:
        n = np.diff(recording.spike_indptr)[chosen]
        stops = np.cumsum(n)
        first = np.repeat(recording.spike_indptr[chosen] - (stops - n), n)
        changes["spike_times_s"] = recording.spike_times_s[first + np.arange(n.sum())]
        changes["spike_indptr"] = np.concatenate([[0], stops])
    for name in ("counts", "observed", "rate_hz"):
        values = getattr(recording, name)
        if values is not None:
            changes[name] = values[..., chosen]
    return replace(recording, **changes)


def summary(excluded: pd.DataFrame) -> str:
    """Say how many units were left out for each reason."""
    return ", ".join(f"{n} left out for '{reason}'" for reason, n in excluded["reason"].value_counts().items())


def mean_rate_hz(recording: Recording) -> NDArray[np.float64]:
    """Mean rate (unit,) in Hz over the trials or conditions, or over the whole recording (its observed part where known)."""
    if recording.rate_hz is not None:
        return np.asarray(recording.rate_hz.mean(axis=(0, 1)))
    if recording.counts is not None and recording.bin_size_s is not None:
        seconds = _n_trials(recording) * recording.counts.shape[1] * recording.bin_size_s
        return np.asarray(recording.counts.sum(axis=(0, 1)) / seconds)
    start, stop = _span_s(recording)
    seconds = recording.units["observed_s"].to_numpy() if "observed_s" in recording.units else np.array(stop - start)
    spikes = np.diff(recording.spike_indptr) if recording.spike_indptr is not None else np.zeros(recording.n_units)
    return np.asarray(spikes / np.maximum(seconds, np.finfo(float).tiny))


def _presence(recording: Recording) -> NDArray[np.float64]:
    """Fraction (unit,) of trials, or of equal parts of the recording, with a spike; 1 for condition rates."""
    if recording.counts is not None:
        return np.asarray((recording.counts > 0).any(axis=1).sum(axis=0) / _n_trials(recording))
    if recording.spike_times_s is None or recording.spike_indptr is None:
        return np.ones(recording.n_units)
    edges = np.linspace(*_span_s(recording), _PRESENCE_PARTS + 1)
    borders = zip(recording.spike_indptr[:-1], recording.spike_indptr[1:], strict=True)
    return np.array([(np.histogram(recording.spike_times_s[a:b], edges)[0] > 0).mean() for a, b in borders])


def _n_trials(recording: Recording) -> NDArray[np.int64]:
    """Count the trials that each unit (unit,) was recorded in, at least 1."""
    if recording.observed is None:
        return np.full(recording.n_units, max(1, len(recording.trials)))
    return np.asarray(np.maximum(1, recording.observed.sum(axis=0)))


def _span_s(recording: Recording) -> tuple[float, float]:
    """Start and end of the recording in seconds: its first and last spike or trial."""
    times = [recording.spike_times_s, recording.trials.get("start_time"), recording.trials.get("stop_time")]
    known = np.concatenate([np.asarray(t, np.float64) for t in times if t is not None])
    known = known[np.isfinite(known)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
