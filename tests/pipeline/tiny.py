"""A run small enough for a test: 12 units that follow two sinusoids, 40 trials, 200 model neurons."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

CONFIG: dict[str, Any] = {
    "run": "tiny",
    "recordings": [{"name": "rec", "path": "rec.npz"}],
    "ingest": {
        "arrays": {"key": "spikes", "axes": ["trial", "time", "unit"], "bin_size_s": 0.02, "trial_columns": {"stim": "stim"}}
    },
    "targets": {"condition_by": ["stim"]},
    "network": {
        "settle_ms": 100.0,
        "stimulus": {"duration_ms": 50.0},
        "neuron": {"sigma": 0.3},
        "balanced": {"n_exc": 100, "n_inh": 100, "k": 20, "drive_exc": 0.3, "drive_inh": 0.2},
        "plastic": {"n_exc": 20, "n_inh": 20, "exc_sources": "all"},
    },
    "train": {"ridge": {"forcing": [1.0, 0.0], "trials": 2}},
    "evaluate": {"trials": 6, "raster_trials": 2, "ceiling_splits": 5},
}


def write_recording(path: Path, seed: int = 1) -> None:
    """Poisson counts of 12 units in 50 bins of 20 ms, 20 trials of each of two conditions."""
    rng = np.random.default_rng(seed)
    stim = np.repeat([0, 1], 20)
    time_s = np.arange(50) * 0.02
    phase = np.arange(12) / 12
    rate_hz = np.stack([6 + 5 * np.sin(2 * np.pi * (time_s[:, None] + phase + 0.3 * s)) for s in (0, 1)])
    np.savez(path, spikes=rng.poisson(rate_hz[stim] * 0.02).astype(np.uint8), stim=stim)


def write_config(folder: Path, **changes: Any) -> Path:
    """Write the configuration, with whole sections replaced by `changes`, and the recordings it names."""
    config = {**CONFIG, **changes}
    for seed, recording in enumerate(config["recordings"]):
        if not (folder / recording["path"]).exists():
            write_recording(folder / recording["path"], seed)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
