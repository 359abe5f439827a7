"""Reads trial counts and condition rates from array files (.npz, .npy, .h5, .hdf5, .jld, .mat v7.3).

The axes of an array may come in any order and are named as stored: MATLAB and Julia write theirs in reverse, as h5py shows them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.errors import RecordingError
from fitrec.recordings.checks import check_counts, check_rates, check_units
from fitrec.recordings.files import only_key, open_arrays, read_array
from fitrec.recordings.recording import Recording, exclusion_table


@dataclass(frozen=True, kw_only=True)
class ArrayLayout:
    """What lies where in an array file.

    Attributes
    ----------
    kind : "counts" or "rates"
        Spikes per bin on single trials, or trial-averaged rates in Hz per condition.
    key : str or None
        Array to read; may be None if only one has as many axes as `axes`.
    axes : sequence of "trial", "condition", "unit", "time"
        Axes of the array in order. Counts: trial, unit, time, and condition if the trials are numbered within conditions, or
        unit and time alone, of a recording that was not cut into trials. Rates: unit, time, and condition unless there is one
        file per condition.
    packed_bits, n_time : bool, int or None
        Whether the time axis was packed by ``numpy.packbits``; number of bins to use, all when None.
    bin_size_s, t_start_s : float
        Bin width, and start of the first bin from the alignment event, in seconds.
    condition_key, unit_id_key : str or None
        Arrays with the names of the conditions and the unit ids; numbers from 0 without them.
    n_trials_key : str or None
        Array (unit, condition): trials of the unit in that condition; the further ones are missing.
    unit_columns, trial_columns : mapping
        Column of the table -> array in the file.

    """

    kind: Literal["counts", "rates"] = "counts"
    key: str | None = None
    axes: Sequence[str] = ("trial", "unit", "time")
    packed_bits: bool = False
    n_time: int | None = None
    bin_size_s: float | None = None
    t_start_s: float = 0.0
    condition_key: str | None = None
    n_trials_key: str | None = None
    unit_id_key: str | None = None
    unit_columns: Mapping[str, str] = field(default_factory=dict)
    trial_columns: Mapping[str, str] = field(default_factory=dict)


def read_arrays(source: Path | Mapping[str, Path], layout: ArrayLayout, name: str) -> Recording:
    """Read counts from one file, or rates from one file or one file per condition.

    Raises
    ------
    RecordingError
        If an array is missing, has another shape than the others imply, or breaks a rule of `fitrec.recordings.checks`.

    """
    if layout.bin_size_s is None:
        raise RecordingError(f"the bin width of recording {name} is not known; give it by arrays.bin_size_s in seconds")
    if layout.kind == "rates":
        return _read_rates(source, layout, name)
    if not isinstance(source, Path):
        raise RecordingError("a mapping condition -> file is for condition rates; set arrays.kind: rates, or give one file")
    return _read_counts(source, layout, name)


def _read_counts(path: Path, layout: ArrayLayout, name: str) -> Recording:
    by_condition = "condition" in layout.axes
    trial = ["trial"] if "trial" in layout.axes or by_condition else []
    _check_axes(layout, [*trial, "unit", "time", *(["condition"] if by_condition else [])], path)
    with open_arrays(path) as arrays:
        stored = _read(arrays, layout, path)
        counts = _ordered(stored, layout.axes, ["condition", "trial", "time", "unit"])
        n_conditions, n_trials, n_time, n_units = counts.shape
        units = _units(arrays, layout, n_units, path)
        shape = (n_conditions, n_trials) if by_condition else (n_trials,)
        columns = {column: _sized(arrays, key, shape, path) for column, key in layout.trial_columns.items()}
        if by_condition:
            columns["condition"] = np.repeat(np.array(_conditions(arrays, layout, n_conditions, path), object), n_trials)
            columns["trial"] = np.tile(np.arange(n_trials), n_conditions)
        observed = _observed(arrays, layout, n_conditions, n_trials, n_units, path)
    counts = check_counts(counts.reshape(-1, n_time, n_units), units["unit_id"].to_numpy(), str(path))
    trials = pd.DataFrame({c: v.ravel() for c, v in columns.items()}, index=pd.RangeIndex(len(counts)))
    if observed is not None:
        recorded = np.flatnonzero(observed.any(axis=1))
        counts, trials, observed = counts[recorded], trials.iloc[recorded].reset_index(drop=True), observed[recorded]
        counts = counts * observed[:, None, :]
    return Recording(
        name=name,
        kind="counts",
        units=units,
        excluded=exclusion_table(),
        trials=trials,
        counts=np.ascontiguousarray(counts),
        observed=None if observed is None or observed.all() else observed,
        bin_size_s=layout.bin_size_s,
        t_start_s=layout.t_start_s,
        source={"file": path.name, "format": "arrays"},
    )


def _read_rates(source: Path | Mapping[str, Path], layout: ArrayLayout, name: str) -> Recording:
    if layout.packed_bits or layout.n_trials_key or layout.trial_columns:
        raise RecordingError("packed_bits, n_trials_key and trial_columns are for counts on trials; remove them for kind: rates")
    paths = [source] if isinstance(source, Path) else list(source.values())
    _check_axes(layout, ["unit", "time", *(["condition"] if isinstance(source, Path) else [])], paths[0])
    blocks = []
    for path in paths:
        with open_arrays(path) as arrays:
            blocks.append(_ordered(_read(arrays, layout, path), layout.axes, ["condition", "time", "unit"]))
        if blocks[-1].shape != blocks[0].shape:
            raise RecordingError(
                f"{path} holds {blocks[-1].shape[1]} bins x {blocks[-1].shape[2]} units, {paths[0]} {blocks[0].shape[1]} x "
                f"{blocks[0].shape[2]}; all conditions need the same bins and units"
            )
    rate_hz = np.concatenate(blocks).astype(np.float64)
    with open_arrays(paths[0]) as arrays:
        units = _units(arrays, layout, rate_hz.shape[2], paths[0])
        named = [] if isinstance(source, Path) else list(source)
        conditions = named or _conditions(arrays, layout, len(rate_hz), paths[0])
    check_rates(rate_hz, conditions, units["unit_id"].to_numpy(), " and ".join(str(path) for path in paths))
    return Recording(
        name=name,
        kind="rates",
        units=units,
        excluded=exclusion_table(),
        trials=pd.DataFrame(),
        rate_hz=rate_hz,
        condition_names=conditions,
        bin_size_s=layout.bin_size_s,
        t_start_s=layout.t_start_s,
        source={"file": ", ".join(path.name for path in paths), "format": "arrays"},
    )


def _check_axes(layout: ArrayLayout, wanted: list[str], path: Path) -> None:
    if sorted(layout.axes) != sorted(wanted):
        raise RecordingError(
            f"arrays.axes must name the axes {', '.join(wanted)} of the {layout.kind} in {path} in the order stored, "
            f"got {', '.join(layout.axes)}"
        )


def _read(arrays: Mapping[str, Any], layout: ArrayLayout, path: Path) -> NDArray[Any]:
    """Read the main array, its time axis unpacked and cut."""
    key = layout.key or only_key(arrays, len(layout.axes), path)
    values = read_array(arrays, key, path)
    if values.ndim != len(layout.axes) or values.dtype.kind == "U":
        raise RecordingError(
            f"array '{key}' of {path} has shape {values.shape} and type {values.dtype}; numbers with {len(layout.axes)} axes "
            f"({', '.join(layout.axes)}) are wanted"
        )
    time = list(layout.axes).index("time")
    if layout.packed_bits:
        if values.dtype != np.uint8 or layout.n_time is None:
            raise RecordingError(
                f"packed bits in array '{key}' of {path} need type uint8 (found {values.dtype}) and arrays.n_time"
            )
        values = np.unpackbits(values, axis=time)
    n_time = layout.n_time or values.shape[time]
    if values.shape[time] < n_time:
        raise RecordingError(f"array '{key}' of {path} has {values.shape[time]} time bins, fewer than arrays.n_time = {n_time}")
    return values.take(np.arange(n_time), axis=time) if n_time < values.shape[time] else values


def _ordered(values: NDArray[Any], axes: Sequence[str], wanted: list[str]) -> NDArray[Any]:
    """Axes in the wanted order; one that the array does not have gets length 1."""
    present = [axis for axis in wanted if axis in axes]
    moved = values.transpose([list(axes).index(axis) for axis in present])
    return np.expand_dims(moved, tuple(i for i, axis in enumerate(wanted) if axis not in axes))


def _units(arrays: Mapping[str, Any], layout: ArrayLayout, n_units: int, path: Path) -> pd.DataFrame:
    ids = np.arange(n_units) if layout.unit_id_key is None else _sized(arrays, layout.unit_id_key, (n_units,), path)
    if ids.dtype.kind == "f":
        raise RecordingError(
            f"the unit ids in '{layout.unit_id_key}' of {path} are floating-point; integers or strings are wanted"
        )
    check_units(ids, str(path))
    ids = ids if ids.dtype == object else ids.astype(np.int64)
    columns = {column: _sized(arrays, key, (n_units,), path) for column, key in layout.unit_columns.items()}
    if "unit_id" in columns:
        raise RecordingError("arrays.unit_columns cannot hold unit_id; name the array with the ids by arrays.unit_id_key")
    area = np.array([str(a) for a in columns.pop("area", [""] * n_units)], dtype=object)
    return pd.DataFrame({"unit_id": ids, "area": area} | columns)


def _conditions(arrays: Mapping[str, Any], layout: ArrayLayout, n_conditions: int, path: Path) -> list[str]:
    if layout.condition_key is None:
        return [str(i) for i in range(n_conditions)]
    return [str(value) for value in _sized(arrays, layout.condition_key, (n_conditions,), path)]


def _observed(
    arrays: Mapping[str, Any], layout: ArrayLayout, n_conditions: int, n_trials: int, n_units: int, path: Path
) -> NDArray[np.bool_] | None:
    """Tell which unit was recorded in which trial (condition x trial, unit)."""
    if layout.n_trials_key is None:
        return None
    if "condition" not in layout.axes:
        raise RecordingError(
            "arrays.n_trials_key counts trials per unit and condition: arrays.axes must name an axis 'condition'"
        )
    available = _sized(arrays, layout.n_trials_key, (n_units, n_conditions), path)
    if available.max() > n_trials:
        raise RecordingError(
            f"'{layout.n_trials_key}' of {path} counts up to {available.max()} trials, but only {n_trials} are stored"
        )
    observed: NDArray[np.bool_] = np.arange(n_trials)[None, :, None] < available.T[:, None, :]
    return observed.reshape(-1, n_units)


def _sized(arrays: Mapping[str, Any], key: str, shape: tuple[int, ...], path: Path) -> NDArray[Any]:
    """Read an array of a known shape; strings as objects, which pandas takes for strings."""
    values = read_array(arrays, key, path)
    if values.size == np.prod(shape):
        # MATLAB stores vectors as matrices with one row or column.
        values = values.reshape(shape) if values.ndim != len(shape) else values
    if values.shape != shape:
        raise RecordingError(f"array '{key}' of {path} has shape {values.shape}, but {shape} is wanted")
    return values.astype(object) if values.dtype.kind == "U" else values
