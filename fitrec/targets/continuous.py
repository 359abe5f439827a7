"""Targets of continuous fits: the recording's time, cut into segments, and the units that drive the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.errors import TargetsError
from fitrec.recordings.recording import Recording, exclusion_table
from fitrec.targets.binning import bin_edges, count_spikes, rebin
from fitrec.targets.conditions import clause_holds
from fitrec.targets.smoothing import smooth
from fitrec.targets.split import split_segments
from fitrec.targets.targets import Targets

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class ContinuousOptions:
    """How to cut time; every field is as in `fitrec.config.targets.Continuous`."""

    segment_s: float
    start_s: float | None = None
    stop_s: float | None = None
    input_fraction: float = 0.5
    input_where: Sequence[str] | None = None
    test_blocks: int = 8


def cut_segments(
    recording: Recording,
    options: ContinuousOptions,
    *,
    bin_size_s: float | None,
    smoothing: Mapping[str, Any],
    test_fraction: float,
    seed: int,
) -> Targets:
    """Cut a recording into segments, hold some out, and choose the units that drive the network.

    A segment is smoothed on its own, so that no spike of held-out time reaches a training target.

    Raises
    ------
    TargetsError
        If the recording has no continuous time, is too short, segments are no whole number of bins, or no unit is left on either
        side.

    """
    bin_size_s = _bin_size(recording, options, bin_size_s)
    start_s, counts = _counts(recording, options, bin_size_s)
    edges = bin_edges(0.0, options.segment_s, bin_size_s)
    starts = _starts_s(start_s, options, len(counts))
    is_test = split_segments(len(counts), test_fraction, options.test_blocks, seed)
    observed = _observed(recording, starts, options.segment_s)
    counts = counts * observed[:, None, :].astype(counts.dtype)

    fires = np.asarray(counts[~is_test].any(axis=(0, 1)))
    known = observed[~is_test].any(axis=0)
    if is_test.any():
        known &= observed[is_test].any(axis=0)
    usable = fires & known
    always = usable & observed.all(axis=0)
    asked = _choose_inputs(recording, options, always, seed)
    is_input, fitted = asked & always, usable & ~asked
    known &= ~(asked & ~always)
    if not fitted.any():
        raise TargetsError(
            f"no unit of {recording.name} is left to be fitted: of {recording.n_units}, {int(is_input.sum())} drive the network, "
            f"{int((~fires).sum())} are silent in all training segments, and {int((fires & ~known).sum())} were recorded in no "
            "training or no test segment; let fewer units drive it (targets.continuous.input_fraction or input_where)"
        )
    rate_hz = smooth(counts / bin_size_s, bin_size_s, **smoothing, axis=1)
    seen = np.where(observed[:, None, :], rate_hz, np.nan)[:, :, fitted]
    over_time = rate_hz_over_time(counts[:, :, is_input], bin_size_s, smoothing)
    return Targets(
        units=recording.units[fitted].reset_index(drop=True),
        excluded=_excluded(recording, fires, known),
        condition_names=[f"{s:.10g} s" for s in starts],
        bin_edges_s=edges,
        rate_hz=np.where(is_test[:, None, None], np.nan, seen),
        rate_test_hz=np.where(is_test[:, None, None], seen, np.nan) if is_test.any() else None,
        counts=np.ascontiguousarray(counts[:, :, fitted]),
        observed=None if observed[:, fitted].all() else observed[:, fitted],
        trial_condition=np.arange(len(counts), dtype=np.int32),
        trial_is_test=is_test,
        trial_id=np.arange(len(counts), dtype=np.int64),
        segment_start_s=starts,
        inputs=recording.units[is_input].reset_index(drop=True),
        input_hz=over_time,
        smoothing=dict(smoothing),
        recording_name=recording.name,
    )


def rate_hz_over_time(counts: NDArray[np.integer[Any]], bin_size_s: float, smoothing: Mapping[str, Any]) -> NDArray[np.float64]:
    """Rates (segment, time, unit) in Hz, smoothed across the borders of the segments."""
    joined = counts.reshape(-1, counts.shape[2])
    return smooth(joined / bin_size_s, bin_size_s, **smoothing, axis=0).reshape(counts.shape)


def _bin_size(recording: Recording, options: ContinuousOptions, wanted_s: float | None) -> float:
    if recording.kind == "rates" or (recording.counts is not None and len(recording.counts) != 1):
        held = (
            f"rates of {len(recording.condition_names)} conditions"
            if recording.counts is None
            else f"{len(recording.counts)} separate trials"
        )
        raise TargetsError(
            f"recording {recording.name} holds {held} and no continuous time, which targets.continuous needs: spike times, or "
            "counts of one single trial; fit its conditions instead (leave out targets.continuous)"
        )
    bin_size_s = wanted_s or recording.bin_size_s
    if bin_size_s is None:
        raise TargetsError(f"recording {recording.name} holds spike times: give targets.bin_size_s in seconds")
    bins = options.segment_s / bin_size_s
    if round(bins) < 1 or abs(bins - round(bins)) > 1e-6:
        raise TargetsError(
            f"targets.continuous.segment_s = {options.segment_s:g} s is not a whole number of bins of {bin_size_s:g} s (it holds "
            f"{bins:.4g}); choose for example {max(1, round(bins)) * bin_size_s:g} s"
        )
    return bin_size_s


def _counts(
    recording: Recording, options: ContinuousOptions, bin_size_s: float
) -> tuple[float, NDArray[np.unsignedinteger[Any]]]:
    """Where the first segment begins, and the spikes (segment, time, unit)."""
    bins = round(options.segment_s / bin_size_s)
    edges = bin_edges(0.0, options.segment_s, bin_size_s)
    first_s, last_s = _span_s(recording, bin_size_s)
    start_s = first_s if options.start_s is None else options.start_s
    stop_s = last_s if options.stop_s is None else options.stop_s
    slack_s = 1e-6
    if start_s < first_s - slack_s or stop_s > last_s + slack_s:
        raise TargetsError(
            f"targets.continuous asks for {start_s:g} to {stop_s:g} s, but recording {recording.name} goes from {first_s:g} to "
            f"{last_s:g} s; correct start_s or stop_s, or leave them out"
        )
    n = int((stop_s - start_s + slack_s) // options.segment_s)
    if n < 1:
        raise TargetsError(
            f"the time from {start_s:g} to {stop_s:g} s of recording {recording.name} holds no whole segment of "
            f"{options.segment_s:g} s; shorten targets.continuous.segment_s"
        )
    starts = _starts_s(start_s, options, n)
    if recording.counts is None:
        times, indptr = np.asarray(recording.spike_times_s), np.asarray(recording.spike_indptr)
        return start_s, count_spikes(times, indptr, starts, edges)
    assert recording.t_start_s is not None
    assert recording.bin_size_s is not None
    stored = bin_edges(
        recording.t_start_s, recording.t_start_s + recording.counts.shape[1] * recording.bin_size_s, recording.bin_size_s
    )
    wanted = bin_edges(start_s, start_s + n * options.segment_s, bin_size_s)
    counts = rebin(np.asarray(recording.counts), stored, wanted, axis=1)
    return start_s, counts.reshape(n, bins, -1)


def _starts_s(start_s: float, options: ContinuousOptions, n: int) -> NDArray[np.float64]:
    return np.asarray(start_s + options.segment_s * np.arange(n), np.float64)


def _span_s(recording: Recording, bin_size_s: float) -> tuple[float, float]:
    """First and last time of the recording in seconds; the first is a whole number of bins."""
    if recording.counts is not None:
        assert recording.t_start_s is not None
        assert recording.bin_size_s is not None
        return recording.t_start_s, recording.t_start_s + recording.counts.shape[1] * recording.bin_size_s
    times = [np.asarray(recording.spike_times_s)]
    times += [recording.trials[c].to_numpy(np.float64) for c in ("start_time", "stop_time") if c in recording.trials]
    known = np.concatenate(times)
    known = known[np.isfinite(known)]
    if not known.size:
        raise TargetsError(f"recording {recording.name} holds no spike, so it has no time to fit; check its file")
    # To nanoseconds, as edges of bins are.
    return round(float(np.floor(known.min() / bin_size_s) * bin_size_s), 9), float(known.max())


def _observed(recording: Recording, starts: NDArray[np.float64], segment_s: float) -> Mask:
    """Tell which units were recorded in which segments (segment, unit).

    A recording knows it of its trials: a segment is like the trials that it overlaps, or like the nearest one.
    """
    if recording.observed is None:
        return np.ones((len(starts), recording.n_units), np.bool_)
    if recording.counts is not None:
        return np.repeat(recording.observed, len(starts), axis=0)
    first, last = (recording.trials[c].to_numpy(np.float64) for c in ("start_time", "stop_time"))
    last = np.where(np.isfinite(last), last, first)
    away = np.maximum(np.maximum(first - (starts + segment_s)[:, None], starts[:, None] - last), 0.0)
    near = away <= np.nanmin(away, axis=1, keepdims=True)
    missed: NDArray[np.int64] = near.astype(np.int64) @ (~recording.observed).astype(np.int64)
    return np.asarray(missed == 0)


def _choose_inputs(recording: Recording, options: ContinuousOptions, usable: Mask, seed: int) -> Mask:
    """Choose the units (unit,) that shall drive the network, of which some may not be usable: silent, or not always recorded."""
    candidates = np.flatnonzero(usable)
    if options.input_where is not None:
        chosen = np.logical_and.reduce([clause_holds(recording.units, clause, "units") for clause in options.input_where])
        if not (chosen & usable).any():
            raise TargetsError(
                f"no unit of {recording.name} is left to drive the network: {int(chosen.sum())} fit "
                f"{' and '.join(options.input_where)} (targets.continuous.input_where), none of which fires in training time and "
                "was recorded throughout; choose others"
            )
        return np.asarray(chosen)
    n = round(options.input_fraction * len(candidates))
    if not 0 < n < len(candidates):
        raise TargetsError(
            f"targets.continuous.input_fraction = {options.input_fraction:g} of the {len(candidates)} units of {recording.name} "
            f"that fire and were recorded throughout leaves {n} to drive the network; one on either side is the least"
        )
    is_input = np.zeros(recording.n_units, np.bool_)
    # A stream of its own, so that the choice of units does not depend on that of time.
    is_input[np.random.default_rng([seed, 2**34]).permutation(candidates)[:n]] = True
    return is_input


def _excluded(recording: Recording, fires: Mask, known: Mask) -> pd.DataFrame:
    """List the units without targets after those the recording has left out already."""
    ids, silent, unknown = recording.units["unit_id"].to_numpy(), ~fires, fires & ~known
    own = exclusion_table(
        [*ids[silent].tolist(), *ids[unknown].tolist()],
        ["silent in window"] * int(silent.sum()) + ["no trials"] * int(unknown.sum()),
        ["no spike in the training segments"] * int(silent.sum())
        + ["recorded in no training or no test segment, or an input with gaps"] * int(unknown.sum()),
    )
    filled = [table for table in (recording.excluded, own) if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else recording.excluded
