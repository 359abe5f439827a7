"""MatClust files: tetrodes in cells, clusters in cells within them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from fitrec.errors import MissingFileError, RecordingError
from fitrec.recordings.read import read
from fitrec.recordings.recording import Recording


def cells(*items: Any) -> np.ndarray:
    out = np.empty((1, len(items)), object)
    for k, item in enumerate(items):
        out[0, k] = item
    return out


def cluster(*times: float) -> dict[str, Any]:
    return {"time": np.array(times)[:, None], "timerange": np.array([[10.0, 90.0]]), "meanrate": 1.0}


def write(path: Path, *tetrodes: Any) -> Path:
    savemat(path, {"spikes": cells(cells(*tetrodes))})
    return path


def load(path: Path) -> Recording:
    return read(path, name="rat", file_format="matclust")


def test_clusters_become_units(tmp_path: Path) -> None:
    nothing = np.zeros((0, 0))
    path = write(
        tmp_path / "spikes.mat",
        cells(cluster(11.5, 12.25), nothing, cluster()),
        nothing,
        cells(nothing, cluster(20.5, 30.25, 40.75)),
    )
    recording = load(path)
    assert recording.units["unit_id"].tolist() == ["1.1", "3.2"]
    assert recording.units["tetrode"].tolist() == [1, 3]
    assert recording.spike_times_s.tolist() == [11.5, 12.25, 20.5, 30.25, 40.75]
    assert recording.spike_indptr.tolist() == [0, 2, 5]
    assert recording.trials.to_dict("list") == {"start_time": [10.0], "stop_time": [90.0]}


def test_what_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load(tmp_path / "none.mat")
    (tmp_path / "text.mat").write_text("spikes")
    with pytest.raises(RecordingError, match="cannot be read as a MATLAB 5 file"):
        load(tmp_path / "text.mat")
    (tmp_path / "hdf5.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    with pytest.raises(RecordingError, match=r"cannot be read as a MATLAB 5 file \(.*v7\.3"):
        load(tmp_path / "hdf5.mat")
    savemat(tmp_path / "other.mat", {"rates": np.ones(3)})
    with pytest.raises(RecordingError, match="holds no variable 'spikes' as MatClust writes it; it holds rates"):
        load(tmp_path / "other.mat")
    with pytest.raises(RecordingError, match="holds no units"):
        load(write(tmp_path / "empty.mat", cells(cluster())))
    with pytest.raises(RecordingError, match=r"spike 1 of unit 1.1 .* has time nan"):
        load(write(tmp_path / "nan.mat", cells(cluster(11.5, np.nan))))
