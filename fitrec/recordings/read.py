"""Reads a recording in whatever format it comes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from fitrec.errors import RecordingError
from fitrec.recordings.arrays import ArrayLayout, read_arrays
from fitrec.recordings.files import detect
from fitrec.recordings.matclust import read_matclust
from fitrec.recordings.nwb import is_nwb, read_nwb
from fitrec.recordings.recording import Recording


def detect_format(path: Path) -> Literal["nwb", "arrays"]:
    """Tell a file's format by its content; RecordingError if no reader fits."""
    return "nwb" if detect(path) == "hdf5" and is_nwb(path) else "arrays"


def read(
    source: Path | Mapping[str, Path],
    *,
    name: str,
    file_format: Literal["auto", "nwb", "arrays", "matclust"] = "auto",
    nwb_trials: str | None = None,
    layout: ArrayLayout | None = None,
    spikes_outside_intervals: Literal["fail", "drop"] = "fail",
) -> Recording:
    """Read all units of a recording.

    Parameters
    ----------
    source : Path or mapping of condition to Path
        The file; for condition rates also one file per condition.
    name : str
        Name of the recording.
    file_format : "auto", "nwb", "arrays" or "matclust"
        "auto" decides between the first two by the content.
    nwb_trials : str or None
        Trial table of an NWB file.
    layout : ArrayLayout or None
        What lies where in an array file.
    spikes_outside_intervals : "fail" or "drop"
        What to do with spikes outside a unit's observation intervals.

    Raises
    ------
    RecordingError
        If the recording cannot be read or breaks a rule of `fitrec.recordings.checks`.
    MissingFileError
        If a file does not exist.

    """
    if not isinstance(source, Path):
        if not source:
            raise RecordingError(f"recording {name} names no files; give one file, or a file per condition")
        return read_arrays(source, layout or ArrayLayout(), name)
    if file_format == "auto":
        file_format = detect_format(source)
    if file_format == "nwb":
        return read_nwb(source, name=name, trials=nwb_trials, spikes_outside_intervals=spikes_outside_intervals)
    if file_format == "matclust":
        return read_matclust(source, name=name)
    return read_arrays(source, layout or ArrayLayout(), name)
