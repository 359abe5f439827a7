"""Builds the page: one HTML file without any reference to another."""

from collections.abc import Hashable
from importlib import resources
from typing import Any

import fitrec
from fitrec.report import rasters, sections, words
from fitrec.report.fit import Fit
from fitrec.report.svg import place
from fitrec.report.truth import truth_section

_MAX_ROWS = 2000


def render(fit: Fit) -> str:
    """Render the report of a fit as one self-contained HTML page."""
    from jinja2 import Environment  # heavy: only when a page is made
    from markupsafe import Markup

    folder = resources.files("fitrec.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["svg"] = Markup
    environment.filters["place"] = place
    environment.filters["prose"] = lambda text: text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
    template = environment.from_string((folder / "template.html.j2").read_text(encoding="utf-8"))
    return template.render(
        style=Markup((folder / "style.css").read_text(encoding="utf-8")),
        version=fitrec.__version__,
        fit=fit,
        subject=words.subject(fit),
        verdict=words.verdict(fit),
        key_figures=words.key_figures(fit),
        score_rows=words.score_rows(fit),
        condition_scores=sections.condition_scores(fit),
        extra_smoothing=fit.detail["extra_smoothing"],
        quality=sections.quality(fit),
        gallery=sections.gallery(fit),
        rasters=rasters.rasters(fit),
        spiking=sections.spiking(fit),
        training=sections.training(fit),
        truth=truth_section(fit),
        provenance=words.flat(fit.provenance),
        noted=_noted(fit),
        excluded=None if fit.excluded is None else fit.excluded.head(_MAX_ROWS).to_dict("records"),
        n_excluded=None if fit.excluded is None else len(fit.excluded),
    )


def _noted(fit: Fit) -> list[dict[Hashable, Any]]:
    """Units with a note: those for which a figure is undefined, and why."""
    noted = fit.metrics[fit.metrics["note"].fillna("") != ""]
    return noted[["unit_id", "area", "held_out", "note"]].fillna("").head(_MAX_ROWS).to_dict("records")
