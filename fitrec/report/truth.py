"""The section for recordings whose true rates are known: the fit, and the recording itself, held against the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitrec.report.figures.psth import psth_panel
from fitrec.report.figures.quality import against_ceiling, ladder
from fitrec.report.figures.truth import true_rates
from fitrec.report.fit import Fit
from fitrec.report.panel import CONDITIONS_SHOWN, Panel, spread
from fitrec.report.svg import place

_UNITS = 4


@dataclass(frozen=True)
class TruthSection:
    """Text and figures of the section."""

    text: str
    panels: list[Panel]
    psths: list[Panel]


def truth_section(fit: Fit) -> TruthSection | None:
    """Hold the fit against the truth; None where it is not known."""
    if fit.activity.truth_psth_hz is None:
        return None
    trials, truth_trials = fit.summary["baselines"]["evaluation_trials"], fit.detail["truth_trials"]
    rows = [
        ("network", fit.column("r_truth"), "model"),
        (f"a network with the true rates, {trials} trials", fit.column("r_truth_poisson"), "ceiling"),
        ("recorded training trials, as fitted", fit.column("r_truth_train_psth"), "recorded"),
        ("untrained network", fit.column("r_truth_untrained"), "baseline"),
    ]
    median = {role: place(_median(values)) for _, values, role in rows}
    rows = [row for row in rows if np.isfinite(row[1]).any()]
    model, recorded = fit.column("r_truth"), fit.column("r_truth_train_psth")
    both = np.isfinite(model) & np.isfinite(recorded)
    ratio = fit.column("rate_model_hz") / fit.column("rate_truth_hz")
    ratio = ratio[np.isfinite(ratio)] if np.isfinite(ratio).any() else np.full(1, np.nan)
    text = (
        f"This recording was simulated, so its true rates are known: from {truth_trials} further trials of each condition, which "
        "neither training nor the figures above have seen. In the median unit the network's PSTH correlates with the true one by "
        f"{median['model']}; the noisy PSTH of the training trials, all that the network was fitted to, does so by "
        f"{median['recorded']}, and a network with exactly the true rates and Poisson spikes could expect {median['ceiling']}. "
        f"The network is closer to the truth than the PSTH it was fitted to in {int((model > recorded)[both].sum()):,} of "
        f"{int(both.sum()):,} units. Its mean rate is {place(float(np.median(ratio)))} times the true one in the median unit, "
        f"within {place(float(np.percentile(ratio, 5)))} and {place(float(np.percentile(ratio, 95)))} in nine of ten."
    )
    panels = [
        Panel(
            ladder("truth-ladder", rows, "Distribution over units of the correlation with the true PSTHs."),
            "Correlation with the true PSTHs",
            "Dot: median; bar: half of the units; line: nine in ten.",
        ),
        Panel(
            against_ceiling(
                "truth-scatter", recorded, model, np.ones(len(model), bool), "training trials with the truth, r",
                "network with the truth, r", f"Scatter of {int(both.sum())} units: network against training trials.",
            ),
            "Each unit against what was fitted",
            "Above the line the network is closer to the truth than the recorded trials that it was fitted to.",
        ),
        Panel(
            true_rates(
                "truth-rates", fit.column("rate_truth_hz"), fit.column("rate_model_hz"),
                f"Mean rate of each unit's neuron against the true one; median ratio {place(float(np.median(ratio)))}.",
            ),
            "Mean rates",
            "One dot per unit, over all conditions.",
        ),
    ]  # fmt: skip
    ranked = np.flatnonzero(np.isfinite(model))
    ranked = ranked[np.argsort(-model[ranked], kind="stable")]
    return TruthSection(text, panels, [_psth(fit, int(unit)) for unit in ranked[spread(len(ranked), _UNITS)]])


def _median(values: NDArray[np.float64]) -> float | None:
    defined = values[np.isfinite(values)]
    return float(np.median(defined)) if defined.size else None


def _psth(fit: Fit, unit: int) -> Panel:
    assert fit.activity.truth_psth_hz is not None
    goal = fit.targets
    shown = spread(len(goal.condition_names), CONDITIONS_SHOWN)
    name = fit.unit_name(unit)
    figures = f"network r {place(fit.column('r_truth')[unit])}, training trials {place(fit.column('r_truth_train_psth')[unit])}"
    svg = psth_panel(
        f"truth-psth-{unit}",
        fit.time_s,
        fit.activity.psth_hz[shown, :, unit],
        goal.rate_hz[shown, :, unit],
        fit.activity.truth_psth_hz[shown, :, unit],
        [goal.condition_names[c] for c in shown],
        f"PSTH of {name}: true, recorded and model, {figures}.",
        role="truth",
    )
    return Panel(svg, name, figures)
