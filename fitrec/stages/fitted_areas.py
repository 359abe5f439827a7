"""The brain areas whose mean rates a gradient rule fits."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.config.train import LEAST_SQUARES, TrainConfig
from fitrec.errors import TrainingError
from fitrec.learn.regions import Regions


def areas_of(units: pd.DataFrame) -> NDArray[np.str_]:
    """Return the area of each unit, (unit,), "" where it is not known."""
    return units["area"].fillna("").to_numpy(str) if "area" in units else np.full(len(units), "")


def areas_to_fit(units: pd.DataFrame, config: TrainConfig, fitted: NDArray[np.integer]) -> Regions | None:
    """Return the areas of the fitted units whose mean rates a gradient rule is to fit; None where it fits the units.

    Parameters
    ----------
    units : DataFrame
        Of the targets.
    fitted : (trained,)
        Their rows, in the order of the trained neurons.

    Raises
    ------
    TrainingError
        If there are no areas.

    """
    if config.rule in LEAST_SQUARES or config.gradient.loss_of == "units":
        return None
    regions = Regions(areas_of(units)[fitted])
    if not regions.names:
        raise TrainingError(
            f"train.gradient.loss_of is areas, but none of the {len(fitted)} fitted units has an area (column 'area' of the "
            "recording's units); use loss_of: units, or name the array that holds the areas in ingest.arrays.unit_columns"
        )
    return regions
