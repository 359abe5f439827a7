"""The report stage: everything of one fit in, one HTML page out."""

import json
from pathlib import Path
from typing import Any, cast

import pandas as pd

from fitrec import store
from fitrec.config.evaluate import ReportConfig
from fitrec.errors import MissingFileError, StoreError
from fitrec.evaluate.activity import Activity
from fitrec.recordings.recording import Recording
from fitrec.report.fit import Fit
from fitrec.report.page import render
from fitrec.targets.targets import Targets


def run(
    fit_dir: Path,
    out: Path,
    config: ReportConfig,
    *,
    targets: Path | None = None,
    recording: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the report of a fit as one self-contained page.

    Parameters
    ----------
    fit_dir : Path
        Folder of the fit: ``evaluation/`` must be there; ``fit/curve.csv``, ``fit/provenance.json`` and ``config.yaml``
        are shown where they are.
    out : Path
        Folder to write ``index.html`` to.
    config : ReportConfig
        Title and number of examples.
    targets, recording : Path or None
        ``targets.zarr``, by default the one that was evaluated, and ``recording.zarr``, by default the one beside it: it tells
        the units that were left out.
    overwrite : bool
        Replace an earlier report.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    MissingFileError, StoreError
        If the evaluation is missing or damaged, or the report exists already.

    """
    page = out / "index.html"
    store.require_absent(page, overwrite)
    evaluation = fit_dir / "evaluation"
    summary = read_json(evaluation / "summary.json")
    detail = read_json(evaluation / "detail.json")
    targets = targets or (evaluation / detail["targets"]).resolve()
    recording = recording or targets.with_name("recording.zarr")
    curve, config_file = fit_dir / "fit" / "curve.csv", fit_dir / "config.yaml"
    provenance = fit_dir / "fit" / "provenance.json"
    fit = Fit(
        title=config.title or summary["run"],
        summary=summary,
        detail=detail,
        metrics=read_csv(evaluation / "metrics.csv"),
        activity=store.load(evaluation / "activity.zarr", Activity),
        targets=store.load(targets, Targets),
        provenance=read_json(provenance) if provenance.exists() else {},
        curve=read_csv(curve) if curve.exists() else None,
        config=config_file.read_text(encoding="utf-8") if config_file.exists() else None,
        excluded=store.load(recording, Recording).excluded if recording.exists() else None,
        examples=config.examples,
    )
    store.write_text(page, render(fit))
    return page


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of an evaluation; MissingFileError or StoreError with what to do if it cannot be."""
    _require(path)
    try:
        return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error}); evaluate the fit again") from error


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table of a fit; MissingFileError or StoreError with what to do if it cannot be."""
    _require(path)
    try:
        # Ids and names stay text: "007" is no number, and an area may be called "NA".
        text = dict.fromkeys(("unit_id", "area", "note"), str)
        return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise StoreError(f"{path} is damaged ({error}); run its stage again") from error


def _require(path: Path) -> None:
    if not path.exists():
        raise MissingFileError(f"{path} does not exist; evaluate the fit first")
