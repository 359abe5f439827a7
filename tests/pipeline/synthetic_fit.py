"""A fit made up without training: a recording with known rates, and a stand-in simulator that follows them imperfectly."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec import store
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.recordings.recording import Recording
from fitrec.simulate.trials import TrialActivity
from fitrec.targets.smoothing import smooth
from fitrec.targets.targets import Targets

BIN_S = 0.02
WINDOW_S = (-0.2, 1.0)
SMOOTHING = {"kernel": "gaussian", "width_s": 0.03}
AREAS = ("VISp", "CA1", "MOs")


@dataclass(frozen=True)
class World:
    """What is true: rates per condition, and how well the network follows each unit (1: perfectly)."""

    rate_hz: NDArray[np.float64]
    fidelity: NDArray[np.float64]


def true_world(n_units: int, n_conditions: int) -> World:
    """Transient and ramping responses whose timing and depth depend on the condition."""
    rng = np.random.default_rng(11)
    n_bins = round((WINDOW_S[1] - WINDOW_S[0]) / BIN_S)
    t = (WINDOW_S[0] + (np.arange(n_bins) + 0.5) * BIN_S)[None, :, None]
    base = rng.lognormal(1.3, 0.8, n_units)
    onset, width = rng.uniform(0.05, 0.7, n_units), rng.uniform(0.05, 0.25, n_units)
    gain = rng.lognormal(0.5, 0.7, (n_conditions, 1, n_units)) * rng.choice([1, -0.4], n_units, p=[0.8, 0.2])
    rate = base * (0.6 + gain * np.exp(-0.5 * ((t - onset) / width) ** 2))
    return World(rate_hz=np.clip(rate, 0.05, 90), fidelity=np.clip(rng.beta(6, 2, n_units), 0.05, 1))


def recorded(world: World, trials_per_condition: int, n_silent: int) -> tuple[Recording, Targets]:
    """Poisson trials of the true rates as spike times, and targets binned from them; the last `n_silent` units never fire."""
    rng = np.random.default_rng(5)
    rate = world.rate_hz.copy()
    n_conditions, n_bins, n_units = rate.shape
    rate[:, :, n_units - n_silent :] = 0
    condition = np.tile(np.arange(n_conditions), trials_per_condition).astype(np.int32)
    counts = rng.poisson(rate[condition] * BIN_S).astype(np.uint8)
    start = 2.0 * np.arange(len(condition)) + 1.0
    trial, k, unit = (np.repeat(index, counts[counts > 0]) for index in np.nonzero(counts))
    time = start[trial] + (k + rng.random(len(k))) * BIN_S
    order = np.lexsort((time, unit))
    trials = pd.DataFrame({"start_time": start, "stop_time": start + WINDOW_S[1] - WINDOW_S[0], "contrast": condition})
    units = pd.DataFrame({"unit_id": 100 + np.arange(n_units), "area": [AREAS[u % 3] for u in range(n_units)]})
    excluded = pd.DataFrame(
        {
            "unit_id": [7, 9],
            "reason": ["rate", "presence"],
            "detail": ["0.02 Hz, at least 0.1 Hz wanted", "0.31 of trials, 0.5 wanted"],
        }
    )
    recording = Recording(
        name="probe A",
        kind="spikes",
        units=units,
        excluded=excluded,
        trials=trials,
        spike_times_s=time[order],
        spike_indptr=np.concatenate([[0], np.cumsum(np.bincount(unit, minlength=n_units))]).astype(np.int64),
    )
    is_test = (np.arange(len(condition)) // n_conditions) % 2 == 1

    def psth(of: NDArray[np.bool_]) -> NDArray[np.float64]:
        mean = np.stack([counts[of & (condition == c)].mean(axis=0) / BIN_S for c in range(n_conditions)])
        return np.asarray(smooth(mean, BIN_S, axis=1, **SMOOTHING))

    targets = Targets(
        units=units.assign(held_out=np.arange(n_units) % 10 == 9),
        condition_names=[f"contrast {c / max(1, n_conditions - 1):.0%}" for c in range(n_conditions)],
        bin_edges_s=WINDOW_S[0] + np.arange(n_bins + 1) * BIN_S,
        rate_hz=psth(~is_test),
        rate_test_hz=psth(is_test),
        counts=counts,
        trial_condition=condition,
        trial_is_test=is_test,
        trial_id=np.arange(len(condition), dtype=np.int64),
        smoothing=SMOOTHING,
        recording_name="probe A",
    )
    return recording, targets


def network(targets: Targets, n_exc: int = 200, n_inh: int = 50, n_inputs: int = 20) -> Network:
    """Wiring without synapses, enough for the stand-in simulator."""
    rng = np.random.default_rng(3)
    trained_unit = np.flatnonzero(~targets.units["held_out"].to_numpy(bool)).astype(np.int32)
    n, n_trained = n_exc + n_inh, len(trained_unit)
    sign = np.where(np.arange(n_inputs) < n_inputs // 2, 0.6, -0.3).astype(np.float32)
    return Network(
        seed=1,
        n_exc=n_exc,
        n_inh=n_inh,
        dt_ms=1.0,
        integration="euler",
        tau_m_ms=10.0,
        threshold=1.0,
        reset=0.0,
        refractory_steps=1,
        sigma=0.0,
        tau_static_ms=3.0,
        tau_plastic_ms=150.0,
        n_plastic_exc=n_inputs // 2,
        stimulus_start_step=0,
        window_start_step=100,
        window_steps=round(targets.n_bins * targets.bin_size_s * 1e3),
        stimulus_sd=0.0,
        stimulus_tau_ms=20.0,
        condition_names=list(targets.condition_names),
        drive=np.zeros(n, np.float32),
        static_indptr=np.zeros(n + 1, np.int64),
        static_indices=np.zeros(0, np.int32),
        static_weight=np.zeros(0, np.float32),
        trained=np.sort(rng.choice(n_exc, n_trained, replace=False)).astype(np.int32),
        trained_unit=trained_unit,
        plastic_pre=rng.integers(0, n, (n_trained, n_inputs)).astype(np.int32),
        plastic_weight=np.tile(sign, (n_trained, 1)),
        ff_rate_hz=np.zeros((targets.rate_hz.shape[0], 1, 0), np.float32),
        untrained_rate_hz=np.full(n, 4, np.float32),
        fi_drive=np.zeros(2),
        fi_rate_hz=np.zeros(2),
    )


def stand_in_simulator(world: World, initial: NDArray[np.float32]) -> Callable[..., TrialActivity]:
    """A `run_trials` whose trained neurons are Poisson with the true rates, blurred by each unit's fidelity."""
    flat = world.rate_hz.mean(axis=(0, 1), keepdims=True)
    lagged = np.roll(world.rate_hz, 8, axis=1)
    fitted = world.fidelity * world.rate_hz + (1 - world.fidelity) * lagged

    def run_trials(
        net: Network, weights: Weights, condition: int, trials: NDArray[np.int64], *, bin_steps: int, neurons: NDArray[np.int32],
        record_spikes: int = 0, threads: int | None = None, simulator: None = None,
    ) -> TrialActivity:  # fmt: skip
        rng = np.random.default_rng([int(trials[0]), condition])
        rate = np.full((net.window_steps // bin_steps, net.n_neurons), 4.0)
        rate[:, net.n_exc :] = 9.0
        untrained = np.array_equal(weights.plastic, initial)
        rate[:, net.trained] = (
            np.broadcast_to(flat[0], fitted[0].shape)[:, net.trained_unit]
            if untrained
            else fitted[condition][:, net.trained_unit]
        )
        bin_s = bin_steps * net.dt_ms * 1e-3
        counts = rng.poisson(rate * bin_s, (len(trials), *rate.shape)).astype(np.uint16)
        trial, k, neuron = (
            np.repeat(i, counts[:record_spikes][counts[:record_spikes] > 0]) for i in np.nonzero(counts[:record_spikes])
        )
        return TrialActivity(
            neurons=neurons,
            counts=counts[:, :, neurons],
            bin_ms=bin_s * 1e3,
            total_spikes=counts.sum(axis=1, dtype=np.int32),
            spike_step=(k * bin_steps + rng.integers(0, bin_steps, len(k))).astype(np.int32),
            spike_neuron=neuron.astype(np.int32),
            spike_indptr=np.concatenate([[0], np.cumsum(np.bincount(trial, minlength=record_spikes))]).astype(np.int64),
        )

    return run_trials


@dataclass(frozen=True)
class FitFiles:
    """Where the inputs of the evaluate and report stages lie."""

    recording: Path
    targets: Path
    network: Path
    fit: Path
    folder: Path


def write_fit(root: Path, world: World, *, trials_per_condition: int = 40, n_silent: int = 1) -> FitFiles:
    """Everything that evaluate and report read, laid out as `fitrec run` does."""
    recording, targets = recorded(world, trials_per_condition, n_silent)
    net = network(targets)
    rng = np.random.default_rng(9)
    weights = Weights(
        plastic=(net.plastic_weight * rng.lognormal(0, 0.5, net.plastic_weight.shape)).astype(np.float32),
        feed_forward=np.zeros((net.n_conditions, len(net.trained), 0), np.float32),
    )
    shared, folder = root / "recordings" / "probe-A", root / "contrast-fit"
    files = FitFiles(shared / "recording.zarr", shared / "targets.zarr", folder / "network.zarr", folder / "fit", folder)
    objects: list[tuple[Path, Any]] = [
        (files.recording, recording),
        (files.targets, targets),
        (files.network, net),
        (files.fit / "weights.zarr", weights),
    ]
    for path, item in objects:
        store.save(path, item, {"config_hash": "abc"})
    loops = np.arange(1, 7)
    curve = pd.DataFrame(
        {
            "loop": loops,
            "seconds": 2.5 * loops,
            "forcing": [1.0, 0.7, 0.5, 0.3, 0.1, 0.0],
            "rate_exc_hz": 4 + 0.3 * loops,
            "rate_inh_hz": 9 - 0.2 * loops,
            "correlation": 1 - np.exp(-loops / 2.0) * 0.9 - 0.2,
        }
    )
    store.write_csv(files.fit / "curve.csv", curve)
    provenance = {
        "rule": "ridge",
        "device": "cpu",
        "train_seconds": 15.2,
        "loops": 6,
        "peak_memory_mb": 312.4,
        "seed": 1,
        "versions": {"fitrec": "0.1.0", "numpy": np.__version__},
        "config_hash": "0123456789ab",
    }
    (files.fit / "provenance.json").write_text(json.dumps(provenance))
    (folder / "config.yaml").write_text("run: contrast-fit\nrecordings:\n- name: probe-A\n  path: <probe & co>.nwb\n")
    return files
