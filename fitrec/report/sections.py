"""Chooses what each section shows, and says under each figure how to read it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.evaluate.psth import correlate
from fitrec.report import held_out_time
from fitrec.report.figures.distributions import overlaid, weights
from fitrec.report.figures.psth import psth_panel
from fitrec.report.figures.quality import against_ceiling, by_area, ladder
from fitrec.report.figures.training import correlation_curve, rate_curve
from fitrec.report.fit import Fit
from fitrec.report.held_out_time import R_LABEL
from fitrec.report.panel import CONDITIONS_SHOWN, Group, Panel, spread
from fitrec.report.svg import place

_AREAS_SHOWN = 16


def quality(fit: Fit) -> list[Panel]:
    """Distributions of the scores, each unit against its ceiling, and the areas."""
    return [*(held_out_time.quality(fit) if fit.is_continuous else _psth_quality(fit)), *_areas(fit)]


def _psth_quality(fit: Fit) -> list[Panel]:
    rows = [
        ("network, test trials", fit.score, "model"),
        ("ceiling, noise-free model", fit.column("ceiling_r"), "ceiling"),
        ("training PSTH, test trials", fit.column("r_baseline_train_psth"), "recorded"),
        ("untrained network", fit.column("r_untrained"), "baseline"),
    ]
    if not fit.has_test:
        rows = [
            ("network, fitted PSTHs", fit.score, "model"),
            ("ceiling, perfect Poisson network", fit.column("poisson_ceiling_r"), "ceiling"),
            ("untrained network", fit.column("r_untrained"), "baseline"),
        ]
    rows = [row for row in rows if np.isfinite(row[1]).any()]
    words = "; ".join(f"{label} {place(float(np.nanmedian(values)))}" for label, values, _ in rows)
    panels = [
        Panel(
            ladder("ladder", rows, f"Distribution over units of the PSTH correlation. Medians: {words}."),
            "Scores, ceilings, baselines",
            "Each row is a distribution over units: the dot is the median, the bar holds half of them, the line nine in ten.",
        )
    ]
    reliable = fit.column("split_half_r") > fit.detail["reliable_above"] if fit.has_test else np.ones(len(fit.metrics), bool)
    limit = "ceiling of a noise-free model, r" if fit.has_test else "ceiling of a perfect Poisson network, r"
    panels.append(
        Panel(
            against_ceiling(
                "against-ceiling", fit.limit, fit.score, reliable, limit, "network, r",
                f"Scatter of each unit's correlation against its ceiling; medians {_median(fit.score)} and {_median(fit.limit)}.",
            ),
            "Each unit against its ceiling",
            "One dot per unit; on the line the network is as good as a model can be expected to be."
            + (
                f" Hollow: units whose two halves of the recording correlate by {fit.detail['reliable_above']:g} or less."
                if fit.has_test
                else ""
            ),
        )
    )  # fmt: skip
    return panels


def _areas(fit: Fit) -> list[Panel]:
    names, n = np.unique(fit.areas[np.isfinite(fit.score)], return_counts=True)
    if len(names) > 1:
        order = [str(area) for area in names[np.argsort(-n, kind="stable")][:_AREAS_SHOWN]]
        rest = f" The {_AREAS_SHOWN} areas with the most units are shown, of {len(names)}." if len(names) > _AREAS_SHOWN else ""
        counts = ", ".join(f"{area or 'unknown'} {int(k)}" for area, k in zip(names, n, strict=True) if area in order)
        beside = "regression" if fit.is_continuous else "ceiling"
        which = "r_test" if fit.has_test else "r_train"
        alt = f"Correlation by brain area. Units: {counts}."
        of_means = ", ".join(
            f"{a['area']} {a[which]:.2f}" for a in fit.detail["areas"] if a["area"] in order and a[which] is not None
        )
        means = f" Correlation of each area's mean rate: {of_means}." if of_means else ""
        return [
            Panel(
                by_area("by-area", fit.areas, fit.score, fit.limit, order, alt, R_LABEL)
                if fit.is_continuous
                else by_area("by-area", fit.areas, fit.score, fit.limit, order, alt),
                "By area",
                f"One dot per unit, the network's median in orange, the median {beside} in grey. Units: {counts}.{rest}{means}",
            )
        ]
    return []


def gallery(fit: Fit) -> list[Group]:
    """PSTHs of the best, the median and the worst units."""
    scored = np.flatnonzero(np.isfinite(fit.score))
    ranked = scored[np.argsort(-fit.score[scored], kind="stable")]
    k = min(fit.examples, -(-len(ranked) // 3))
    if not k:
        return []
    middle = max(k, (len(ranked) - k) // 2)
    parts = [("Best", ranked[:k]), ("Median", ranked[middle : middle + k]), ("Worst", ranked[max(2 * k, len(ranked) - k) :])]
    if fit.is_continuous:
        return held_out_time.gallery(fit, parts)
    return [Group(title, "", [_psth(fit, int(unit)) for unit in units]) for title, units in parts if len(units)]


def _psth(fit: Fit, unit: int) -> Panel:
    goal = fit.targets
    shown = spread(len(goal.condition_names), CONDITIONS_SHOWN)
    test = None if goal.rate_test_hz is None else goal.rate_test_hz[shown, :, unit]
    name = fit.unit_name(unit)
    figures = f"r {place(fit.score[unit])}, ceiling {place(fit.limit[unit])}"
    return Panel(
        psth_panel(
            f"psth-{unit}",
            fit.time_s,
            fit.activity.psth_hz[shown, :, unit],
            goal.rate_hz[shown, :, unit],
            test,
            [goal.condition_names[c] for c in shown],
            f"PSTH of {name}: recorded and model, {figures}.",
        ),
        name,
        figures,
    )


def spiking(fit: Fit) -> list[Panel]:
    """Rates, irregularity, variability and shared variability, recorded and model."""
    m, activity = fit.metrics, fit.activity
    with_neuron = np.isfinite(fit.column("rate_model_hz"))
    pairs = [
        ("rate", "Rates", "rate_recorded_hz", "rate_model_hz", "mean rate (Hz)", True, None, "Units that have a neuron."),
        (
            "cv",
            "Irregularity",
            "cv_isi_recorded",
            "cv_isi_model",
            "CV of inter-spike intervals",
            False,
            1.0,
            "Intervals within trials.",
        ),
        (
            "fano",
            "Variability over trials",
            "fano_recorded",
            "fano_model",
            "Fano factor",
            False,
            1.0,
            "Spike counts in the whole window.",
        ),
    ]
    panels = []
    for key, title, recorded, model, label, log, reference, note in pairs:
        values = [m[c].to_numpy(np.float64)[with_neuron] for c in (recorded, model)]
        series = [(v, role) for v, role in zip(values, ("recorded", "model"), strict=True) if np.isfinite(v).any()]
        if series and (len(series) == 2 or not fit.is_continuous):
            alt = f"{title}: median recorded {_median(values[0])}, model {_median(values[1])}."
            panels.append(
                Panel(overlaid(key, series, label, alt, log=log, reference=reference), title, f"{note} {_medians(*values)}")
            )
    both = (activity.pair_r_recorded, activity.pair_r_model)
    series = [(v, role) for v, role in zip(both, ("recorded", "model"), strict=True) if np.isfinite(v).any()]
    if series:
        alt = f"Noise correlations of {len(both[0])} unit pairs: median recorded {_median(both[0])}, model {_median(both[1])}."
        caption = f"Spike counts of {len(both[0]):,} unit pairs over trials. {_medians(*both)}"
        panels.append(Panel(overlaid("pairs", series, "noise correlation", alt, reference=0.0), "Shared variability", caption))
    return panels


def training(fit: Fit) -> list[Panel]:
    """Learning curves, and the weights before and after."""
    panels = []
    curve = fit.curve
    if curve is not None and len(curve):
        loop, r = curve["loop"].to_numpy(np.float64), curve["correlation"].to_numpy(np.float64)
        forcing = curve["forcing"].to_numpy(np.float64)
        alt = f"Correlation with the target over {len(curve)} loops, last value {place(r[-1])}."
        panels.append(
            Panel(
                correlation_curve("curve", loop, r, forcing, alt),
                "Learning curve",
                f"Mean {'' if fit.is_continuous else 'PSTH '}correlation with the fitted target, as training itself measures it"
                + ("; the grey steps are the teacher forcing." if np.nansum(forcing) > 0 else "."),
            )
        )
        exc, inh = (curve[c].to_numpy(np.float64) for c in ("rate_exc_hz", "rate_inh_hz"))
        alt = f"Mean rates over loops, at the end E {place(exc[-1], 1)} Hz and I {place(inh[-1], 1)} Hz."
        panels.append(
            Panel(rate_curve("rates", loop, exc, inh, alt), "Rates while learning", "Mean over all E and all I neurons.")
        )
    n_exc = fit.detail["n_plastic_exc"]
    for key, title, part in (
        ("w-exc", "Excitatory weights", slice(0, n_exc)),
        ("w-inh", "Inhibitory weights", slice(n_exc, None)),
    ):
        before, after = fit.activity.weight_before[:, part], fit.activity.weight_after[:, part]
        if after.size:
            alt = f"{title}: mean {before.mean():.3g} before, {after.mean():.3g} after training."
            caption = f"Plastic weights after training; grey, before. Mean {before.mean():.3g}, then {after.mean():.3g}."
            panels.append(
                Panel(weights(key, before, after, "weight (threshold ms)", alt), title, caption.replace("-", "\N{MINUS SIGN}"))
            )
    return panels


def condition_scores(fit: Fit) -> list[tuple[str, str]]:
    """Median correlation within each condition; of the segments of a continuous fit none."""
    if fit.is_continuous:
        return []
    goal = fit.targets
    against = goal.rate_test_hz if goal.rate_test_hz is not None else goal.rate_hz
    with np.errstate(all="ignore"):
        r = [correlate(fit.activity.psth_hz[[c]], against[[c]]) for c in range(len(goal.condition_names))]
    return [(name, _median(values)) for name, values in zip(goal.condition_names, r, strict=True)]


def _median(values: NDArray[Any]) -> str:
    defined = values[np.isfinite(values)]
    return place(float(np.median(defined)) if defined.size else None)


def _medians(recorded: NDArray[Any], model: NDArray[Any]) -> str:
    return f"Medians: recorded {_median(recorded)}, network {_median(model)}."
