"""The compare stage: evaluated fits of the same recordings in; a table of them and a page out."""

from pathlib import Path
from typing import Any

import pandas as pd

from fitrec import store
from fitrec.report.comparison import Compared, render
from fitrec.stages.report import read_csv, read_json


def run(fits: list[Path], out: Path, *, overwrite: bool = False) -> pd.DataFrame:
    """Write a row per fit to the CSV file `out`, and beside it a page (``.html``) that shows them.

    Parameters
    ----------
    fits : list of Path
        Folders of fits, each with ``evaluation/`` and ``fit/provenance.json``.
    out : Path
        The table: recording, fit, rule, seed, and medians over units of the correlations.
    overwrite : bool
        Replace an earlier comparison.

    Raises
    ------
    MissingFileError, StoreError
        If an evaluation is missing or damaged, or the comparison exists already.

    """
    page = out.with_suffix(".html")
    for path in (out, page):
        store.require_absent(path, overwrite)
    compared = [_read(folder) for folder in fits]
    table = pd.DataFrame([fit.row for fit in compared])
    store.write_csv(out, table)
    store.write_text(page, render(compared))
    return table


def _read(folder: Path) -> Compared:
    evaluation = folder / "evaluation"
    summary, detail = read_json(evaluation / "summary.json"), read_json(evaluation / "detail.json")
    provenance = read_json(folder / "fit" / "provenance.json")
    metrics = read_csv(evaluation / "metrics.csv")
    has_test = summary["psth_r_test"] is not None
    suffix = "" if detail["correlation"] == "concatenated" else "_per_condition"
    row = {
        "recording": detail["recording"],
        "fit": folder.name,
        "rule": summary["rule"],
        "seed": provenance["seed"],
        "units": summary["n_trained"],
        "r_train": _median(summary["psth_r_train"]),
        "r_test": _median(summary["psth_r_test"]),
        "ceiling_r": _median(summary["ceiling_r"]),
        "r_over_ceiling": _median(summary["r_over_ceiling"]),
        "train_seconds": summary["train_seconds"],
        "loops": summary["loops"],
        "peak_memory_mb": summary["peak_memory_mb"],
    }
    return Compared(row=row, r=metrics[("r_test" if has_test else "r_train") + suffix].to_numpy(float), has_test=has_test)


def _median(figure: dict[str, Any] | None) -> float | None:
    return None if figure is None else figure["median"]
