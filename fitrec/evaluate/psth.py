"""How well one set of PSTHs matches another, unit by unit, with a named reason where the question has no answer."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["concatenated", "per_condition"]

# A smoothed constant differs from a constant by rounding; below this relative spread a PSTH counts as constant.
_CONSTANT = 1e-9


def pearson(x: NDArray[Any], y: NDArray[Any], axis: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Pearson correlation over `axis`, over the entries where both arrays are finite; NaN where either is constant there.

    Parameters
    ----------
    x, y : arrays that broadcast to one shape
        Any units; the correlation has none.
    axis : int or tuple of int
        Axes to correlate over.

    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    x, y = np.broadcast_arrays(x, y)
    finite = np.isfinite(x) & np.isfinite(y)
    n = finite.sum(axis=axis, keepdims=True)
    x, x_constant = _centre(x, finite, n, axis)
    y, y_constant = _centre(y, finite, n, axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (x * y).sum(axis=axis) / np.sqrt((x * x).sum(axis=axis) * (y * y).sum(axis=axis))
    return np.where(x_constant | y_constant, np.nan, np.clip(r, -1.0, 1.0))


def correlate(model_hz: NDArray[Any], recorded_hz: NDArray[Any], method: Method = "concatenated") -> NDArray[np.float64]:
    """Correlation of each unit's PSTHs.

    Parameters
    ----------
    model_hz, recorded_hz : (condition, time, unit)
        PSTHs; conditions with NaN (not recorded, no neuron) are left out for that unit.
    method : str
        ``concatenated``: one correlation over the conditions joined in time, which also asks for the right differences between
        conditions; ``per_condition``: the mean of the correlations within each condition,
        over the conditions where it is defined.

    Returns
    -------
    (unit,) float64
        NaN where undefined; `reasons` says why.

    """
    if method == "concatenated":
        return pearson(model_hz, recorded_hz, axis=(0, 1))
    return mean_defined(correlate_conditions(model_hz, recorded_hz), axis=0)


def correlate_conditions(model_hz: NDArray[Any], recorded_hz: NDArray[Any]) -> NDArray[np.float64]:
    """Correlation within each condition: (condition, time, unit) twice -> (condition, unit); NaN where undefined."""
    return pearson(model_hz, recorded_hz, axis=1)


def r_squared(model_hz: NDArray[Any], recorded_hz: NDArray[Any]) -> NDArray[np.float64]:
    """Fraction of the recorded PSTH's variance that the model's PSTH explains, per unit, over the conditions joined in time.

    1 - sum (recorded - model)^2 / sum (recorded - mean recorded)^2. Unlike the correlation it also asks for the right mean and
    amplitude, and it is negative where a constant at the recorded mean would do better. NaN where the recorded PSTH is constant.
    """
    model, recorded = np.broadcast_arrays(np.asarray(model_hz, np.float64), np.asarray(recorded_hz, np.float64))
    finite = np.isfinite(model) & np.isfinite(recorded)
    n = finite.sum(axis=(0, 1), keepdims=True)
    deviation, constant = _centre(recorded, finite, n, (0, 1))
    residual = np.where(finite, recorded - model, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = 1.0 - (residual**2).sum(axis=(0, 1)) / (deviation**2).sum(axis=(0, 1))
    return np.where(constant, np.nan, r2)


def reasons(model_hz: NDArray[Any], recorded_hz: NDArray[Any]) -> list[str]:
    """Why the correlation of each unit is undefined; an empty string where it is defined.

    Parameters
    ----------
    model_hz, recorded_hz : (condition, time, unit)
        As for `correlate`.

    """
    model = [_state(p) for p in np.moveaxis(model_hz, -1, 0)]
    recorded = [_state(p) for p in np.moveaxis(recorded_hz, -1, 0)]
    words = []
    for unit_model, unit_recorded in zip(model, recorded, strict=True):
        if unit_model == "absent":
            words.append("no neuron stands for it")
        elif unit_recorded == "absent":
            words.append("not recorded")
        elif unit_recorded:
            words.append(f"recorded PSTH is {unit_recorded}")
        elif unit_model:
            words.append(f"model PSTH is {unit_model}")
        else:
            words.append("")
    return words


def mean_defined(values: NDArray[np.float64], axis: int = 0) -> NDArray[np.float64]:
    """Mean over the entries that are not NaN; NaN where there are none."""
    defined = np.isfinite(values)
    n = defined.sum(axis=axis)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, values, 0.0).sum(axis=axis) / n)


def _centre(
    x: NDArray[np.float64], finite: NDArray[np.bool_], n: NDArray[np.int64], axis: int | tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Deviations from the mean of the finite entries (0 elsewhere), and whether they vanish."""
    x = np.where(finite, x, 0.0)
    scale = np.abs(x).max(axis=axis, initial=0.0)
    centred = np.where(finite, x - x.sum(axis=axis, keepdims=True) / np.maximum(n, 1), 0.0)
    return centred, np.abs(centred).max(axis=axis, initial=0.0) <= _CONSTANT * scale


def _state(psth: NDArray[Any]) -> str:
    values = psth[np.isfinite(psth)]
    if values.size == 0:
        return "absent"
    if not values.any():
        return "silent"
    return "constant" if np.ptp(values) <= 2 * _CONSTANT * np.abs(values).max() else ""
