"""A continuous fit small enough for a test: 9 units that follow two slow signals for 40 s, 100 model neurons."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from fitrec.config.network import NetworkConfig
from fitrec.config.targets import TargetsConfig
from fitrec.networks.network import Network
from fitrec.recordings.recording import Recording, exclusion_table
from fitrec.stages.build import build_network
from fitrec.stages.targets import target_options
from fitrec.targets.build import build_targets
from fitrec.targets.targets import Targets

DURATION_S, N_UNITS = 40.0, 9


def tiny_recording(**changes: Any) -> Recording:
    """Poisson spikes; units 0 to 3 carry the signals, the others a mixture of them."""
    rng = np.random.default_rng(5)
    time_s = np.arange(0, DURATION_S, 1e-3)
    signal = np.stack([np.sin(2 * np.pi * time_s / 1.7), np.sin(2 * np.pi * time_s / 0.9 + 1)])
    mixture = np.vstack([np.repeat(np.eye(2), 2, axis=0), rng.normal(size=(N_UNITS - 4, 2))])
    rate_hz = 15 * np.exp(mixture / np.linalg.norm(mixture, axis=1, keepdims=True) @ signal)
    spikes = [np.sort(time_s[rng.random(len(time_s)) < r * 1e-3] + 2e-4) for r in rate_hz]
    fields: dict[str, Any] = {
        "name": "tiny",
        "kind": "spikes",
        "units": pd.DataFrame({"unit_id": np.arange(N_UNITS) + 100, "area": ["in"] * 4 + ["out"] * (N_UNITS - 4)}),
        "excluded": exclusion_table(),
        "trials": pd.DataFrame({"start_time": [0.0], "stop_time": [DURATION_S]}),
        "spike_times_s": np.concatenate(spikes),
        "spike_indptr": np.cumsum([0, *map(len, spikes)]),
    }
    return Recording(**{**fields, **changes})


def targets_config(continuous: dict[str, Any] | None = None, **changes: Any) -> TargetsConfig:
    own = {"segment_s": 2.0, "input_where": ["area == in"], "test_blocks": 2, **(continuous or {})}
    sections: dict[str, Any] = {
        "continuous": own,
        "bin_size_s": 0.02,
        "smoothing": {"width_s": 0.1},
        "split": {"test_fraction": 0.3},
    }
    return TargetsConfig.model_validate({**sections, **changes})


def make_targets(continuous: dict[str, Any] | None = None, recording: Recording | None = None, **changes: Any) -> Targets:
    return build_targets(recording or tiny_recording(), target_options(targets_config(continuous, **changes)))


NETWORK: dict[str, Any] = {
    "dt_ms": 0.5,
    "settle_ms": 100.0,
    "balanced": {"n_exc": 60, "n_inh": 40, "k": 10, "drive_exc": 0.45, "drive_inh": 0.3},
    "plastic": {"n_exc": 10, "n_inh": 10, "exc_sources": "all", "tau_syn_ms": 20.0},
    "feed_forward": {"rate_hz": 100.0},
}


@cache
def tiny_segments() -> Targets:
    return make_targets()


@cache
def segment_network() -> Network:
    return build_network(tiny_segments(), NetworkConfig.model_validate(NETWORK), seed=3, threads=1)
