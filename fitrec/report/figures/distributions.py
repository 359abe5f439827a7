"""Distributions over units, pairs and weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.report.svg import ROLES, axes, styled, to_svg

_BINS = 24


@styled
def overlaid(
    name: str,
    series: list[tuple[NDArray[Any], str]],
    x_label: str,
    alt: str,
    *,
    log: bool = False,
    reference: float | None = None,
) -> str:
    """Histograms of several series over common bins, each scaled to its own number of values; medians as triangles.

    Parameters
    ----------
    name, alt : str
        As in `fitrec.report.svg.to_svg`.
    series : list of ((value,) array, role)
        The first is filled, the others are outlines; NaN (and, on a log axis, values that are not positive) are left out.
    x_label : str
        Label of the value axis.
    log : bool
        Logarithmic axis.
    reference : float or None
        Where to draw a thin line (for example 1 for a Poisson process).

    """
    figure, ax = axes(270, 170)
    kept = [v[np.isfinite(v) & ((v > 0) | (not log))] for v, _ in series]
    everything = np.concatenate([*kept, np.zeros(0)])
    if everything.size:
        low, high = np.percentile(everything, [0.5, 99.5])
        if not high > low:
            low, high = (low / 2, low * 2) if log else (low - 0.5, low + 0.5)
        edges = np.geomspace(low, high, _BINS + 1) if log else np.linspace(low, high, _BINS + 1)
        for k, (values, (_, role)) in enumerate(zip(kept, series, strict=True)):
            if not len(values):
                continue
            share = 100 * np.histogram(np.clip(values, low, high), edges)[0] / len(values)
            if k == 0 and len(series) > 1:
                ax.stairs(share, edges, color=ROLES[role], fill=True, alpha=0.3, linewidth=0)
            ax.stairs(share, edges, color=ROLES[role], linewidth=1.5)
            ax.plot(
                np.median(values), 1.0, "v", color=ROLES[role], transform=ax.get_xaxis_transform(), markersize=6, clip_on=False
            )
        if reference is not None and low < reference < high:
            ax.axvline(reference, color=ROLES["rule"], linewidth=0.8, zorder=0)
        if log:
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("% of values")
    ax.locator_params(axis="y", nbins=3)
    ax.set_xlabel(x_label)
    return to_svg(figure, name, alt)


@styled
def weights(name: str, before: NDArray[Any], after: NDArray[Any], x_label: str, alt: str) -> str:
    """Weights after training as a histogram over those before; a single initial value becomes a line."""
    figure, ax = axes(270, 170)
    low, high = np.percentile(after, [0.25, 99.75])
    low, high = min(low, float(before.min()), 0.0), max(high, float(before.max()), 0.0)
    edges = np.linspace(low, high, 41)
    share = 100 * np.histogram(np.clip(after, low, high), edges)[0] / after.size
    ax.stairs(share, edges, color=ROLES["model"], fill=True, alpha=0.3, linewidth=0)
    ax.stairs(share, edges, color=ROLES["model"], linewidth=1.5)
    if np.ptp(before) <= 1e-6 * max(1e-12, float(np.abs(before).max())):
        ax.axvline(float(before.flat[0]), color=ROLES["ceiling"], linewidth=2)
    else:
        ax.stairs(100 * np.histogram(before, edges)[0] / before.size, edges, color=ROLES["ceiling"], linewidth=1.5)
    ax.axvline(0, color=ROLES["rule"], linewidth=0.8, zorder=0)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("% of weights")
    ax.locator_params(axis="y", nbins=3)
    ax.set_xlabel(x_label)
    return to_svg(figure, name, alt)
