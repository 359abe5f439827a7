"""What is evaluated: whether its parts belong together, and which conditions are run."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fitrec import store
from fitrec.errors import MissingFileError, NetworkError, TargetsError
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.targets.targets import Targets


def read_provenance(path: Path, targets: Path) -> dict[str, Any]:
    """Read the provenance of a fit.

    Raises
    ------
    MissingFileError
        If there is none.
    TargetsError
        If the fit had other targets.

    """
    if not path.exists():
        raise MissingFileError(f"{path} does not exist; train the network first")
    provenance = cast(dict[str, Any], json.loads(path.read_text()))
    trained_on = provenance.get("inputs", {}).get("targets")
    if trained_on is not None and trained_on != store.content_sha256(targets):
        raise TargetsError(
            f"{targets} is not the set of targets that {path.parent} was trained on (they changed after the fit began); "
            "train again"
        )
    return provenance


def check_match(net: Network, goal: Targets, weights: Weights) -> int:
    """Return the steps per bin; raise NetworkError when network, weights and targets are of different fits."""
    bin_steps = round(goal.bin_size_s * 1e3 / net.dt_ms)
    advice = "build and train the network from these targets"
    if net.window_steps != bin_steps * goal.n_bins or abs(bin_steps * net.dt_ms * 1e-3 - goal.bin_size_s) > 1e-6:
        raise NetworkError(
            f"the network's window is {net.window_steps * net.dt_ms:g} ms, the targets have {goal.n_bins} bins of "
            f"{goal.bin_size_s * 1e3:g} ms; {advice}"
        )
    if list(net.condition_names) != list(goal.condition_names):
        raise NetworkError(f"the network's conditions are {net.condition_names}, the targets' {goal.condition_names}; {advice}")
    if len(net.trained_unit) and int(net.trained_unit.max()) >= goal.n_units:
        raise NetworkError(
            f"the network stands for unit {net.trained_unit.max()}, the targets have {goal.n_units} units; {advice}"
        )
    if weights.plastic.shape != net.plastic_pre.shape:
        raise NetworkError(
            f"the weights have shape {weights.plastic.shape}, the network's plastic inputs {net.plastic_pre.shape}; "
            "train this network"
        )
    return bin_steps


def simulated_conditions(goal: Targets) -> NDArray[np.int64]:
    """Conditions to run: all, or of a continuous fit the held-out segments and as many others, evenly spread."""
    everything = np.arange(len(goal.condition_names))
    if not goal.is_continuous or goal.trial_is_test is None or not goal.trial_is_test.any():
        return everything
    test, training = everything[goal.trial_is_test], everything[~goal.trial_is_test]
    few = np.unique(np.linspace(0, len(training) - 1, min(len(test), len(training))).round().astype(np.int64))
    return np.sort(np.concatenate([test, training[few]]))


def describe_segments(goal: Targets, simulated: NDArray[np.int64]) -> dict[str, Any]:
    """Figures of a continuous fit."""
    assert goal.trial_is_test is not None
    return {
        "segment_s": float(goal.bin_edges_s[-1]),
        "segments": {"training": int((~goal.trial_is_test).sum()), "test": int(goal.trial_is_test.sum())},
        "simulated": len(simulated),
        "inputs": goal.inputs["unit_id"].tolist(),
    }
