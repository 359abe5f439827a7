"""The truth behind a simulated recording, and how close a fit comes to it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import RecordingError
from fitrec.evaluate.ceiling import Smoother, poisson_ceiling
from fitrec.evaluate.psth import Method, correlate
from fitrec.fields import array


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Spikes of the recorded neurons in many more trials than were recorded.

    Attributes
    ----------
    unit_id : (unit,) int64
        Ids of the units in the recording; bad units have no truth.
    condition_names : list of str
        The stimuli.
    counts : (condition, time, unit) uint32
        Spikes per bin, summed over trials.
    trials : int
        Trials of each condition behind the sum.
    bin_size_s, t_start_s : float
        Bin width, and start of the first bin from the beginning of the trial.

    """

    unit_id: NDArray[np.int64] = array("unit")
    condition_names: list[str]
    counts: NDArray[np.uint32] = array("condition", "time", "unit", units="spikes/bin")
    trials: int
    bin_size_s: float
    t_start_s: float


def true_rates(
    truth: Truth, unit_id: NDArray[Any], condition_names: list[str], bin_edges_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Bring the truth into the bins, conditions and units of a fit's targets.

    Parameters
    ----------
    truth : Truth
        What `fitrec simulate` wrote beside the recording.
    unit_id : (unit,)
        Units of the targets.
    condition_names : list of str
        Conditions of the targets.
    bin_edges_s : (time + 1,)
        Their bins, from the beginning of the trial.

    Returns
    -------
    (condition, time, unit) float64
        Rates in Hz, not smoothed; NaN for units whose truth is not known.

    Raises
    ------
    RecordingError
        If a condition has no truth, or the bins do not fit into those of the truth.

    """
    unknown = [name for name in condition_names if name not in truth.condition_names]
    if unknown:
        raise RecordingError(
            f"the truth knows nothing of condition '{unknown[0]}', only of {', '.join(truth.condition_names)}; take the truth of "
            "this very recording, and its stimulus column for the conditions"
        )
    n_bins = truth.counts.shape[1]
    edges = (bin_edges_s - truth.t_start_s) / truth.bin_size_s
    whole = np.rint(edges).astype(np.int64)
    if np.abs(edges - whole).max() > 1e-6 or whole[0] < 0 or whole[-1] > n_bins:
        stop_s = truth.t_start_s + n_bins * truth.bin_size_s
        raise RecordingError(
            f"the truth is known in bins of {truth.bin_size_s:g} s from {truth.t_start_s:g} to {stop_s:g} s, which do not make "
            f"up the targets' bins from {bin_edges_s[0]:g} to {bin_edges_s[-1]:g} s; choose such a window and bin width"
        )
    row_of = {unit: row for row, unit in enumerate(truth.unit_id.tolist())}
    rows = [row_of.get(unit, -1) for unit in unit_id.tolist()]
    total = np.concatenate(
        [np.zeros_like(truth.counts[:, :1], np.int64), np.cumsum(truth.counts, axis=1, dtype=np.int64)], axis=1
    )
    conditions = [truth.condition_names.index(name) for name in condition_names]
    per_bin = np.diff(total[conditions][:, whole], axis=1)[:, :, rows]
    rate_hz = per_bin / (truth.trials * np.diff(whole)[:, None] * truth.bin_size_s)
    return np.where(np.array(rows) >= 0, rate_hz, np.nan)


def score_truth(
    truth_hz: NDArray[np.float64], model_hz: NDArray[np.float64], train_hz: NDArray[np.float64],
    untrained_hz: NDArray[np.float64] | None, *, trials: int, bin_size_s: float, smooth: Smoother, method: Method,
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """Correlate PSTHs with the true ones.

    Parameters
    ----------
    truth_hz : (condition, time, unit)
        True rates, not smoothed; NaN where not known.
    model_hz, train_hz, untrained_hz : (condition, time, unit)
        Smoothed PSTHs of the network, of the recorded trials it was fitted to, and of the network before training.
    trials, bin_size_s
        Simulated trials per condition, and the bin width in seconds.
    smooth, method
        As in `fitrec.evaluate.ceiling.split_half_ceiling`.

    Returns
    -------
    dict of (unit,) arrays
        ``r_truth``, ``r_truth_untrained``; ``r_truth_train_psth``: the noisy PSTH that was fitted; ``r_truth_poisson``: what a
        network with exactly the true rates and Poisson spikes could expect; ``rate_truth_hz``.

    """
    smoothed = smooth(truth_hz, axis=1)
    nothing = np.full(truth_hz.shape[2], np.nan)
    return {
        "r_truth": correlate(model_hz, smoothed, method),
        "r_truth_train_psth": correlate(train_hz, smoothed, method),
        "r_truth_untrained": nothing if untrained_hz is None else correlate(untrained_hz, smoothed, method),
        "r_truth_poisson": poisson_ceiling(smoothed, trials, bin_size_s, smooth, blurred=False, method=method),
        "rate_truth_hz": truth_hz.mean(axis=(0, 1)),
    }
