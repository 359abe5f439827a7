"""Learning curves."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.report.svg import ROLES, axes, styled, to_svg


@styled
def correlation_curve(name: str, loop: NDArray[Any], correlation: NDArray[Any], forcing: NDArray[Any] | None, alt: str) -> str:
    """Correlation with the target after each loop, over the teacher forcing that the loop ran with.

    Parameters
    ----------
    name, alt : str
        As in `fitrec.report.svg.to_svg`.
    loop, correlation, forcing : (loop,)
        NaN where a loop was not evaluated; forcing from 0 to 1.

    """
    figure, ax = axes(270, 170)
    if forcing is not None and np.isfinite(forcing).any():
        ax.fill_between(loop, forcing, step="mid", color=ROLES["rule"], alpha=0.7, linewidth=0)
    seen = np.isfinite(correlation)
    marker = "o" if seen.sum() <= 30 else ""
    ax.plot(loop[seen], correlation[seen], color=ROLES["model"], marker=marker, markersize=4)
    ax.set_ylim(min(0.0, float(np.nanmin(correlation, initial=0.0)) - 0.05), 1.02)
    ax.set_ylabel("r with the target")
    _loops(ax)
    return to_svg(figure, name, alt)


@styled
def rate_curve(name: str, loop: NDArray[Any], exc_hz: NDArray[Any], inh_hz: NDArray[Any], alt: str) -> str:
    """Mean rates of E and I neurons in each loop; the lines are labelled at their ends."""
    figure, ax = axes(270, 170)
    tallest = float(np.nanmax([exc_hz, inh_hz], initial=0.0))
    for values, role, label in ((exc_hz, "model", "E"), (inh_hz, "ceiling", "I")):
        seen = np.isfinite(values)
        if seen.any():
            ax.plot(loop[seen], values[seen], color=ROLES[role])
            ax.annotate(
                label,
                (loop[seen][-1], values[seen][-1]),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                color=ROLES["ink"],
            )
    ax.set_ylim(0, 1.15 * tallest or 1)  # room for the label of the higher line
    ax.set_ylabel("mean rate (Hz)")
    _loops(ax)
    return to_svg(figure, name, alt)


def _loops(ax: Any) -> None:
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.locator_params(axis="y", nbins=4)
    ax.set_xlabel("loop")
