"""The page's sentences and tables of figures."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fitrec.report import held_out_time
from fitrec.report.fit import Fit
from fitrec.report.svg import place


@dataclass(frozen=True)
class KeyFigure:
    """One figure of the headline: value, what it is, and what to hold it against."""

    value: str
    label: str
    note: str


def subject(fit: Fit) -> str:
    """Say what was fitted, and with what."""
    if fit.is_continuous:
        return held_out_time.subject(fit)
    s = fit.summary
    conditions = fit.detail["conditions"]
    of = (
        f"the PSTHs of {s['n_trained']:,} of {s['n_units']:,}"
        if s["n_trained"] != s["n_units"]
        else f"the PSTHs of all {s['n_units']:,}"
    )
    return (
        f"A network of {s['n_neurons']:,} spiking neurons, trained with {s['rule'] or 'an unknown rule'} to reproduce {of} units "
        f"of {fit.detail['recording'] or 'the recording'} in {_count(len(conditions), 'condition')}.{_surrogate(fit)}"
    )


def _surrogate(fit: Fit) -> str:
    """Say so where the units are copies (`fitrec.recordings.select.resample_units`)."""
    if "source_unit_id" not in fit.targets.units:
        return ""
    n = fit.targets.units["source_unit_id"].nunique()
    return f" The units are a surrogate, no recorded population: copies of {_count(n, 'unit')}, drawn with replacement."


def verdict(fit: Fit) -> str:
    """How good the fit is, stated plainly beside what could be reached."""
    d, trials = fit.detail, fit.summary["baselines"]["evaluation_trials"]
    median, limit = _median(fit.score), _median(fit.limit)
    if median is None:
        return f"No unit has a correlation, so there is nothing to judge the fit by.{_without_score(fit)}"
    if fit.is_continuous:
        return held_out_time.verdict(fit) + _without_score(fit)
    if not fit.has_test:
        return (
            f"In the median unit the network's PSTH correlates with the recorded one by {place(median)}, estimated from {trials} "
            f"trials per condition with frozen weights; a perfect network with Poisson spikes could expect {place(limit)} from "
            "as many trials. The recording holds no single trials, so nothing could be held out: this tells how well the network "
            "fits, not how well it predicts." + _without_score(fit)
        )
    text = (
        f"On trials that training never saw, the network's PSTH correlates with the recorded one by {place(median)} in the "
        f"median unit, estimated from {trials} trials per condition with frozen weights. A model without any noise could expect "
        f"{place(limit)}."
    )
    reliable = d["r_over_ceiling_reliable"]
    if reliable["n"]:
        text += (
            f" Where the recording agrees with itself (the {_count(reliable['n'], 'unit')} whose train and test PSTHs correlate "
            f"above {d['reliable_above']:g}), the network reaches {100 * reliable['median']:.0f} % of what is possible."
        )
    return text + _without_score(fit)


def _without_score(fit: Fit) -> str:
    """Say how many trained units the medians leave out, and why: a silent neuron has no correlation."""
    left_out = fit.metrics[fit.metrics["neuron"].notna() & ~np.isfinite(fit.score)]
    if not len(left_out):
        return ""
    why = Counter(str(note).split("; ")[0] for note in left_out["note"])
    reasons = ", ".join(f"{n:,}: {note}" for note, n in why.most_common())
    return f" Not in these figures, since their correlation is undefined: {_count(len(left_out), 'trained unit')} ({reasons})."


def key_figures(fit: Fit) -> list[KeyFigure]:
    """Build the headline: score, share of the ceiling, training time, rates."""
    s = fit.summary
    figures = [KeyFigure(*parts) for parts in held_out_time.key_figures(fit)] if fit.is_continuous else _psth_figures(fit)
    seconds = s["train_seconds"]
    memory = f", {s['peak_memory_mb']:,.0f} MB" if s["peak_memory_mb"] else ""
    figures.append(
        KeyFigure(
            "\N{EN DASH}" if seconds is None else duration(seconds),
            "training time",
            f"{_count(s['loops'] or 0, 'loop')} on {s['device'] or 'an unknown device'}{memory}",
        )
    )
    rates = s["rate_hz"]
    figures.append(
        KeyFigure(
            f"{place(rates['E'], 1)} / {place(rates['I'], 1)} Hz",
            "mean rate of E / I neurons",
            f"recorded units {place(rates['recorded'], 1)} Hz",
        )
    )
    return figures


def _psth_figures(fit: Fit) -> list[KeyFigure]:
    """Score and share of the ceiling of PSTHs."""
    s, d = fit.summary, fit.detail
    baselines = s["baselines"]
    against = "held-out trials" if fit.has_test else "the fitted PSTHs"
    untrained = baselines["untrained_r"]
    figures = [
        KeyFigure(
            place(_median(fit.score)),
            f"median r with {against}",
            f"ceiling {place(_median(fit.limit))}" + (f", untrained {place(untrained['median'])}" if untrained else ""),
        )
    ]
    reliable = d["r_over_ceiling_reliable"]
    if reliable["n"]:
        figures.append(
            KeyFigure(
                f"{100 * reliable['median']:.0f} %", "of the ceiling", f"median of {_count(reliable['n'], 'reliable unit')}"
            )
        )
    else:
        figures.append(
            KeyFigure(f"{s['n_trained']:,}", "trained neurons", f"of {s['n_neurons']:,}, one for each of as many recorded units")
        )
    return figures


def score_rows(fit: Fit) -> list[dict[str, str]]:
    """Rows of the table of scores; measures that do not apply are left out, except the mean rate, whose r cannot be defined."""
    trials = fit.summary["baselines"]["evaluation_trials"]
    suffix = "" if fit.detail["correlation"] == "concatenated" else "_per_condition"
    wanted = [
        ("model", "Network on test trials", f"r_test{suffix}", "r2_test"),
        ("model-light", "Network on training trials", f"r_train{suffix}", "r2_train"),
        ("ceiling", "Ceiling: a noise-free model on test trials", "ceiling_r", None),
        ("ceiling", f"Ceiling: a perfect Poisson network, {trials} trials", "poisson_ceiling_r", None),
        ("recorded", "Baseline: the training PSTH itself on test trials", "r_baseline_train_psth", "r2_baseline_train_psth"),
        ("baseline", "Baseline: the untrained network", "r_untrained", None),
        ("baseline", "Baseline: each unit's mean rate", None, "r2_baseline_mean_rate"),
    ]
    with_bits = held_out_time.score_rows(fit) if fit.is_continuous else [(*row, None) for row in wanted]
    rows = []
    for role, label, r, r2, bits in with_bits:
        r_values = fit.column(r) if r else np.full(len(fit.metrics), np.nan)
        r2_values = fit.column(r2) if r2 else np.full(len(fit.metrics), np.nan)
        counted = r_values if r else r2_values
        if np.isfinite(r_values).any() or np.isfinite(r2_values).any():
            mean = float(np.nanmean(r_values)) if np.isfinite(r_values).any() else None
            rows.append(
                {
                    "role": role,
                    "label": label,
                    "median": place(_median(r_values)),
                    "mean": place(mean),
                    "r2": place(_median(r2_values)),
                    "bits": place(_median(fit.column(bits)), 3) if bits else "\N{EN DASH}",
                    "n": f"{np.isfinite(counted).sum():,}",
                }
            )
    return rows


def flat(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mapping as (key, value) rows; keys of inner mappings are joined by a dot."""
    rows: list[tuple[str, str]] = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)):
            rows.append((f"{prefix}{key}", ", ".join(_cell(v) for v in value)))
        else:
            rows.append((f"{prefix}{key}", _cell(value)))
    return rows


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = seconds / 60
    return f"{minutes:.3g} min" if minutes < 100 else f"{minutes / 60:.3g} h"


def _cell(value: Any) -> str:
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 else str(value)


def _median(values: Any) -> float | None:
    defined = values[np.isfinite(values)]
    return float(np.median(defined)) if defined.size else None


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
