"""The evaluate stage: network, targets and weights in; metrics, summary and activity out."""

import logging
import os
import resource
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec import store
from fitrec.config.evaluate import EvaluateConfig
from fitrec.evaluate.baselines import untrained_weights
from fitrec.evaluate.ceiling import Ceiling, Smoother, poisson_ceiling, split_half_ceiling
from fitrec.evaluate.continuous import linear_rates, score_held_out_time
from fitrec.evaluate.psth import correlate
from fitrec.evaluate.scores import (
    count_notes,
    counted_summary,
    reliable_ratio,
    score_psths,
    summarise_baselines,
    summarise_psths,
    summary,
)
from fitrec.evaluate.simulated import Simulated, simulate
from fitrec.evaluate.spiking import sample_pairs, weight_statistics
from fitrec.evaluate.truth import Truth, score_truth, true_rates
from fitrec.kernels.cuda.device import open_device
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.stages.evaluate_areas import area_scores
from fitrec.stages.evaluate_inputs import check_match, describe_segments, read_provenance, simulated_conditions
from fitrec.stages.evaluate_tables import metrics_table, per_unit, recorded_cv, to_activity
from fitrec.targets.smoothing import smooth
from fitrec.targets.targets import Targets

logger = logging.getLogger(__name__)

# Enough to see that an untrained network has nothing of the recording.
_UNTRAINED_TRIALS = 20


def run(
    network: Path,
    targets: Path,
    fit: Path,
    out: Path,
    config: EvaluateConfig,
    *,
    run_name: str,
    config_hash: str,
    recording: Path | None = None,
    truth: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Simulate the fit with frozen weights and compare it with the recording.

    Writes ``summary.json`` (the keys of the contract), ``metrics.csv`` (one row per unit), ``detail.json`` (counts and further
    figures) and ``activity.zarr`` into `out`.

    Parameters
    ----------
    network, targets : Path
        ``network.zarr`` and ``targets.zarr``.
    fit : Path
        Folder with ``weights.zarr`` and ``provenance.json``.
    out : Path
        Folder to write to.
    config : EvaluateConfig
        Numbers of trials and splits, kind of correlation.
    run_name, config_hash : str
        Name and hash of the fit, for the summary.
    recording : Path or None
        ``recording.zarr``: its spike times give the recorded CV of inter-spike intervals, which bins wider than 2 ms cannot.
    truth : Path or None
        True rates of a simulated recording, written by the simulate stage; adds what the fit has of them.
    device, threads
        Where to simulate.
    overwrite : bool
        Replace an earlier evaluation.

    Returns
    -------
    dict
        The content of ``summary.json``.

    Raises
    ------
    MissingFileError, StoreError
        If an input is missing or damaged, or `out` holds an evaluation already.
    NetworkError
        If network, weights and targets do not belong together.
    RecordingError
        If the truth is not that of the targets' conditions and bins.

    """
    started = time.perf_counter()
    store.require_absent(out / "summary.json", overwrite)
    net, goal, weights = store.load(network, Network), store.load(targets, Targets), store.load(fit / "weights.zarr", Weights)
    provenance = read_provenance(fit / "provenance.json", targets)
    bin_steps = check_match(net, goal, weights)
    smoother = _smoother(goal, goal.smoothing["width_s"])
    known = None if truth is None else store.load(truth, Truth)
    truth_hz = None
    if known is not None:
        truth_hz = true_rates(known, goal.units["unit_id"].to_numpy(), goal.condition_names, goal.bin_edges_s)

    conditions = simulated_conditions(goal)
    simulate_fit = partial(
        simulate,
        net,
        trials=config.trials,
        bin_steps=bin_steps,
        conditions=conditions,
        threads=threads,
        device=open_device(device),
    )
    logger.info("simulating %d trials of each of %d conditions with frozen weights", config.trials, len(conditions))
    trained = simulate_fit(weights, recorded_trials=config.raster_trials)
    model_hz = smoother(per_unit(trained.rate_hz, net, goal), axis=1)
    untrained_hz = None
    if config.baselines:
        logger.info("simulating the untrained network")
        few = min(config.trials, _UNTRAINED_TRIALS)
        untrained_hz = smoother(per_unit(simulate_fit(untrained_weights(net), trials=few).rate_hz, net, goal), axis=1)

    ceiling, poisson_r, linear_hz = None, np.full(goal.n_units, np.nan), None
    if goal.input_hz is not None:
        linear_hz = linear_rates(goal.input_hz, goal.rate_hz)
    else:
        ceiling = _ceiling(goal, smoother, config)
        poisson_r = poisson_ceiling(goal.rate_hz, config.trials, goal.bin_size_s, smoother, method=config.correlation)
    columns, notes = score_psths(
        model_hz,
        goal.rate_hz,
        goal.rate_test_hz,
        untrained_hz=untrained_hz,
        ceiling=ceiling,
        poisson_r=poisson_r,
        method=config.correlation,
    )
    if linear_hz is not None and goal.rate_test_hz is not None:
        assert goal.counts is not None
        columns |= score_held_out_time(
            model_hz, linear_hz, untrained_hz, goal.rate_hz, goal.rate_test_hz, goal.counts, goal.bin_size_s
        )
    if truth_hz is not None:
        columns |= score_truth(
            truth_hz, model_hz, goal.rate_hz, untrained_hz, trials=config.trials, bin_size_s=goal.bin_size_s, smooth=smoother,
            method=config.correlation,
        )  # fmt: skip
    metrics = metrics_table(goal, net, columns, notes, trained, recorded_cv(goal, recording))
    # Segments are single trials: there is nothing that units could share beyond their rates.
    pairs = sample_pairs(np.arange(len(net.trained)), 0 if goal.is_continuous else config.pairs, seed=0)
    activity = to_activity(goal, net, weights, model_hz, untrained_hz, trained, pairs)
    if linear_hz is not None:
        activity = replace(activity, linear_hz=linear_hz.astype(np.float32))
    if truth_hz is not None:
        activity = replace(activity, truth_psth_hz=smoother(truth_hz, axis=1).astype(np.float32))
    ratio = reliable_ratio(columns, config.reliable_above)
    rate = trained.neuron_rate_hz.astype(np.float64)
    result = {
        "run": run_name,
        "config_hash": config_hash,
        "device": provenance.get("device"),
        "rule": provenance.get("rule"),
        "n_neurons": net.n_neurons,
        "n_units": goal.n_units,
        "n_trained": len(net.trained),
        "train_seconds": provenance.get("train_seconds"),
        "loops": provenance.get("loops"),
        **summarise_psths(columns, ratio, config.correlation),
        "rate_hz": {
            "E": float(rate[: net.n_exc].mean()) if net.n_exc else None,
            "I": float(rate[net.n_exc :].mean()) if net.n_inh else None,
            "recorded": summary(metrics["rate_recorded_hz"].to_numpy(np.float64))["mean"],
        },
        "baselines": {"evaluation_trials": config.trials, **summarise_baselines(columns)},
        "peak_memory_mb": provenance.get("peak_memory_mb"),
    }
    detail = {
        "recording": goal.recording_name,
        # Relative, so that a result folder can be moved as a whole; the report finds the recorded PSTHs and rasters through it.
        "targets": os.path.relpath(targets, out),
        "targets_sha256": store.content_sha256(targets),
        "conditions": list(net.condition_names),
        "trials": config.trials,
        "device": device,
        "bin_size_s": goal.bin_size_s,
        "smoothing": goal.smoothing,
        "correlation": config.correlation,
        "units": {
            "all": goal.n_units,
            "with_neuron": len(net.trained),
            "held_out": int(metrics["held_out"].sum()),
            "notes": count_notes(notes),
        },
        "continuous": None if goal.input_hz is None else describe_segments(goal, conditions),
        # Of a network whose rates are so sharp that smoothing them gives the target: the ceiling without the blur.
        "poisson_bound_r": summary(
            poisson_r
            if goal.is_continuous
            else poisson_ceiling(goal.rate_hz, config.trials, goal.bin_size_s, smoother, method=config.correlation, blurred=False)
        ),
        "measures": {name: counted_summary(metrics[name].to_numpy(np.float64)) for name in columns},
        "areas": area_scores(goal, model_hz, untrained_hz, config.correlation),
        "truth_trials": None if known is None else known.trials,
        "reliable_above": config.reliable_above,
        "r_over_ceiling_reliable": counted_summary(ratio),
        "extra_smoothing": [_with_smoothing(w, trained, net, goal, config) for w in config.extra_smoothing_s],
        "noise_correlation": {
            "model": counted_summary(activity.pair_r_model),
            "recorded": counted_summary(activity.pair_r_recorded),
        },
        "n_plastic_exc": net.n_plastic_exc,
        "trained_parameters": None
        if weights.parameters is None
        else {
            name: summary(values.astype(np.float64))
            for name, values in zip(weights.parameter_names or [], weights.parameters, strict=True)
        },
        "weights": weight_statistics(net.plastic_weight, weights.plastic, net.n_plastic_exc),
        "evaluate_seconds": time.perf_counter() - started,
        "evaluate_peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    (out / "summary.json").unlink(missing_ok=True)
    store.save(out / "activity.zarr", activity, {"config_hash": config_hash}, overwrite=True)
    store.write_csv(out / "metrics.csv", metrics)
    store.write_json(out / "detail.json", detail)
    store.write_json(out / "summary.json", result)  # last: its presence says that the evaluation is complete
    return result


def _ceiling(goal: Targets, smoother: Smoother, config: EvaluateConfig) -> Ceiling | None:
    if goal.counts is None or goal.rate_test_hz is None:
        return None
    assert goal.trial_is_test is not None
    assert goal.trial_condition is not None
    logger.info("ceilings from %d halvings of the test trials", config.ceiling_splits)
    test = goal.trial_is_test
    return split_half_ceiling(
        goal.counts[test],
        goal.trial_condition[test],
        smoother,
        observed=None if goal.observed is None else goal.observed[test],
        splits=config.ceiling_splits,
        method=config.correlation,
    )


def _smoother(goal: Targets, width_s: float, kernel: str | None = None) -> Smoother:
    """Smooth like the targets, or with another width or kernel."""
    shape = kernel or str(goal.smoothing["kernel"])

    def smoother(x: NDArray[Any], *, axis: int) -> NDArray[np.float64]:
        return smooth(x, goal.bin_size_s, shape, width_s, axis)

    return smoother


def _with_smoothing(
    width_s: float, trained: Simulated, net: Network, goal: Targets, config: EvaluateConfig
) -> dict[str, float | dict[str, float | None]]:
    """Correlations when the model's PSTH is smoothed by another width than the recording's."""
    other = _smoother(goal, width_s, "boxcar" if goal.smoothing["kernel"] == "none" else None)
    model = other(per_unit(trained.rate_hz, net, goal), axis=1)
    poisson_r = np.full(goal.n_units, np.nan)
    if not goal.is_continuous:
        poisson_r = poisson_ceiling(goal.rate_hz, config.trials, goal.bin_size_s, other, method=config.correlation)
    return {
        "width_s": width_s,
        "r_train": summary(correlate(model, goal.rate_hz, config.correlation)),
        "r_test": {"mean": None, "median": None}
        if goal.rate_test_hz is None
        else summary(correlate(model, goal.rate_test_hz, config.correlation)),
        "poisson_ceiling_r": summary(poisson_r),
    }
