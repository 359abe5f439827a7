"""The Activity: what the report needs from the evaluation's simulated trials."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitrec.fields import array


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Summary of frozen-weight trials, plus the spikes of some of them.

    Attributes
    ----------
    psth_hz : (condition, time, unit) float32
        PSTH of the neuron that stands for each unit, smoothed like the target; NaN for units without a neuron.
    untrained_psth_hz : (condition, time, unit) float32
        The same before training.
    raster_* : spikes of the units' neurons in the first trials of each condition
        One entry per spike: condition, trial, unit (index into the targets' units) and time in seconds from the alignment event.
    truth_psth_hz : (condition, time, unit) float32 or None
        True PSTH of each unit of a simulated recording, smoothed like the target.
    linear_hz : (condition, time, unit) float32 or None
        Of a continuous fit, what a linear regression on the input units predicts (`fitrec.evaluate.continuous`).
    neuron_rate_hz, neuron_cv_isi : (neuron,) float32
        Mean rate of every neuron, and coefficient of variation of its inter-spike intervals (NaN with fewer than 20 intervals).
    pair_r_model, pair_r_recorded : (pair,) float32
        Noise correlations of spike counts over trials for the same sample of unit pairs; NaN where undefined, and throughout the
        recorded ones when the units were not recorded together or there are no trials.
    weight_before, weight_after : (trained, input) float32
        Plastic weights of a sample of at most 500 trained neurons, excitatory inputs first.

    """

    psth_hz: NDArray[np.float32] = array("condition", "time", "unit", units="Hz")
    untrained_psth_hz: NDArray[np.float32] = array("condition", "time", "unit", units="Hz")
    raster_condition: NDArray[np.int32] = array("spike")
    raster_trial: NDArray[np.int32] = array("spike")
    raster_unit: NDArray[np.int32] = array("spike")
    raster_time_s: NDArray[np.float32] = array("spike", units="s")
    neuron_rate_hz: NDArray[np.float32] = array("neuron", units="Hz")
    neuron_cv_isi: NDArray[np.float32] = array("neuron", units="1")
    pair_r_model: NDArray[np.float32] = array("pair", units="1")
    pair_r_recorded: NDArray[np.float32] = array("pair", units="1")
    weight_before: NDArray[np.float32] = array("trained", "input", units="threshold ms")
    weight_after: NDArray[np.float32] = array("trained", "input", units="threshold ms")
    truth_psth_hz: NDArray[np.float32] | None = array("condition", "time", "unit", units="Hz", default=None)
    linear_hz: NDArray[np.float32] | None = array("condition", "time", "unit", units="Hz", default=None)
