"""Reads sorted units from NWB 2 files.

Spike times are read in bulk and split in memory. Trials come from ``nwbfile.trials`` or any table of intervals, by name. The area
of a unit is taken from the first of: a units column named like one, its electrode group's location, its first electrode's
location.
"""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from hdmf.common import DynamicTable, DynamicTableRegion, VectorData, VectorIndex
from numpy.typing import NDArray
from pynwb import NWBHDF5IO

from fitrec.errors import RecordingError
from fitrec.recordings.checks import check_spike_times, check_trials, check_units, inside_intervals
from fitrec.recordings.files import decode, detect, open_hdf5
from fitrec.recordings.recording import Recording, exclusion_table

if TYPE_CHECKING:
    from pynwb import NWBFile

_log = logging.getLogger(__name__)

_AREA_COLUMNS = ("area", "brain_area", "brain_region", "location", "region")


def is_nwb(path: Path) -> bool:
    """Tell whether an HDF5 file says that it is NWB."""
    with open_hdf5(path) as file:
        return "nwb_version" in file.attrs


def read_nwb(path: Path, *, name: str, trials: str | None, spikes_outside_intervals: Literal["fail", "drop"]) -> Recording:
    """Read units and one trial table, which stays empty where a file has no table of intervals.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the recording.
    trials : str or None
        Name of the trial table: ``trials``, or a table in ``nwbfile.intervals``. None takes ``trials``, or else the table
        that begins first, and logs a warning if there are others.
    spikes_outside_intervals : "fail" or "drop"
        What to do with spikes outside a unit's ``obs_intervals``; dropped ones are counted in the column ``spikes_dropped``.

    Raises
    ------
    RecordingError
        If it is no NWB file, has no units, spike times or such trial table, or breaks a rule of `fitrec.recordings.checks`.

    """
    if detect(path) != "hdf5" or not is_nwb(path):
        raise RecordingError(f"{path} is not an NWB file (HDF5 with the attribute nwb_version)")
    with warnings.catch_warnings(record=True) as caught:
        try:
            with NWBHDF5IO(str(path), "r", load_namespaces=True) as io:
                recording = _read(io.read(), path, name, trials, spikes_outside_intervals)
        except RecordingError:
            raise
        except Exception as error:  # whatever pynwb and h5py raise when a file is damaged
            raise RecordingError(f"{path} cannot be read as NWB ({type(error).__name__}: {error})") from error
    for warning in caught:
        _log.info("%s: %s", path.name, warning.message)
    return recording


def _read(nwb: "NWBFile", path: Path, name: str, wanted: str | None, outside: Literal["fail", "drop"]) -> Recording:
    units = nwb.units
    if units is None or len(units) == 0:
        raise RecordingError(f"{path} holds no units; fitrec fits sorted spikes, so sort the recording first")
    if "spike_times" not in units.colnames:
        raise RecordingError(f"the units table of {path} has no spike_times; it has {', '.join(units.colnames)}")
    unit_ids = np.asarray(units.id.data[:], np.int64)
    check_units(unit_ids, str(path))
    trials, trial_table = _trials(nwb, wanted, path)
    check_trials(trial_table, f"table {trials} of {path}")
    index = units["spike_times"]
    times_s = np.asarray(index.target.data[:], np.float64)
    indptr = np.concatenate([[0], np.asarray(index.data[:], np.int64)])
    check_spike_times(times_s, indptr, unit_ids, str(path), float(trial_table["stop_time"].max()) if len(trial_table) else None)

    columns = _columns(units)
    columns["area"] = _areas(units, columns)
    if "unit_id" in columns:  # a column of its own beside the table's ids
        columns["source_unit_id"] = columns.pop("unit_id")
    table = pd.DataFrame({"unit_id": unit_ids} | {key: columns[key] for key in ("area", *columns)})
    observed = None
    if "obs_intervals" in units.colnames:
        intervals = _obs_intervals(units)
        observed = _observed_trials(intervals, trial_table)
        table["observed_s"] = [float(np.sum(own[:, 1] - own[:, 0])) for own in intervals]
        keep = _inside(times_s, indptr, intervals, unit_ids, path, outside)
        owner = np.repeat(np.arange(len(unit_ids)), np.diff(indptr))
        table["spikes_dropped"] = np.bincount(owner[~keep], minlength=len(unit_ids))
        times_s = times_s[keep]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(owner[keep], minlength=len(unit_ids)))])
    return Recording(
        name=name,
        kind="spikes",
        units=table,
        excluded=exclusion_table(),
        trials=trial_table,
        spike_times_s=times_s,
        spike_indptr=indptr,
        observed=None if observed is None or observed.all() else observed,
        source={"file": path.name, "format": "nwb", "trials": trials, "identifier": str(nwb.identifier)},
    )


def _obs_intervals(units: DynamicTable) -> list[NDArray[np.float64]]:
    """Intervals (interval, 2) in seconds of each unit."""
    index = units["obs_intervals"]
    intervals = np.asarray(index.target.data[:], np.float64).reshape(-1, 2)
    return np.split(intervals, np.asarray(index.data[:], np.int64)[:-1])


def _observed_trials(intervals: list[NDArray[np.float64]], trials: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which trials lie wholly in one of a unit's intervals (trial, unit)."""
    start, stop = (trials[column].to_numpy(np.float64)[:, None] for column in ("start_time", "stop_time"))
    stop = np.where(np.isfinite(stop), stop, start)
    within = [np.any((start >= own[:, 0]) & (stop <= own[:, 1]), axis=1) for own in intervals]
    return np.stack(within, axis=1)


def _inside(
    times_s: NDArray[np.float64],
    indptr: NDArray[np.int64],
    intervals: list[NDArray[np.float64]],
    unit_ids: NDArray[np.int64],
    path: Path,
    outside: Literal["fail", "drop"],
) -> NDArray[np.bool_]:
    """Tell which spikes (spike,) lie in their unit's intervals; RecordingError if one does not and `outside` is "fail"."""
    keep = np.ones(times_s.size, np.bool_)
    for unit, own in enumerate(intervals):
        spikes = slice(indptr[unit], indptr[unit + 1])
        inside = inside_intervals(times_s[spikes], own)
        if outside == "fail" and not inside.all():
            raise RecordingError(
                f"{np.sum(~inside)} spikes of unit {unit_ids[unit]} in {path} lie outside its obs_intervals, the first at "
                f"{times_s[spikes][~inside][0]:g} s; correct them, or set spikes_outside_intervals: drop"
            )
        keep[spikes] = inside
    return keep


def _trials(nwb: "NWBFile", name: str | None, path: Path) -> tuple[str, pd.DataFrame]:
    tables: dict[str, DynamicTable] = dict(nwb.intervals or {})
    if nwb.trials is not None:
        tables["trials"] = nwb.trials
    candidates = ", ".join(f"{key} ({len(table)} rows)" for key, table in tables.items()) or "none at all"
    if name is None and not tables:
        _log.info("%s has no trials: its time can be fitted as it is (targets.continuous)", path.name)
        return "none", pd.DataFrame({"start_time": np.zeros(0), "stop_time": np.zeros(0)})
    if name is None:
        filled = {key: table for key, table in tables.items() if len(table)}
        name = "trials" if "trials" in filled or not filled else min(filled, key=lambda key: filled[key]["start_time"][0])
        if len(filled) > 1 and name != "trials":
            _log.warning("%s has several trial tables: %s; taking %s, name another by nwb.trials", path.name, candidates, name)
    if name not in tables:
        raise RecordingError(f"{path} has no trial table '{name}'; it has {candidates}: name one by nwb.trials")
    return name, pd.DataFrame(_columns(tables[name]))


def _columns(table: DynamicTable) -> dict[str, NDArray[Any]]:
    """Columns with one number, boolean or string per row; others (ragged, references, waveforms) are left out."""
    ragged = {id(column.target) for column in table.columns if isinstance(column, VectorIndex)}
    found = {}
    for column in table.columns:
        if not isinstance(column, VectorData) or isinstance(column, (VectorIndex, DynamicTableRegion)) or id(column) in ragged:
            continue
        values = np.asarray(column.data[:])
        if values.ndim == 1 and values.dtype.kind in "OSU" and all(isinstance(v, (str, bytes)) for v in values):
            values = decode(values, column.name).astype(object)
        if values.ndim == 1 and (values.dtype.kind in "biuf" or (values.size and isinstance(values[0], str))):
            found[column.name] = values
        else:
            _log.info("column %s of table %s is left out: it does not hold one plain value per row", column.name, table.name)
    return found


def _areas(units: DynamicTable, columns: dict[str, NDArray[Any]]) -> NDArray[np.object_]:
    for name in _AREA_COLUMNS:
        if name in columns and columns[name].dtype == object:
            return columns[name]
    if "electrode_group" in units.colnames:
        return np.array([str(group.location or "") for group in units["electrode_group"].data], dtype=object)
    areas = np.full(len(units), "", dtype=object)
    if "electrodes" in units.colnames:
        # A region names rows of the electrodes table; it is ragged when units may have several electrodes.
        region = units["electrodes"]
        ends = np.arange(1, len(units) + 1)
        if isinstance(region, VectorIndex):
            region, ends = region.target, np.asarray(region.data[:], np.int64)
        if "location" in region.table.colnames:
            locations = decode(np.asarray(region.table["location"].data[:], object), "electrodes.location")
            known = np.diff(ends, prepend=0) > 0
            first = np.concatenate([[0], ends[:-1]])[known]
            areas[known] = locations[np.asarray(region.data[:], np.int64)[first]]
    return areas
