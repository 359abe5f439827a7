"""One figure per unit and measure, and their summaries."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.evaluate import psth
from fitrec.evaluate.baselines import mean_rate_r2
from fitrec.evaluate.ceiling import Ceiling
from fitrec.evaluate.psth import Method, correlate, r_squared

Column = NDArray[np.float64]


def score_psths(
    model_hz: NDArray[Any],
    train_hz: NDArray[Any],
    test_hz: NDArray[Any] | None,
    *,
    untrained_hz: NDArray[Any] | None,
    ceiling: Ceiling | None,
    poisson_r: Column,
    method: Method,
) -> tuple[dict[str, Column], list[str]]:
    """Score every unit's PSTH against the training and the test trials, beside its ceilings and baselines.

    Parameters
    ----------
    model_hz, train_hz, test_hz, untrained_hz : (condition, time, unit)
        PSTHs of the trained network, of the recording's two halves, and of the untrained network, all smoothed alike.
    ceiling : Ceiling or None
        Of the test trials.
    poisson_r : (unit,)
        Poisson ceiling for the number of simulated trials.
    method : str
        Correlation behind the ceilings, baselines and ratios.

    Returns
    -------
    columns : dict of (unit,) float64
        ``r_train``, ``r_test`` are over the conditions joined in time, ``*_per_condition`` the mean over conditions.
        ``r_untrained`` is on the test trials, or on the training trials where there are no others. NaN where undefined or not
        applicable.
    notes : list of str
        Per unit, the reasons of undefined values.

    """
    nan = np.full(model_hz.shape[2], np.nan)
    has_test = test_hz is not None
    test = test_hz if test_hz is not None else np.full_like(train_hz, np.nan)
    columns = {
        "r_train": correlate(model_hz, train_hz),
        "r_test": correlate(model_hz, test),
        "r_train_per_condition": correlate(model_hz, train_hz, "per_condition"),
        "r_test_per_condition": correlate(model_hz, test, "per_condition"),
        "r2_train": r_squared(model_hz, train_hz),
        "r2_test": r_squared(model_hz, test),
        "split_half_r": correlate(train_hz, test, method),
        "ceiling_r": nan if ceiling is None else ceiling.r,
        "poisson_ceiling_r": poisson_r,
        "r_untrained": nan if untrained_hz is None else correlate(untrained_hz, test if has_test else train_hz, method),
        "r_baseline_train_psth": correlate(train_hz, test, method),
        "r2_baseline_train_psth": r_squared(train_hz, test),
        "r2_baseline_mean_rate": mean_rate_r2(train_hz, test),
    }
    r_test = columns["r_test" if method == "concatenated" else "r_test_per_condition"]
    columns["r_over_ceiling"] = r_test / columns["ceiling_r"]
    notes = psth.reasons(model_hz, test if has_test else train_hz)
    if ceiling is not None:
        notes = [
            "; ".join(part for part in (note, reason and f"no ceiling: {reason}") if part)
            for note, reason in zip(notes, ceiling.reason, strict=True)
        ]
    return columns, notes


def summary(values: NDArray[Any]) -> dict[str, float | None]:
    """Mean and median of the defined values; None where there are none."""
    defined = values[np.isfinite(values)]
    if not defined.size:
        return {"mean": None, "median": None}
    return {"mean": float(defined.mean(dtype=np.float64)), "median": float(np.median(defined))}


def reliable_ratio(columns: dict[str, Column], reliable_above: float) -> Column:
    """Test correlation over ceiling of the units whose train and test PSTHs correlate above `reliable_above`.

    For the others both figures are mostly noise, and their ratio more so.
    """
    return columns["r_over_ceiling"][columns["split_half_r"] > reliable_above]


def summarise_psths(columns: dict[str, Column], ratio: Column, method: Method) -> dict[str, dict[str, float | None] | None]:
    """Entries of ``summary.json`` about the fit's PSTHs; None for what does not apply.

    Parameters
    ----------
    columns
        As from `score_psths`.
    ratio : (reliable unit,)
        As from `reliable_ratio`.
    method : str
        Which of the correlations is summarised.

    """
    suffix = "" if method == "concatenated" else "_per_condition"
    ceiling, over = _applicable(columns["ceiling_r"]), _applicable(ratio)
    return {
        "psth_r_train": _applicable(columns[f"r_train{suffix}"]),
        "psth_r_test": _applicable(columns[f"r_test{suffix}"]),
        "ceiling_r": ceiling and {"median": ceiling["median"]},
        "r_over_ceiling": over and {"median": over["median"]},
    }


def summarise_baselines(columns: dict[str, Column]) -> dict[str, dict[str, float | None] | None]:
    """Entries of ``summary.json`` about ceilings and baselines; None for what does not apply."""
    return {
        "poisson_ceiling_r": _applicable(columns["poisson_ceiling_r"]),
        "untrained_r": _applicable(columns["r_untrained"]),
        "train_psth_r": _applicable(columns["r_baseline_train_psth"]),
        "train_psth_r2": _applicable(columns["r2_baseline_train_psth"]),
        "mean_rate_r": None,  # a constant has no correlation
        "mean_rate_r2": _applicable(columns["r2_baseline_mean_rate"]),
        "linear_r": _applicable(columns["r_linear"]) if "r_linear" in columns else None,
        "linear_bits_per_spike": _applicable(columns["bits_per_spike_linear"]) if "bits_per_spike_linear" in columns else None,
    }


def _applicable(values: Column) -> dict[str, float | None] | None:
    return summary(values) if np.isfinite(values).any() else None


def counted_summary(values: NDArray[Any]) -> dict[str, float | int | None]:
    """Return `summary` with the number of values that are defined."""
    return {"n": int(np.isfinite(values).sum()), **summary(values)}


def count_notes(notes: list[str]) -> dict[str, int]:
    """How many units carry each reason, most frequent first."""
    return dict(Counter(part for note in notes for part in note.split("; ") if part).most_common())
