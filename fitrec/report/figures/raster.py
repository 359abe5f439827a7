"""Spike rasters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.report.svg import ROLES, axes, styled, to_svg


@styled
def raster(
    name: str,
    time_s: NDArray[Any],
    row: NDArray[Any],
    n_rows: int,
    window_s: tuple[float, float],
    role: str,
    row_label: str,
    alt: str,
    separators: tuple[int, ...] = (),
    height_px: float = 190,
) -> str:
    """One tick per spike.

    Parameters
    ----------
    name, alt : str
        As in `fitrec.report.svg.to_svg`.
    time_s, row : (spike,)
        Time in seconds and row (0 at the top) of each spike.
    n_rows : int
        Number of rows, those without a spike included.
    window_s : (float, float)
        Time axis.
    role : str
        Colour: whose spikes these are.
    row_label : str
        What a row is.
    separators : tuple of int
        Rows above which a line is drawn.
    height_px : float
        Natural height.

    """
    figure, ax = axes(420, height_px)
    # One polyline with gaps is one SVG path, a fifth of the size of a marker per spike.
    x = np.repeat(time_s, 3)
    y = np.stack([row + 0.1, row + 0.9, np.full(len(row), np.nan)], axis=1).ravel()
    ax.plot(x, y, color=ROLES[role], linewidth=1.2, solid_capstyle="butt")
    for separator in separators:
        ax.axhline(separator, color=ROLES["rule"], linewidth=0.8)
    if window_s[0] < 0 < window_s[1]:
        ax.axvline(0, color=ROLES["rule"], linewidth=0.8, zorder=0)
    ax.set_xlim(*window_s)
    ax.set_ylim(n_rows, 0)
    ax.set_yticks([])
    ax.set_ylabel(row_label)
    ax.set_xlabel("time (s)")
    ax.spines["left"].set_visible(False)
    return to_svg(figure, name, alt)
