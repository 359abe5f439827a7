"""What the page says and shows of a continuous fit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.report.figures.quality import against_ceiling, ladder
from fitrec.report.figures.time_course import time_course
from fitrec.report.fit import Fit
from fitrec.report.panel import Group, Panel
from fitrec.report.svg import place

_LONGEST_S = 24.0
R_LABEL = "correlation of rates, r"


def subject(fit: Fit) -> str:
    """Say what was fitted, and with what."""
    s, rule = fit.summary, fit.summary["rule"] or "an unknown rule"
    return (
        f"A network of {s['n_neurons']:,} spiking neurons, trained with {rule} to follow {s['n_trained']:,} units "
        f"of {fit.detail['recording'] or 'the recording'} through time, driven by the activity of {len(fit.targets.inputs):,} "
        "others."
    )


def verdict(fit: Fit) -> str:
    """How good the fit is, stated plainly beside the linear regression."""
    trials, median = fit.summary["baselines"]["evaluation_trials"], _median(fit.score)
    if not fit.has_test:
        return (
            f"In the median unit the network's rate correlates with the recorded one by {place(median)}, estimated from {trials} "
            "trials with frozen weights. No time was held out: this tells how well the network fits, not how well it predicts."
        )
    seconds = fit.detail["continuous"]["segments"]["test"] * fit.detail["continuous"]["segment_s"]
    bits, linear_bits = (place(_median(fit.column(name)), 3) for name in ("bits_per_spike", "bits_per_spike_linear"))
    better, units = int(np.nansum(fit.score > fit.limit)), int(np.isfinite(fit.score).sum())
    return (
        f"Through {seconds:,.0f} s of time that training never saw, the network's rate correlates with the recorded one by "
        f"{place(median)} in the median unit, estimated from {trials} trials with frozen weights; a linear regression on the "
        f"same input units reaches {place(_median(fit.limit))}. The network is ahead in {better:,} of {units:,} units. Its "
        f"rates tell {bits} bits per spike (median) beyond the units' mean rates, the regression's {linear_bits}. A recorded "
        "rate of a single stretch of time is mostly noise, so that no model comes close to 1."
    )


def key_figures(fit: Fit) -> list[tuple[str, str, str]]:
    """Value, label and note of the two figures that come first."""
    untrained = fit.summary["baselines"]["untrained_r"]
    beside = f", untrained {place(untrained['median'])}" if untrained else ""
    linear = f"linear regression {place(_median(fit.limit))}" if fit.has_test else "no time was held out"
    figures = [
        (place(_median(fit.score)), "median r over " + ("held-out time" if fit.has_test else "fitted time"), linear + beside)
    ]
    if fit.has_test:
        figures.append(
            (
                place(_median(fit.column("bits_per_spike")), 3),
                "bits per spike",
                f"median; linear regression {place(_median(fit.column('bits_per_spike_linear')), 3)}",
            )
        )
    return figures


def score_rows(fit: Fit) -> list[tuple[str, str, str | None, str | None, str | None]]:
    """Role and label of each row of the table of scores, with its columns of r, R2 and bits per spike."""
    if not fit.has_test:
        return [("model", "Network on fitted time", "r_train", "r2_train", None)]
    return [
        ("model", "Network on held-out time", "r_test", "r2_test", "bits_per_spike"),
        ("model-light", "Network on training time", "r_train", "r2_train", None),
        ("ceiling", "Linear regression on the input units", "r_linear", "r2_linear", "bits_per_spike_linear"),
        ("baseline", "Baseline: the untrained network", "r_untrained", None, "bits_per_spike_untrained"),
        ("baseline", "Baseline: each unit's mean rate", None, "r2_baseline_mean_rate", None),
    ]


def quality(fit: Fit) -> list[Panel]:
    """Distributions of the scores, and each unit against the regression."""
    rows = [
        ("network, held-out time" if fit.has_test else "network, fitted time", fit.score, "model"),
        ("linear regression", fit.limit, "ceiling"),
        ("untrained network", fit.column("r_untrained"), "baseline"),
    ]
    rows = [row for row in rows if np.isfinite(row[1]).any()]
    words = "; ".join(f"{label} {place(_median(values))}" for label, values, _ in rows)
    panels = [
        Panel(
            ladder("ladder", rows, f"Distribution over units of the correlation. Medians: {words}.", R_LABEL),
            "Scores and baselines",
            "Each row is a distribution over units: the dot is the median, the bar holds half of them, the line nine in ten.",
        )
    ]
    if fit.has_test:
        panels.append(
            Panel(
                against_ceiling(
                    "against-linear", fit.limit, fit.score, np.ones(len(fit.metrics), bool), "linear regression, r", "network, r",
                    f"Scatter of each unit's correlation against the regression's; medians {words}.",
                ),
                "Each unit against the regression",
                "One dot per unit; above the line the network follows the unit better than the regression.",
            )
        )  # fmt: skip
    return panels


def gallery(fit: Fit, parts: list[tuple[str, NDArray[Any]]]) -> list[Group]:
    """Rates of units, in groups, through the longest stretch of held-out time."""
    shown = _longest_stretch(fit)
    return [Group(title, "", [_course(fit, int(unit), shown) for unit in units]) for title, units in parts if len(units)]


def _longest_stretch(fit: Fit) -> NDArray[np.int64]:
    """Held-out segments (or, without any, all) that follow one another, as many as are shown."""
    goal = fit.targets
    assert goal.trial_is_test is not None
    wanted = np.flatnonzero(goal.trial_is_test if fit.has_test else np.ones(len(goal.trial_is_test), bool))
    stretches = np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1)
    longest = max(stretches, key=len)  # the first of them
    return longest[: max(1, int(_LONGEST_S / (goal.bin_edges_s[-1] - goal.bin_edges_s[0])))]


def _course(fit: Fit, unit: int, shown: NDArray[np.int64]) -> Panel:
    goal, activity = fit.targets, fit.activity
    assert goal.segment_start_s is not None
    recorded = goal.rate_hz if goal.rate_test_hz is None else goal.rate_test_hz
    linear = np.full(recorded.shape, np.nan) if activity.linear_hz is None else activity.linear_hz
    time_s = (goal.segment_start_s[shown][:, None] + fit.time_s).ravel()
    name = fit.unit_name(unit)
    figures = f"r {place(fit.score[unit])}" + (f", linear regression {place(fit.limit[unit])}" if fit.has_test else "")
    recorded_hz, linear_hz, model_hz = (values[shown, :, unit].ravel() for values in (recorded, linear, activity.psth_hz))
    alt = f"Rate of {name} through time: recorded and model, {figures}."
    return Panel(time_course(f"course-{unit}", time_s, recorded_hz, linear_hz, model_hz, alt), name, figures)


def _median(values: NDArray[Any]) -> float | None:
    defined = values[np.isfinite(values)]
    return float(np.median(defined)) if defined.size else None
