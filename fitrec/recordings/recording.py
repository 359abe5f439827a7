"""The Recording: units, trials and either spike times, binned counts or condition-averaged rates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.fields import array

Kind = Literal["spikes", "counts", "rates"]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording after reading and unit selection.

    Exactly one of the three groups of arrays is present, as `kind` says:

    - ``spikes``: ragged spike times; unit i owns ``spike_times_s[spike_indptr[i]:spike_indptr[i + 1]]``, sorted.
    - ``counts``: spikes per bin on trials that are already cut; time is relative to the trial's alignment event.
    - ``rates``: trial-averaged rates per condition; no trials exist (``trials`` is empty).

    Attributes
    ----------
    name : str
        Name given in the config; used in paths.
    units : pandas.DataFrame
        One row per kept unit: ``unit_id`` (int64 or str, as the source calls it), ``area`` (str, "" if unknown), further columns
        of the source; ``observed_s`` (seconds of observation) where the source tells it.
    excluded : pandas.DataFrame
        One row per unit left out: ``unit_id``, ``reason`` (one of `fitrec.recordings.select.REASONS`), ``detail`` (the figure
        found and the one wanted).
    trials : pandas.DataFrame
        One row per trial with all columns of the source; for ``spikes`` it has ``start_time`` and ``stop_time`` in seconds.
    observed : (trial, unit) bool or None
        False where a unit was not recorded in a trial (pooled sessions, observation intervals); None means every unit was
        recorded in every trial.
    bin_size_s, t_start_s : float or None
        Bin width and start of the first bin relative to the alignment event (counts and rates).
    source : dict
        Where it came from: file names and how they were read.

    """

    name: str
    kind: Kind
    units: pd.DataFrame = array("unit")
    excluded: pd.DataFrame
    trials: pd.DataFrame = array("trial")
    spike_times_s: NDArray[np.float64] | None = array("spike", units="s", default=None)
    spike_indptr: NDArray[np.int64] | None = array("unit_edge", default=None)
    counts: NDArray[np.integer[Any]] | None = array("trial", "time", "unit", units="spikes/bin", default=None)
    observed: NDArray[np.bool_] | None = array("trial", "unit", default=None)
    rate_hz: NDArray[np.float64] | None = array("condition", "time", "unit", units="Hz", default=None)
    condition_names: list[str] = field(default_factory=list)
    bin_size_s: float | None = None
    t_start_s: float | None = None
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def n_units(self) -> int:
        """Number of kept units."""
        return len(self.units)


def exclusion_table(unit_ids: Sequence[int | str] = (), reasons: Sequence[str] = (), details: Sequence[str] = ()) -> pd.DataFrame:
    """Table of units left out: ``unit_id``, ``reason``, ``detail``."""
    ids = np.array(unit_ids, dtype=object if any(isinstance(i, str) for i in unit_ids) else np.int64)
    return pd.DataFrame({"unit_id": ids, "reason": np.array(reasons, dtype=object), "detail": np.array(details, dtype=object)})
