"""Rates of one unit over a stretch of time: recorded, model and linear regression."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.report.svg import ROLES, axes, styled, to_svg

_MAX_POINTS = 500


@styled
def time_course(
    name: str, time_s: NDArray[Any], recorded_hz: NDArray[Any], linear_hz: NDArray[Any], model_hz: NDArray[Any], alt: str
) -> str:
    """Draw the recorded rate, and over it those of the regression and the network.

    Parameters
    ----------
    name, alt : str
        As in `fitrec.report.svg.to_svg`.
    time_s : (time,)
    recorded_hz, linear_hz, model_hz : (time,)
        Rates in Hz; NaN leaves a gap.

    """
    figure, ax = axes(420, 150)
    every = -(-len(time_s) // _MAX_POINTS)
    x = time_s[::every]
    ax.fill_between(x, recorded_hz[::every], color=ROLES["recorded-train"], alpha=0.5, linewidth=0)
    for values, role, width in ((recorded_hz, "recorded", 1.0), (linear_hz, "ceiling", 1.2), (model_hz, "model", 1.7)):
        ax.plot(x, values[::every], color=ROLES[role], linewidth=width)
    tallest = max(float(np.nanmax(values, initial=0.0)) for values in (recorded_hz, linear_hz, model_hz))
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(0, 1.08 * tallest or 1)
    ax.set_ylabel("Hz")
    ax.set_xlabel("time (s)")
    ax.locator_params(axis="y", nbins=3)
    ax.locator_params(axis="x", nbins=6)
    return to_svg(figure, name, alt)
