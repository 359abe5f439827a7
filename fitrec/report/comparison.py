"""The page that shows fits of the same recordings side by side."""

from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fitrec
from fitrec.report.figures.quality import ladder
from fitrec.report.panel import Panel
from fitrec.report.svg import place


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One of the fits.

    Attributes
    ----------
    row : dict
        Its row in the table.
    r : (unit,)
        Correlation of each unit's PSTH with the test trials, or where there are none with the fitted PSTH; NaN where undefined.
    has_test : bool

    """

    row: dict[str, Any]
    r: NDArray[np.float64]
    has_test: bool

    @property
    def label(self) -> str:
        """What a reader tells it by."""
        return f"{self.row['rule']}, seed {self.row['seed']}"


def render(fits: list[Compared]) -> str:
    """Render fits, in groups by recording, as one self-contained HTML page."""
    from jinja2 import Environment  # heavy: only when a page is made
    from markupsafe import Markup

    folder = resources.files("fitrec.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["svg"] = Markup
    environment.filters["place"] = place
    environment.filters["prose"] = lambda text: text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
    template = environment.from_string((folder / "comparison.html.j2").read_text(encoding="utf-8"))
    ordered = sorted(fits, key=lambda fit: str(fit.row["recording"]))
    groups = [
        (name, _group(k, list(members)))
        for k, (name, members) in enumerate(groupby(ordered, key=lambda fit: str(fit.row["recording"])))
    ]
    return template.render(
        style=Markup((folder / "style.css").read_text(encoding="utf-8")), version=fitrec.__version__, groups=groups, n=len(fits)
    )


def _group(k: int, fits: list[Compared]) -> dict[str, Any]:
    key = "r_test" if all(fit.has_test for fit in fits) else "r_train"
    scores = [fit.row[key] for fit in fits if fit.row[key] is not None]
    words = "; ".join(f"{fit.label} {place(fit.row[key])}" for fit in fits)
    against = "test trials, which training never saw" if key == "r_test" else "fitted PSTHs; there are no test trials"
    alt = f"Distribution of r over units. Medians: {words}."
    panel = Panel(
        ladder(f"compared-{k}", [(fit.label, fit.r, "model") for fit in fits], alt),
        "Units",
        f"Correlation of each unit's PSTH with the {against}. The dot is the median, the bar holds half of the units, the line "
        "nine in ten.",
    )
    return {"fits": fits, "panel": panel, "best": max(scores, default=None), "key": key}
