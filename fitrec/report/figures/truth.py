"""The fit against the true rates of a simulated recording."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.report.svg import ROLES, axes, styled, to_svg


@styled
def true_rates(name: str, truth_hz: NDArray[Any], model_hz: NDArray[Any], alt: str) -> str:
    """One dot per unit on logarithmic axes: the network's mean rate against the true one.

    Parameters
    ----------
    name, alt : str
        As in `fitrec.report.svg.to_svg`.
    truth_hz, model_hz : (unit,)
        Mean rates; units with NaN or zero are left out.

    """
    from matplotlib.ticker import LogLocator, NullFormatter  # heavy: only when a figure is drawn

    figure, ax = axes(330, 300)
    shown = (truth_hz > 0) & (model_hz > 0)
    both = np.concatenate([truth_hz[shown], model_hz[shown]])
    low, high = (both.min() / 1.3, both.max() * 1.3) if both.size else (0.1, 10.0)
    ax.plot([low, high], [low, high], color=ROLES["ceiling"], linewidth=1)
    ax.plot(truth_hz[shown], model_hz[shown], "o", color=ROLES["model"], markersize=4.5, markeredgewidth=0, alpha=0.7)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_xlabel("true mean rate (Hz)")
    ax.set_ylabel("network's mean rate (Hz)")
    return to_svg(figure, name, alt)
