"""What the report is made from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.evaluate.activity import Activity
from fitrec.targets.targets import Targets


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One evaluated fit, as its files say.

    Attributes
    ----------
    summary, detail : dict
        ``evaluation/summary.json`` and ``detail.json``.
    metrics : pandas.DataFrame
        ``evaluation/metrics.csv``: one row per unit.
    curve : pandas.DataFrame or None
        ``fit/curve.csv``.
    config : str or None
        Text of ``config.yaml``.
    excluded : pandas.DataFrame or None
        The recording's ``unit_id``, ``reason``, ``detail`` of units left out; None when the recording is not at hand.

    """

    title: str
    summary: dict[str, Any]
    detail: dict[str, Any]
    metrics: pd.DataFrame
    activity: Activity
    targets: Targets
    provenance: dict[str, Any]
    curve: pd.DataFrame | None = None
    config: str | None = None
    excluded: pd.DataFrame | None = None
    examples: int = 4

    @property
    def has_test(self) -> bool:
        """Whether there are test trials; otherwise the training PSTH is all there is to compare with."""
        return self.targets.rate_test_hz is not None

    @property
    def is_continuous(self) -> bool:
        """Whether time was fitted, in segments, instead of conditions."""
        return self.targets.is_continuous

    @property
    def score(self) -> NDArray[np.float64]:
        """(unit,) correlation that the page is about: with the test trials where there are any, of the configured kind."""
        suffix = "" if self.detail["correlation"] == "concatenated" else "_per_condition"
        return self.column(("r_test" if self.has_test else "r_train") + suffix)

    @property
    def limit(self) -> NDArray[np.float64]:
        """(unit,) what belongs beside `score`: the ceiling from the test trials, or else that of a Poisson network.

        Of a continuous fit, which has no ceiling, the linear regression on the input units.
        """
        if self.is_continuous:
            return self.column("r_linear") if self.has_test else np.full(len(self.metrics), np.nan)
        return self.column("ceiling_r" if self.has_test else "poisson_ceiling_r")

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a (unit,) column of the metrics."""
        return self.metrics[name].to_numpy(np.float64)

    @property
    def time_s(self) -> NDArray[np.float64]:
        """(time,) bin centres in seconds."""
        edges = self.targets.bin_edges_s
        return np.asarray((edges[1:] + edges[:-1]) / 2)

    @property
    def areas(self) -> NDArray[Any]:
        """(unit,) area of each unit, "" where unknown."""
        return self.metrics["area"].fillna("").astype(str).to_numpy()

    def unit_name(self, unit: int) -> str:
        """How the source calls a unit, with its area."""
        area = self.areas[unit]
        return f"unit {self.metrics['unit_id'].iloc[unit]}" + (f", {area}" if area else "")
