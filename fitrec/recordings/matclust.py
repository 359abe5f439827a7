"""Reads clusters sorted with MatClust: a MATLAB file of nested cells, a tetrode in each, a cluster in each of these."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from fitrec.errors import MissingFileError, RecordingError
from fitrec.recordings.checks import check_spike_times, check_units
from fitrec.recordings.recording import Recording, exclusion_table


def read_matclust(path: Path, *, name: str) -> Recording:
    """Read the clusters of a file with the variable ``spikes``: structs with ``time`` and ``timerange`` in seconds.

    A unit is called ``tetrode.cluster``, both counted from 1, and has the column ``tetrode``. There are no trials but one, the
    whole recording.

    Parameters
    ----------
    path : Path
        The file (MATLAB 5).
    name : str
        Name of the recording.

    Raises
    ------
    RecordingError
        If it is no such file, or breaks a rule of `fitrec.recordings.checks`.

    """
    if not path.exists():
        raise MissingFileError(f"{path} does not exist")
    try:
        content = loadmat(path, struct_as_record=False)
    # SciPy raises NotImplementedError for files of MATLAB 7.3, which are HDF5.
    except (MatReadError, NotImplementedError, ValueError, TypeError, OSError) as error:
        raise RecordingError(f"{path} cannot be read as a MATLAB 5 file ({error}); MatClust writes such files") from error
    if "spikes" not in content:
        listed = ", ".join(key for key in content if not key.startswith("__")) or "nothing"
        raise RecordingError(f"{path} holds no variable 'spikes' as MatClust writes it; it holds {listed}")
    found = [(place, cluster) for place, cluster in _clusters(content["spikes"], ()) if np.size(cluster.time)]
    times = [np.asarray(cluster.time, np.float64).ravel() for _, cluster in found]
    ids = np.array([".".join(str(k + 1) for k in place[-2:]) for place, _ in found], dtype=object)
    check_units(ids, str(path))
    indptr = np.cumsum([0, *map(len, times)])
    ranges = np.array([np.asarray(cluster.timerange, np.float64).ravel() for _, cluster in found])
    check_spike_times(np.concatenate(times), indptr, ids, str(path), None)
    return Recording(
        name=name,
        kind="spikes",
        units=pd.DataFrame({"unit_id": ids, "area": "", "tetrode": [place[-2] + 1 for place, _ in found]}),
        excluded=exclusion_table(),
        trials=pd.DataFrame({"start_time": [ranges.min()], "stop_time": [ranges.max()]}),
        spike_times_s=np.concatenate(times),
        spike_indptr=indptr,
        source={"file": path.name, "format": "matclust"},
    )


def _clusters(cell: NDArray[Any], place: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Go through nested cells; cells of a single element, in which MATLAB wraps structs, have no number."""
    if cell.dtype != object:
        return
    for k, inner in enumerate(cell.ravel()):
        if hasattr(inner, "time"):
            yield place, inner
        elif isinstance(inner, np.ndarray):
            yield from _clusters(inner, (*place, k))
