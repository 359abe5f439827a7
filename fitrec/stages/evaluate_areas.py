"""Mean rates of brain areas, as an evaluation reports them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.evaluate.psth import Method, correlate, mean_defined
from fitrec.learn.regions import Regions
from fitrec.stages.fitted_areas import areas_of
from fitrec.targets.targets import Targets


def area_scores(
    goal: Targets, model_hz: NDArray[np.float64], untrained_hz: NDArray[np.float64] | None, method: Method
) -> list[dict[str, Any]]:
    """Score the mean PSTH of each area's units that have a neuron.

    Parameters
    ----------
    model_hz, untrained_hz : (condition, time, unit)
        Smoothed; NaN for units without a neuron.
    method : str
        As of `fitrec.evaluate.psth.correlate`.

    Returns
    -------
    list of dict
        ``area``, ``units``, mean rates in Hz, and correlations with the training and the test PSTH, None where undefined.

    """
    with_neuron = np.isfinite(model_hz).any(axis=(0, 1))
    regions = Regions(np.where(with_neuron, areas_of(goal.units), ""))

    def mean(rate_hz: NDArray[np.float64], like: NDArray[np.float64]) -> NDArray[np.float64]:
        means, numbers = regions.means(rate_hz, np.isfinite(like) & with_neuron)
        return np.where(numbers > 0, means, np.nan)

    def r(rate_hz: NDArray[np.float64] | None, recorded_hz: NDArray[np.float64] | None) -> NDArray[np.float64]:
        if rate_hz is None or recorded_hz is None:
            return np.full(len(regions.names), np.nan)
        return correlate(mean(rate_hz, recorded_hz), mean(recorded_hz, recorded_hz), method)

    columns = {
        "rate_recorded_hz": mean_defined(np.concatenate(mean(goal.rate_hz, goal.rate_hz))),
        "rate_model_hz": mean_defined(np.concatenate(mean(model_hz, model_hz))),
        "r_train": r(model_hz, goal.rate_hz),
        "r_test": r(model_hz, goal.rate_test_hz),
        "untrained_r_train": r(untrained_hz, goal.rate_hz),
        "untrained_r_test": r(untrained_hz, goal.rate_test_hz),
    }
    units = regions.sizes.tolist()
    return [
        {"area": name, "units": units[k], **{key: _number(values[k]) for key, values in columns.items()}}
        for k, name in enumerate(regions.names)
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
