"""Chooses the trials and units whose spikes are shown, recorded beside simulated."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.report.figures.raster import raster
from fitrec.report.fit import Fit
from fitrec.report.panel import CONDITIONS_SHOWN, Group, Panel, spread

_CONDITIONS = 2
_UNITS = 80
_TRIALS = 10


def rasters(fit: Fit) -> list[Group]:
    """Single trials of the population, and single units over trials, recorded beside simulated."""
    goal, activity = fit.targets, fit.activity
    if goal.counts is None or goal.trial_condition is None or goal.trial_is_test is None:
        return []
    window = (float(goal.bin_edges_s[0]), float(goal.bin_edges_s[-1]))
    with_neuron = np.flatnonzero(np.isfinite(activity.psth_hz).any(axis=(0, 1)))
    units = with_neuron[spread(len(with_neuron), _UNITS)]
    units = units[np.argsort(_order(fit)[units], kind="stable")]
    row_of = np.full(goal.n_units, -1)
    row_of[units] = np.arange(len(units))
    groups = []
    tested = np.unique(goal.trial_condition[goal.trial_is_test])
    for c in tested[spread(len(tested), _CONDITIONS)] if len(tested) else []:
        trials = np.flatnonzero((goal.trial_condition == c) & goal.trial_is_test)
        if not len(trials):
            continue
        time, unit = _recorded_spikes(fit, int(trials[0]))
        model = (activity.raster_condition == c) & (activity.raster_trial == 0)
        series = (
            ("recorded", "Recorded", time, unit, "recorded" if fit.is_continuous else "the first test trial"),
            ("model", "Network", activity.raster_time_s[model], activity.raster_unit[model], "one simulated trial"),
        )
        panels = []
        for role, title, t, u, trial in series:
            kept = row_of[u] >= 0
            alt = f"{title}, {trial} of condition {goal.condition_names[c]}: {int(kept.sum())} spikes of {len(units)} units."
            svg = raster(
                f"raster-{c}-{role}",
                t[kept],
                row_of[u[kept]],
                len(units),
                window,
                role,
                f"{len(units)} units",
                alt,
                height_px=260,
            )
            panels.append(Panel(svg, title, f"{trial}, {int(kept.sum()):,} spikes"))
        groups.append(Group(f"{'Segment from' if fit.is_continuous else 'Condition'} {goal.condition_names[c]}", "", panels))
    if fit.is_continuous:  # no segment comes twice
        return groups
    scored = np.flatnonzero(np.isfinite(fit.score))
    if len(scored):
        ranked = scored[np.argsort(-fit.score[scored], kind="stable")]
        for word, chosen in (("best", ranked[0]), ("median", ranked[len(ranked) // 2])):
            groups.append(_unit_rasters(fit, int(chosen), word, window))
    return groups


def _order(fit: Fit) -> NDArray[Any]:
    """Return what units (unit,) are ordered by: the time of the recorded peak, or the mean rate in a continuous fit."""
    rate_hz = fit.targets.rate_hz
    return np.asarray(-np.nanmean(rate_hz, axis=(0, 1)) if fit.is_continuous else rate_hz.mean(axis=0).argmax(axis=0))


def _unit_rasters(fit: Fit, unit: int, word: str, window: tuple[float, float]) -> Group:
    goal, activity = fit.targets, fit.activity
    assert goal.trial_condition is not None
    assert goal.trial_is_test is not None
    conditions = spread(len(goal.condition_names), CONDITIONS_SHOWN)
    times: dict[str, list[NDArray[Any]]] = {"recorded": [], "model": []}
    rows: dict[str, list[NDArray[Any]]] = {"recorded": [], "model": []}
    for k, c in enumerate(conditions):
        seen = goal.trial_is_test if goal.observed is None else goal.trial_is_test & goal.observed[:, unit]
        for i, trial in enumerate(np.flatnonzero((goal.trial_condition == c) & seen)[:_TRIALS]):
            t, u = _recorded_spikes(fit, int(trial))
            times["recorded"].append(t[u == unit])
            rows["recorded"].append(np.full(int((u == unit).sum()), k * _TRIALS + i))
        own = (activity.raster_unit == unit) & (activity.raster_condition == c) & (activity.raster_trial < _TRIALS)
        times["model"].append(activity.raster_time_s[own])
        rows["model"].append(k * _TRIALS + activity.raster_trial[own])
    n_rows = _TRIALS * len(conditions)
    separators = tuple(range(_TRIALS, n_rows, _TRIALS))
    names = ", ".join(goal.condition_names[c] for c in conditions)
    panels = []
    for role, title in (("recorded", "Recorded"), ("model", "Network")):
        t, row = (np.concatenate([*part[role], np.zeros(0)]) for part in (times, rows))
        alt = f"{title} spikes of {fit.unit_name(unit)} in {_TRIALS} trials of each condition: {len(t)} spikes."
        svg = raster(f"raster-{word}-{role}", t, row, n_rows, window, role, "trials", alt, separators)
        panels.append(Panel(svg, title, f"{'test' if role == 'recorded' else 'simulated'} trials, {len(t):,} spikes"))
    note = f"{_TRIALS} trials of each condition" + (f", from the top: {names}" if len(conditions) > 1 else "")
    return Group(f"The {word} unit ({fit.unit_name(unit)}) over trials", note, panels)


def _recorded_spikes(fit: Fit, trial: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return times and units of a recorded trial's spikes, spread at random within their bins."""
    counts, edges = fit.targets.counts, fit.targets.bin_edges_s
    assert counts is not None
    k, unit = np.nonzero(counts[trial])
    n = counts[trial][k, unit].astype(np.int64)
    within = np.random.default_rng(trial).random(n.sum()) * fit.targets.bin_size_s
    return edges[np.repeat(k, n)] + within, np.repeat(unit, n)
