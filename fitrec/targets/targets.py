"""The Targets: what a network is asked to reproduce, and what it is tested on."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.fields import array
from fitrec.recordings.recording import exclusion_table


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Binned activity of a recording with frozen splits.

    Bins are half-open, ``[edge_k, edge_k+1)``, in seconds from the alignment event. Counts are integers for likelihoods and
    ceilings; rates are smoothed and meant for fitting. The test trials never enter `rate_hz`.

    Attributes
    ----------
    units : pandas.DataFrame
        As in the recording, plus ``held_out`` (bool): units that are assigned no target in training.
    excluded : pandas.DataFrame
        The recording's table of excluded units plus those that cannot have a target: silent in every trial of the window, or
        recorded in no training or no test trial of a condition.
    counts : (trial, time, unit) integers or None
        Spikes per bin; None when the source holds rates only.
    observed : (trial, unit) bool or None
        False where a unit was not recorded in a trial; None means all were.
    trial_condition : (trial,) int32
        Index into `condition_names`.
    trial_is_test : (trial,) bool
        True for the held-out trials.
    trial_id : (trial,) int64
        Row of the trial in the recording's table.
    rate_hz : (condition, time, unit) float64
        Smoothed PSTH of the training trials.
    target_hz : (condition, time, unit) float64 or None
        The rates the network is asked for, where they are not `rate_hz` itself but its leading modes (`fitrec.targets.modes`).
    rate_test_hz : (condition, time, unit) float64 or None
        Smoothed PSTH of the test trials; None when there are none, as when the source holds rates only.
    segment_start_s : (condition,) float64 or None
        Of a continuous fit: where each segment begins in the recording. The segments follow one another without a gap; each is a
        condition with one trial. `rate_hz` is NaN in those that are held out, `rate_test_hz` in the others, and both are where a
        unit was not recorded.
    inputs : pandas.DataFrame
        Units that drive the network of a continuous fit, as in `units`; they have no targets.
    input_hz : (condition, time, input) float64 or None
        Their rates, smoothed over the whole recording.
    drive : (condition, time, unit) float64 or None
        Total synaptic drive (threshold units) at which an isolated neuron with white noise fires at `rate_hz`; see
        `fitrec.targets.drive`.
    smoothing : dict
        ``{"kernel": "none" | "gaussian" | "boxcar", "width_s": float}``: the kernel that was applied (or, for rates that came
        smoothed, the one they came with); the model's PSTH is smoothed with the same one.

    """

    units: pd.DataFrame = array("unit")
    excluded: pd.DataFrame = field(default_factory=exclusion_table)
    condition_names: list[str]
    bin_edges_s: NDArray[np.float64] = array("time_edge", units="s")
    rate_hz: NDArray[np.float64] = array("condition", "time", "unit", units="Hz")
    target_hz: NDArray[np.float64] | None = array("condition", "time", "unit", units="Hz", default=None)
    rate_test_hz: NDArray[np.float64] | None = array("condition", "time", "unit", units="Hz", default=None)
    counts: NDArray[np.integer[Any]] | None = array("trial", "time", "unit", units="spikes/bin", default=None)
    observed: NDArray[np.bool_] | None = array("trial", "unit", default=None)
    trial_condition: NDArray[np.int32] | None = array("trial", default=None)
    trial_is_test: NDArray[np.bool_] | None = array("trial", default=None)
    trial_id: NDArray[np.int64] | None = array("trial", default=None)
    segment_start_s: NDArray[np.float64] | None = array("condition", units="s", default=None)
    inputs: pd.DataFrame = field(default_factory=pd.DataFrame)
    input_hz: NDArray[np.float64] | None = array("condition", "time", "input", units="Hz", default=None)
    drive: NDArray[np.float64] | None = array("condition", "time", "unit", units="threshold", default=None)
    smoothing: dict[str, Any] = field(default_factory=lambda: {"kernel": "none", "width_s": 0.0})
    recording_name: str = ""

    @property
    def wanted_hz(self) -> NDArray[np.float64]:
        """The rates to be fitted: `target_hz`, or else `rate_hz`."""
        return self.rate_hz if self.target_hz is None else self.target_hz

    @property
    def is_continuous(self) -> bool:
        """Whether conditions are segments of time."""
        return self.segment_start_s is not None

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.units)

    @property
    def n_bins(self) -> int:
        """Number of time bins."""
        return len(self.bin_edges_s) - 1

    @property
    def bin_size_s(self) -> float:
        """Bin width in seconds (all bins are equal)."""
        return float(self.bin_edges_s[-1] - self.bin_edges_s[0]) / self.n_bins
