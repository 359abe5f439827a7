"""PSTHs of one unit: recorded and model."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.report.svg import ROLES, axes, styled, to_svg

_MAX_POINTS = 160


@styled
def psth_panel(
    name: str,
    time_s: NDArray[Any],
    model_hz: NDArray[Any],
    train_hz: NDArray[Any],
    test_hz: NDArray[Any] | None,
    condition_names: list[str],
    alt: str,
    role: str = "recorded",
) -> str:
    """Conditions side by side on one rate axis.

    Parameters
    ----------
    name, alt : str
        As in `fitrec.report.svg.to_svg`.
    time_s : (time,)
        Bin centres.
    model_hz, train_hz, test_hz : (condition, time)
        PSTHs in Hz; without test trials the training PSTH takes the place of the recording.
    role : str
        What `test_hz` is.
    condition_names : list of str
        Written above each condition when there are several.

    """
    figure, ax = axes(270, 150)
    every = -(-len(time_s) // _MAX_POINTS)
    span = time_s[-1] - time_s[0]
    gap = 0.12 * span
    tallest = 0.0
    prefix = _shared_words(condition_names)
    for c, condition in enumerate(condition_names):
        x = (time_s - time_s[0] + c * (span + gap))[::every]
        traces = [(model_hz, "model", 1.7)]
        traces = (
            [(train_hz, "recorded-train", 1.1), (test_hz, role, 1.5), *traces]
            if test_hz is not None
            else [(train_hz, "recorded", 1.5), *traces]
        )
        for values, colour, width in traces:
            ax.plot(x, values[c, ::every], color=ROLES[colour], linewidth=width)
            finite = values[c][np.isfinite(values[c])]
            tallest = max(tallest, float(finite.max(initial=0.0)))
        if time_s[0] < 0 < time_s[-1]:
            ax.axvline(c * (span + gap) - time_s[0], color=ROLES["rule"], linewidth=0.8, zorder=0)
        if len(condition_names) > 1:
            ax.text(
                x.mean(),
                1.0,
                _short(condition[prefix:], len(condition_names)),
                transform=ax.get_xaxis_transform(),
                ha="center",
                va="bottom",
                color=ROLES["muted"],
            )
    ax.set_ylim(0, 1.08 * tallest or 1)
    ax.set_ylabel("Hz")
    ax.locator_params(axis="y", nbins=3)
    _scale_bar(ax, span)
    return to_svg(figure, name, alt)


def _scale_bar(ax: Any, span: float) -> None:
    """Replace the time axis, which restarts in every condition, by a bar of round length."""
    length = 10 ** np.floor(np.log10(span / 2))
    length *= max(m for m in (1, 2, 5) if m * length <= span / 2)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.plot([0, length], [-0.06, -0.06], transform=ax.get_xaxis_transform(), color=ROLES["muted"], linewidth=1.2, clip_on=False)
    label = f"{length * 1e3:g} ms" if length < 1 else f"{length:g} s"
    ax.text(length / 2, -0.1, label, transform=ax.get_xaxis_transform(), ha="center", va="top", color=ROLES["muted"])


def _shared_words(names: list[str]) -> int:
    """Length of the words that all names begin with: "contrast 25 %", "contrast 50 %" differ after "contrast "."""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return first[:same].rfind(" ") + 1


def _short(text: str, among: int) -> str:
    room = max(6, 40 // among)
    return text if len(text) <= room else text[: room - 1] + "…"
