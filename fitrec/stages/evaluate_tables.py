"""Arranges what an evaluation found by unit: the table of metrics, and the activity that the report draws."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec import store
from fitrec.evaluate.activity import Activity
from fitrec.evaluate.psth import mean_defined
from fitrec.evaluate.simulated import Simulated
from fitrec.evaluate.spiking import cv_isi, fano_factor, noise_correlations
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.recordings.recording import Recording
from fitrec.targets.targets import Targets

_WEIGHT_SAMPLE = 500

# Bins up to this width hold at most about one spike, so that intervals between bins stand for those between spikes.
_ISI_BIN_S = 0.002


def per_unit(values: NDArray[Any], net: Network, goal: Targets) -> NDArray[np.float64]:
    """(..., trained) -> (..., unit), NaN for units without a neuron."""
    out = np.full((*values.shape[:-1], goal.n_units), np.nan)
    out[..., net.trained_unit] = values
    return out


def metrics_table(
    goal: Targets, net: Network, columns: dict[str, NDArray[np.float64]], notes: list[str], trained: Simulated, cv_recorded: Any
) -> pd.DataFrame:
    """One row per unit of the targets: its scores, rates and spiking statistics.

    Parameters
    ----------
    goal, net
        What was evaluated.
    trained : Simulated
        Trials of the trained network.
    columns, notes
        As from `fitrec.evaluate.scores.score_psths`.
    cv_recorded : (unit,)
        As from `recorded_cv`.

    """
    neuron = np.full(goal.n_units, -1, np.int64)
    neuron[net.trained_unit] = net.trained
    fano_recorded = np.full(goal.n_units, np.nan)
    if goal.counts is not None and goal.trial_condition is not None:
        fano_recorded = fano_factor(goal.counts.sum(axis=1, dtype=np.int64), goal.trial_condition, goal.observed)
    return pd.DataFrame(
        {
            "unit_id": goal.units["unit_id"].to_numpy(),
            "area": goal.units["area"].to_numpy() if "area" in goal.units else "",
            "neuron": pd.Series(neuron, dtype="Int64").mask(neuron < 0),
            **columns,
            "rate_recorded_hz": mean_defined(goal.rate_hz.reshape(-1, goal.n_units)),
            "rate_model_hz": per_unit(trained.neuron_rate_hz[net.trained], net, goal),
            "cv_isi_recorded": cv_recorded,
            "cv_isi_model": per_unit(trained.neuron_cv_isi[net.trained], net, goal),
            "fano_recorded": fano_recorded,
            "fano_model": per_unit(fano_factor(trained.window_counts, trained.trial_condition), net, goal),
            "held_out": goal.units["held_out"].to_numpy(bool) if "held_out" in goal.units else False,
            "note": notes,
        }
    )


def recorded_cv(goal: Targets, recording: Path | None) -> NDArray[np.float32]:
    """CV of the recorded intervals within trials, from spike times or from bins narrow enough; NaN where neither is there."""
    if recording is not None:
        source = store.load(recording, Recording)
        if goal.segment_start_s is not None and source.spike_times_s is not None and source.spike_indptr is not None:
            return _cv_within_segments(goal, source.spike_times_s, source.spike_indptr, source.units["unit_id"].to_numpy())
        if source.spike_times_s is not None and source.spike_indptr is not None and source.n_units == goal.n_units:
            unit = np.repeat(np.arange(goal.n_units), np.diff(source.spike_indptr))
            trials = source.trials.sort_values("start_time")
            trial = np.searchsorted(trials["start_time"].to_numpy(), source.spike_times_s, side="right") - 1
            inside = (trial >= 0) & (source.spike_times_s < trials["stop_time"].to_numpy()[np.maximum(trial, 0)])
            return cv_isi(unit[inside], trial[inside], source.spike_times_s[inside], goal.n_units)
    if goal.counts is not None and goal.bin_size_s <= _ISI_BIN_S * (1 + 1e-9):
        trial, bin_index, unit = np.nonzero(goal.counts)
        return cv_isi(unit, trial, bin_index, goal.n_units)
    return np.full(goal.n_units, np.nan, np.float32)


def _cv_within_segments(
    goal: Targets, times_s: NDArray[np.float64], indptr: NDArray[np.int64], unit_id: NDArray[Any]
) -> NDArray[np.float32]:
    """CV of the recorded intervals within segments, through windows like the network's."""
    assert goal.segment_start_s is not None
    of_unit = {name: k for k, name in enumerate(goal.units["unit_id"].tolist())}
    unit = np.repeat([of_unit.get(name, -1) for name in unit_id.tolist()], np.diff(indptr))
    segment_s = goal.bin_edges_s[-1] - goal.bin_edges_s[0]
    segment = np.floor((times_s - goal.segment_start_s[0]) / segment_s).astype(np.int64)
    inside = (unit >= 0) & (segment >= 0) & (segment < len(goal.segment_start_s))
    return cv_isi(unit[inside], segment[inside], times_s[inside], goal.n_units)


def to_activity(
    goal: Targets,
    net: Network,
    weights: Weights,
    model_hz: NDArray[np.float64],
    untrained_hz: NDArray[np.float64] | None,
    trained: Simulated,
    pairs: NDArray[np.int64],
) -> Activity:
    """Collect what the report draws.

    Parameters
    ----------
    goal, net, weights
        What was evaluated.
    trained : Simulated
        Trials of the trained network.
    model_hz, untrained_hz : (condition, time, unit)
        Smoothed PSTHs.
    pairs : (pair, 2)
        Indices into ``net.trained`` of the neurons whose noise correlations are compared.

    """
    pair_recorded = np.full(len(pairs), np.nan)
    together = goal.observed is None or bool(goal.observed.all())
    if goal.counts is not None and goal.trial_condition is not None and together:
        pair_recorded = noise_correlations(goal.counts.sum(axis=1, dtype=np.int64), goal.trial_condition, net.trained_unit[pairs])
    unit_of = np.full(net.n_neurons, -1, np.int32)
    unit_of[net.trained] = net.trained_unit
    shown = unit_of[trained.spike_neuron] >= 0
    sample = np.unique(np.linspace(0, len(net.trained) - 1, min(_WEIGHT_SAMPLE, len(net.trained))).astype(np.int64))
    return Activity(
        psth_hz=model_hz.astype(np.float32),
        untrained_psth_hz=np.full(model_hz.shape, np.nan, np.float32)
        if untrained_hz is None
        else untrained_hz.astype(np.float32),
        raster_condition=trained.spike_condition[shown],
        raster_trial=trained.spike_trial[shown],
        raster_unit=unit_of[trained.spike_neuron[shown]],
        raster_time_s=(trained.spike_time_s[shown] + goal.bin_edges_s[0]).astype(np.float32),
        neuron_rate_hz=trained.neuron_rate_hz,
        neuron_cv_isi=trained.neuron_cv_isi,
        pair_r_model=noise_correlations(trained.window_counts, trained.trial_condition, pairs).astype(np.float32),
        pair_r_recorded=pair_recorded.astype(np.float32),
        weight_before=net.plastic_weight[sample],
        weight_after=weights.plastic[sample],
    )
