"""From a Recording to Targets: bins, conditions, splits, PSTHs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.errors import TargetsError
from fitrec.recordings.recording import Recording, exclusion_table
from fitrec.targets.binning import bin_edges, count_spikes, rebin
from fitrec.targets.conditions import assign_conditions
from fitrec.targets.continuous import ContinuousOptions, cut_segments
from fitrec.targets.modes import leading_modes
from fitrec.targets.psth import psth
from fitrec.targets.reliable import Trials, measure_reliability, reliable_part
from fitrec.targets.smoothing import smooth
from fitrec.targets.split import hold_out_units, split_trials
from fitrec.targets.targets import Targets

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """How to make targets; every field is as in `fitrec.config.targets.TargetsConfig`."""

    align_to: str = "start_time"
    window_s: tuple[float, float] | None = None
    bin_size_s: float | None = None
    condition_by: Sequence[str] | None = None
    rules: Mapping[str, Sequence[str]] | None = None
    smoothing: Mapping[str, Any] = field(default_factory=lambda: {"kernel": "none", "width_s": 0.0})
    already_smoothed: bool = False
    test_fraction: float = 0.5
    held_out_units: float = 0.0
    seed: int = 1
    modes: int | Literal["auto"] | None = None
    continuous: ContinuousOptions | None = None


def build_targets(recording: Recording, options: TargetOptions) -> Targets:
    """Bin, pool, split, average and smooth.

    Raises
    ------
    TargetsError
        If the window, the bins, the conditions or the split do not fit the recording, or no unit can have a target.

    """
    if options.continuous is not None:
        targets = cut_segments(
            recording, options.continuous, bin_size_s=options.bin_size_s, smoothing=options.smoothing,
            test_fraction=options.test_fraction, seed=options.seed,
        )  # fmt: skip
    else:
        targets = _from_rates(recording, options) if recording.kind == "rates" else _from_trials(recording, options)
    held_out = hold_out_units(targets.n_units, options.held_out_units, options.seed)
    targets = replace(targets, units=targets.units.assign(held_out=held_out))
    return targets if options.modes is None else replace(targets, target_hz=_denoised(targets, options))


def _denoised(targets: Targets, options: TargetOptions) -> NDArray[np.float64]:
    """Targets made of the population's modes; held-out units have no part in them, and keep their PSTHs."""
    fitted = ~targets.units["held_out"].to_numpy(bool)
    if options.modes == "auto":
        if targets.counts is None or targets.trial_condition is None or targets.trial_is_test is None:
            raise TargetsError(
                f"recording {targets.recording_name} holds rates only, and how reliable a mode is can only be told from single "
                "trials; give modes a number, or leave it out"
            )
        training = ~targets.trial_is_test
        trials = Trials(
            counts=targets.counts[training][:, :, fitted],
            condition=targets.trial_condition[training],
            n_conditions=len(targets.condition_names),
            bin_size_s=targets.bin_size_s,
            smoother=lambda rate_hz: smooth(rate_hz, targets.bin_size_s, **options.smoothing, axis=1),
            observed=None if targets.observed is None else targets.observed[training][:, fitted],
        )
        known = measure_reliability(trials, options.seed)
        if not known.mode.size:
            raise TargetsError(
                f"recording {targets.recording_name} has one training trial in each condition, and how reliable a mode is can "
                "only be told from two; pool conditions, give modes a number, or leave it out"
            )
        logger.info(
            "%s: reliability of the first modes %s, of what they leave over %.2f",
            targets.recording_name,
            " ".join(f"{value:.2f}" for value in known.mode[:5]),
            known.own.mean(),
        )
        kept_hz = reliable_part(targets.rate_hz[:, :, fitted], known)
    else:
        assert options.modes is not None
        kept_hz = leading_modes(targets.rate_hz[:, :, fitted], options.modes)
    target_hz = targets.rate_hz.copy()
    target_hz[:, :, fitted] = kept_hz
    return target_hz


def _from_rates(recording: Recording, options: TargetOptions) -> Targets:
    if options.rules is not None or options.condition_by is not None:
        raise TargetsError(
            f"recording {recording.name} holds rates of the conditions {', '.join(recording.condition_names)} and no trials to "
            "pool; leave out conditions and condition_by"
        )
    stored = _stored_edges(recording)
    edges = _wanted_edges(stored, options)
    bin_size_s = float(edges[1] - edges[0])
    # Rates average where counts add up.
    rate_hz = rebin(np.asarray(recording.rate_hz), stored, edges, axis=1) * ((stored[1] - stored[0]) / bin_size_s)
    if not options.already_smoothed:
        rate_hz = smooth(rate_hz, bin_size_s, **options.smoothing, axis=1)
    everywhere = np.ones(recording.n_units, np.bool_)
    keep, excluded = _usable(recording, np.asarray(rate_hz.max(axis=(0, 1)) > 0), everywhere)
    return Targets(
        units=recording.units[keep].reset_index(drop=True),
        excluded=excluded,
        condition_names=recording.condition_names,
        bin_edges_s=edges,
        rate_hz=rate_hz[:, :, keep],
        smoothing=dict(options.smoothing),
        recording_name=recording.name,
    )


def _from_trials(recording: Recording, options: TargetOptions) -> Targets:
    names, condition = assign_conditions(recording.trials, condition_by=options.condition_by, rules=options.rules)
    used = np.flatnonzero(condition >= 0)
    condition = condition[used]
    is_test = split_trials(condition, names, options.test_fraction, options.seed)
    if recording.kind == "spikes":
        counts, edges = _bin_spikes(recording, options, used)
    else:
        stored = _stored_edges(recording)
        edges = _wanted_edges(stored, options)
        counts = rebin(np.asarray(recording.counts)[used], stored, edges, axis=1)
    observed = None
    if recording.observed is not None:
        observed = recording.observed[used]
        counts = counts * observed[:, None, :].astype(counts.dtype)

    bin_size_s = float(edges[-1] - edges[0]) / (len(edges) - 1)
    rate_hz = psth(counts, condition, len(names), bin_size_s, use=~is_test, observed=observed)
    rate_test_hz = psth(counts, condition, len(names), bin_size_s, use=is_test, observed=observed) if is_test.any() else None
    # NaN where no trial observed the unit.
    known = np.isfinite(rate_hz.sum(axis=(0, 1)) + (0.0 if rate_test_hz is None else rate_test_hz.sum(axis=(0, 1))))
    keep, excluded = _usable(recording, np.asarray(counts.max(axis=(0, 1)) > 0), known)
    return Targets(
        units=recording.units[keep].reset_index(drop=True),
        excluded=excluded,
        condition_names=names,
        bin_edges_s=edges,
        rate_hz=smooth(rate_hz[:, :, keep], bin_size_s, **options.smoothing, axis=1),
        rate_test_hz=None if rate_test_hz is None else smooth(rate_test_hz[:, :, keep], bin_size_s, **options.smoothing, axis=1),
        counts=np.ascontiguousarray(counts[:, :, keep]),
        observed=None if observed is None else observed[:, keep],
        trial_condition=condition,
        trial_is_test=is_test,
        trial_id=used.astype(np.int64),
        smoothing=dict(options.smoothing),
        recording_name=recording.name,
    )


def _bin_spikes(
    recording: Recording, options: TargetOptions, used: NDArray[np.intp]
) -> tuple[NDArray[np.integer[Any]], NDArray[np.float64]]:
    if options.window_s is None or options.bin_size_s is None:
        raise TargetsError(f"recording {recording.name} holds spike times: give window_s and bin_size_s in seconds")
    if options.align_to not in recording.trials:
        raise TargetsError(
            f"the trials of {recording.name} have no column '{options.align_to}' to align to; they have "
            f"{', '.join(recording.trials.columns)}"
        )
    events = pd.to_numeric(recording.trials[options.align_to], errors="coerce").to_numpy(np.float64)[used]
    missing = np.flatnonzero(~np.isfinite(events))
    if missing.size:
        raise TargetsError(
            f"{missing.size} trials of {recording.name}, the first of them trial {used[missing[0]]}, have no time in column "
            f"'{options.align_to}'; leave them out by a condition rule, or align to another column"
        )
    edges = bin_edges(*options.window_s, options.bin_size_s)
    times, indptr = np.asarray(recording.spike_times_s), np.asarray(recording.spike_indptr)
    end = max(float(recording.trials["stop_time"].max()), float(times.max(initial=0.0)))
    beyond = np.flatnonzero((events + edges[0] < 0) | (events + edges[-1] > end))
    if beyond.size:
        raise TargetsError(
            f"the window of trial {used[beyond[0]]} of {recording.name}, {events[beyond[0]] + edges[0]:g} to "
            f"{events[beyond[0]] + edges[-1]:g} s, reaches beyond the recording (0 to {end:g} s); shorten window_s, or leave "
            "such trials out by a condition rule"
        )
    return count_spikes(times, indptr, events, edges), edges


def _stored_edges(recording: Recording) -> NDArray[np.float64]:
    values = recording.rate_hz if recording.counts is None else recording.counts
    if values is None or recording.bin_size_s is None or recording.t_start_s is None:
        raise TargetsError(f"recording {recording.name} holds no binned activity; ingest it again")
    return bin_edges(recording.t_start_s, recording.t_start_s + values.shape[1] * recording.bin_size_s, recording.bin_size_s)


def _wanted_edges(stored: NDArray[np.float64], options: TargetOptions) -> NDArray[np.float64]:
    start, stop = options.window_s or (float(stored[0]), float(stored[-1]))
    return bin_edges(start, stop, options.bin_size_s or float(stored[-1] - stored[0]) / (len(stored) - 1))


def _usable(recording: Recording, fires: NDArray[np.bool_], known: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], pd.DataFrame]:
    """Tell which units (unit,) can have a target, and list the others after those the recording has left out already."""
    ids = recording.units["unit_id"].to_numpy()
    silent, unknown = ~fires, fires & ~known
    tables = [
        recording.excluded,
        exclusion_table(
            ids[silent].tolist(),
            ["silent in window"] * int(silent.sum()),
            ["no spike in the window of any trial"] * int(silent.sum()),
        ),
        exclusion_table(
            ids[unknown].tolist(),
            ["no trials"] * int(unknown.sum()),
            ["recorded in no training or no test trial of a condition"] * int(unknown.sum()),
        ),
    ]
    keep = fires & known
    if not keep.any():
        raise TargetsError(
            f"no unit of {recording.name} is left: {silent.sum()} are silent in the window of every trial, and {unknown.sum()} "
            "have no training or no test trial in a condition; check window_s, align_to and the conditions"
        )
    filled = [table for table in tables if len(table)]
    return keep, pd.concat(filled, ignore_index=True) if filled else recording.excluded
