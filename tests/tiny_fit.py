"""A fit small enough for a test: 12 units that follow sinusoids in two conditions, 200 model neurons."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from fitrec.config.network import NetworkConfig
from fitrec.config.train import TrainConfig
from fitrec.learn.training import Training
from fitrec.networks.network import Network
from fitrec.stages.build import build_network
from fitrec.stages.train import make_training
from fitrec.targets.targets import Targets

BIN_S = 0.02
AREAS = np.array(["M2", "M2", "S1", ""], object)  # of one unit in four it is not known


def tiny_targets(n_units: int = 12, n_bins: int = 25, bin_s: float = BIN_S, **changes: Any) -> Targets:
    """Rates between 1 and 17 Hz, another phase for each unit and condition."""
    time_s = (np.arange(n_bins) + 0.5) * bin_s
    unit = np.arange(n_units)
    phase = np.stack([unit / n_units, 0.4 + 3 * unit / n_units])[:, None, :]
    fields: dict[str, Any] = {
        "units": pd.DataFrame({"unit_id": unit, "area": AREAS[unit % len(AREAS)], "held_out": np.zeros(n_units, bool)}),
        "condition_names": ["left", "right"],
        "bin_edges_s": np.arange(n_bins + 1) * bin_s,
        "rate_hz": 9 + 8 * np.sin(2 * np.pi * (2 * time_s[None, :, None] + phase)),
        "smoothing": {"kernel": "gaussian", "width_s": 0.02},
    }
    return Targets(**{**fields, **changes})


def tiny_config(**changes: Any) -> NetworkConfig:
    """Configuration of the network; sections are replaced by `changes`."""
    sections: dict[str, Any] = {
        "settle_ms": 60.0,
        "stimulus": {"duration_ms": 40.0},
        "balanced": {"n_exc": 120, "n_inh": 80, "k": 20, "drive_exc": 0.24, "drive_inh": 0.16},
        "plastic": {"n_exc": 20, "n_inh": 20, "exc_sources": "all"},
        "feed_forward": {"n_inputs": 20, "rate_hz": 20.0, "rate_sd_hz": 12.0, "tau_ms": 100.0},
    }
    return NetworkConfig.model_validate({**sections, **changes})


@cache
def tiny_network() -> Network:
    """Network for the targets above, trained for all of their units."""
    return build_network(tiny_targets(), tiny_config(), seed=3, threads=1)


def tiny_training(threads: int | None = 1, network: Network | None = None, **config: Any) -> Training:
    """Training of the tiny network; `config` is the train section."""
    return make_training(network or tiny_network(), tiny_targets(), TrainConfig.model_validate(config), threads)
