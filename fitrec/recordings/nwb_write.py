"""Writes spikes and trials as an NWB file."""

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile

from fitrec.recordings.recording import Recording

_DESCRIPTIONS = {
    "location": "where the unit was recorded",
    "quality": "verdict of spike sorting: good, mua (several neurons) or noise",
    "stimulus": "what was presented; it begins with the trial",
}
# A simulation happens at no time of day; NWB wants one.
_START = datetime(2000, 1, 1, tzinfo=UTC)


def write_nwb(path: Path, recording: Recording, observed_s: NDArray[np.float64], *, description: str) -> None:
    """Write the spikes of a recording as a new NWB file.

    Parameters
    ----------
    path : Path
        The file.
    recording : Recording
        With spike times, in seconds from the beginning of the session. All columns of `units` and `trials` are written.
    observed_s : (interval, 2)
        The intervals, in seconds, in which the units were observed; no spike lies outside.
    description : str
        What was recorded.

    """
    assert recording.spike_times_s is not None
    assert recording.spike_indptr is not None
    identifier = str(recording.source["identifier"])
    nwb = NWBFile(session_description=description, identifier=identifier, session_start_time=_START)
    units, trials = recording.units, recording.trials
    columns = [str(name) for name in units.columns if name != "unit_id"]
    for name in columns:
        nwb.add_unit_column(name, _DESCRIPTIONS[name])
    spikes = np.split(recording.spike_times_s, recording.spike_indptr[1:-1])
    for unit, times_s in enumerate(spikes):
        values = {name: units[name].iloc[unit] for name in columns}
        nwb.add_unit(id=int(units["unit_id"].iloc[unit]), spike_times=times_s, obs_intervals=observed_s, **values)
    extra = [str(name) for name in trials.columns if name not in ("start_time", "stop_time")]
    for name in extra:
        nwb.add_trial_column(name, _DESCRIPTIONS[name])
    for trial in trials.to_dict("records"):
        nwb.add_trial(**{str(name): value for name, value in trial.items()})
    # As an open file: a path that does not end in .nwb, such as a temporary one, would be warned about.
    with h5py.File(path, "w") as file, NWBHDF5IO(file=file, mode="w") as io:
        io.write(nwb)
