"""Draws with matplotlib and turns the result into inline SVG that follows the page's colours and fonts.

Colours are drawn as the hex values of `ROLES` and then replaced by CSS variables of the same name, so that one figure serves
light, dark and print. Sizes are CSS pixels at the figure's natural width; on the page it scales with its column.
"""

import io
import re
from collections.abc import Callable
from functools import wraps
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

# What a colour means on every figure. The values only have to differ; the page's style sheet says how each one looks.
ROLES = {
    "ink": "#101112",
    "muted": "#606162",
    "rule": "#d0d1d2",
    "paper": "#fdfcfb",
    "recorded": "#0072b2",
    "recorded-train": "#7fb8d8",
    "model": "#d55e00",
    "model-light": "#eaae7f",
    "ceiling": "#8a8b8c",
    "baseline": "#b0b1b2",
    "truth": "#101314",
}

FONT_PX = 11.5

# Any: the names are checked by matplotlib itself.
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: selectable, in the page's font
    "font.size": FONT_PX,
    "axes.labelsize": FONT_PX,
    "axes.titlesize": FONT_PX,
    "xtick.labelsize": FONT_PX,
    "ytick.labelsize": FONT_PX,
    "axes.edgecolor": ROLES["muted"],
    "axes.labelcolor": ROLES["muted"],
    "xtick.color": ROLES["muted"],
    "ytick.color": ROLES["muted"],
    "text.color": ROLES["ink"],
    "axes.linewidth": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
}


def styled(draw: Callable[P, str]) -> Callable[P, str]:
    """Decorate a figure function: it draws in the report's style, whatever matplotlib's settings are."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> str:
        import matplotlib as mpl  # heavy: only when a figure is drawn

        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return wrapper


def axes(width_px: float, height_px: float) -> "tuple[Figure, Axes]":
    """Return a figure of the given natural size with one pair of axes."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=2 / 72, h_pad=2 / 72)
    figure = Figure(figsize=(width_px / 72, height_px / 72), dpi=72, layout=layout)
    figure.patch.set_visible(False)
    ax = figure.add_subplot()
    ax.patch.set_visible(False)
    return figure, ax


def to_svg(figure: "Figure", name: str, alt: str) -> str:
    """Render a figure as an ``<svg>`` element.

    Parameters
    ----------
    figure : matplotlib Figure
        Drawn with colours of `ROLES` only.
    name : str
        Unique on the page; keeps the ids of different figures apart.
    alt : str
        What the figure shows, for those who cannot see it.

    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))  # type: ignore[no-untyped-call]
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"\s*font-family:[^;\"]*;?|font:\s*(?P<size>[\d.]+px)[^;\"]*", _keep_size, text)
    text = re.sub(r"<[^>]*>", _round_coordinates, text)
    for role, colour in ROLES.items():
        text = text.replace(colour, f"var(--{role})")
    text = _own_ids(text, name)
    view_box = re.search(r'viewBox="[^"]*"', text)
    assert view_box is not None
    body = text[text.index(">") + 1 :]
    return f'<svg {view_box[0]} role="img" aria-label="{escape(alt)}" xmlns:xlink="http://www.w3.org/1999/xlink">{body}'.strip()


def _round_coordinates(tag: re.Match[str]) -> str:
    """Cut the numbers of a tag to a tenth of a pixel, which halves the page."""
    return re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), tag[0])


def _keep_size(match: re.Match[str]) -> str:
    return f"font-size: {match['size']}" if match["size"] else ""


def _own_ids(text: str, name: str) -> str:
    """Drop ids that nothing refers to, and prefix the others."""
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    return re.sub(r"(href=\"#|url\(#)", rf"\g<1>{name}-", text)


def place(value: Any, digits: int = 2) -> str:
    """Format a number for the page: fixed digits, a real minus sign, and a dash where there is none."""
    if value is None or value != value:
        return "\N{EN DASH}"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
