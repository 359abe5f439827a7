"""How good the fit is: scores beside ceilings and baselines, unit by unit and area by area."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.report.svg import ROLES, axes, styled, to_svg

_MAX_POINTS = 3000


@styled
def ladder(name: str, rows: list[tuple[str, NDArray[Any], str]], alt: str, x_label: str = "correlation of PSTHs, r") -> str:
    """Distribution of a correlation over units, one row per measure: median (dot), quartiles (bar), 5th to 95th percentile.

    Parameters
    ----------
    name, alt : str
        As in `fitrec.report.svg.to_svg`.
    rows : list of (label, (unit,) values, role)
        From top to bottom; NaN values are left out.
    x_label : str

    """
    figure, ax = axes(330, 40 + 46 * len(rows))
    low = 0.0
    for y, (label, values, role) in enumerate(rows):
        defined = values[np.isfinite(values)]
        ax.text(0, y - 0.22, label, transform=ax.get_yaxis_transform(), va="center", color=ROLES["ink"])
        if not defined.size:
            continue
        p5, q1, median, q3, p95 = np.percentile(defined, [5, 25, 50, 75, 95])
        low = min(low, p5)
        ax.plot([p5, p95], [y + 0.12] * 2, color=ROLES[role], linewidth=1.2)
        ax.plot([q1, q3], [y + 0.12] * 2, color=ROLES[role], linewidth=6, solid_capstyle="butt", alpha=0.5)
        ax.plot(median, y + 0.12, "o", color=ROLES[role], markersize=8, markeredgecolor=ROLES["paper"], markeredgewidth=1.2)
    ax.set_xlim(max(-1, np.floor(low * 5) / 5), 1.0)
    ax.set_ylim(len(rows) - 0.5, -0.55)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=ROLES["rule"], linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(x_label)
    return to_svg(figure, name, alt)


@styled
def against_ceiling(
    name: str, ceiling: NDArray[Any], r: NDArray[Any], reliable: NDArray[np.bool_], x_label: str, y_label: str, alt: str
) -> str:
    """One dot per unit: its correlation against the best a perfect model could expect; unreliable units are hollow.

    Parameters
    ----------
    name, alt : str
        As in `fitrec.report.svg.to_svg`.
    ceiling, r : (unit,)
        Correlations; units with NaN are left out.
    reliable : (unit,) bool
        Units that count for the ratio.
    x_label, y_label : str
        Labels of the axes.

    """
    figure, ax = axes(330, 300)
    shown = np.flatnonzero(np.isfinite(ceiling) & np.isfinite(r))
    if len(shown) > _MAX_POINTS:
        shown = np.random.default_rng(0).choice(shown, _MAX_POINTS, replace=False)
    low = float(np.floor(5 * min(0.0, r[shown].min(initial=0.0))) / 5)
    ax.plot([0, 1], [0, 1], color=ROLES["ceiling"], linewidth=1)
    size = 4.5 if len(shown) < 500 else 3
    style: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": size, "color": ROLES["model"]}
    hollow, full = shown[~reliable[shown]], shown[reliable[shown]]
    ax.plot(
        ceiling[hollow],
        r[hollow],
        markerfacecolor="none",
        markeredgecolor=ROLES["model"],
        markeredgewidth=0.8,
        alpha=0.6,
        **style,
    )
    ax.plot(ceiling[full], r[full], markerfacecolor=ROLES["model"], markeredgewidth=0, alpha=0.7, **style)
    # A ceiling, the root of a reliability, is never negative; a regression may be.
    ax.set_xlim(float(np.floor(5 * min(0.0, ceiling[shown].min(initial=0.0))) / 5), 1.02)
    ax.set_ylim(low, 1.02)
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    return to_svg(figure, name, alt)


@styled
def by_area(
    name: str,
    areas: NDArray[Any],
    r: NDArray[Any],
    ceiling: NDArray[Any],
    order: list[str],
    alt: str,
    x_label: str = "correlation of PSTHs, r",
) -> str:
    """Units of each area on one row: their correlations, the median, and the median ceiling.

    Parameters
    ----------
    name, alt : str
        As in `fitrec.report.svg.to_svg`.
    areas : (unit,) str
        Area of each unit.
    r, ceiling : (unit,)
        Correlations; NaN values are left out.
    order : list of str
        Areas to show, from top to bottom.
    x_label : str

    """
    figure, ax = axes(330, 46 + 34 * len(order))
    rng = np.random.default_rng(0)
    low = 0.0
    for y, area in enumerate(order):
        values = r[(areas == area) & np.isfinite(r)]
        if len(values) > _MAX_POINTS // len(order):
            values = rng.choice(values, _MAX_POINTS // len(order), replace=False)
        low = min(low, float(values.min(initial=0.0)))
        ax.plot(
            values,
            y + rng.uniform(-0.18, 0.18, len(values)),
            "o",
            color=ROLES["model"],
            markersize=3,
            markeredgewidth=0,
            alpha=0.4,
        )
        tops = ceiling[(areas == area) & np.isfinite(ceiling)]
        if len(tops):
            ax.plot([np.median(tops)] * 2, [y - 0.36, y + 0.36], color=ROLES["ceiling"], linewidth=2)
        if len(values):
            ax.plot([np.median(values)] * 2, [y - 0.36, y + 0.36], color=ROLES["model"], linewidth=2.5)
    ax.set_yticks(range(len(order)), [area or "unknown" for area in order])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set_xlim(max(-1.0, np.floor(low * 5) / 5), 1.02)
    ax.grid(axis="x", color=ROLES["rule"], linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(x_label)
    return to_svg(figure, name, alt)
