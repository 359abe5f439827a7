from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitrec.errors import RecordingError, TargetsError
from fitrec.recordings.nwb import read_nwb
from fitrec.recordings.recording import Recording
from fitrec.recordings.select import select_units
from fitrec.targets.build import TargetOptions, build_targets

SPIKES = [[0.5, 1.25, 12.0], [2.0], [0.1, 0.1, 7.5]]


def read(path: Path, trials: str | None = None, **options: Any) -> Recording:
    return read_nwb(path, name="x", trials=trials, **({"spikes_outside_intervals": "fail"} | options))


def spikes(recording: Recording) -> list[list[float]]:
    assert recording.spike_times_s is not None
    assert recording.spike_indptr is not None
    return [list(s) for s in np.split(recording.spike_times_s, recording.spike_indptr[1:-1])]


def test_units_and_trials(write_nwb: Any) -> None:
    recording = read(
        write_nwb(
            SPIKES,
            unit_columns={"quality": ["good", "mua", "good"], "snr": [1.0, np.nan, 3.0], "location": ["CA1", "", "V1"]},
            trial_columns={"choice": ["l", "r"] * 3, "correct": [True, False] * 3, "contrast": np.arange(6) / 5},
        )
    )
    assert spikes(recording) == SPIKES
    assert recording.kind == "spikes"
    assert recording.units["unit_id"].tolist() == [0, 1, 2]
    assert recording.units["area"].tolist() == ["CA1", "", "V1"]
    assert recording.units["quality"].tolist() == ["good", "mua", "good"]
    np.testing.assert_array_equal(recording.units["snr"], [1.0, np.nan, 3.0])
    assert list(recording.trials) == ["start_time", "stop_time", "choice", "correct", "contrast"]
    assert recording.trials["correct"].dtype == bool
    assert recording.trials["choice"].tolist() == ["l", "r"] * 3


def test_area_from_the_electrode(write_nwb: Any) -> None:
    recording = read(write_nwb(SPIKES, electrode=True))
    assert recording.units["area"].tolist() == ["", "CA3", "CA3"]


def test_any_interval_table(write_nwb: Any) -> None:
    path = write_nwb(SPIKES, table="encoding_table", trial_columns={"clip": list("abcdef")})
    assert read(path, "encoding_table").trials["clip"].tolist() == list("abcdef")
    with pytest.raises(RecordingError, match=r"no trial table 'other'; it has encoding_table \(6 rows\)"):
        read(path, "other")
    assert read(path).source["trials"] == "encoding_table"  # the only one


def test_units_without_spikes_are_kept_in_place(write_nwb: Any) -> None:
    assert spikes(read(write_nwb([[], [1.0, 2.0], [], [3.0], []]))) == [[], [1.0, 2.0], [], [3.0], []]


def test_spikes_outside_obs_intervals(write_nwb: Any) -> None:
    path = write_nwb(SPIKES, obs_intervals=[[[0, 1], [11, 12]], [[0, 13]], [[0, 13]]])
    with pytest.raises(RecordingError, match=r"1 spikes of unit 0 in .* outside its obs_intervals, the first at 1.25 s"):
        read(path)
    recording = read(path, spikes_outside_intervals="drop")
    assert spikes(recording) == [[0.5, 12.0], [2.0], [0.1, 0.1, 7.5]]
    assert recording.units["spikes_dropped"].tolist() == [1, 0, 0]
    assert recording.units["observed_s"].tolist() == [2.0, 13.0, 13.0]
    # Unit 0 was observed in the trial from 11 to 12 s only.
    assert recording.observed is not None
    assert recording.observed[:, 0].tolist() == [False] * 5 + [True]
    assert recording.observed[:, 1:].all()


def test_a_column_named_like_the_ids(write_nwb: Any) -> None:
    recording = read(write_nwb(SPIKES, unit_columns={"unit_id": [5, 5, 5]}))
    assert recording.units["unit_id"].tolist() == [0, 1, 2]
    assert recording.units["source_unit_id"].tolist() == [5, 5, 5]


def test_ragged_columns_are_left_out(write_nwb: Any) -> None:
    recording = read(write_nwb(SPIKES, unit_columns={"waveform_mean": np.zeros((3, 4))}))
    assert list(recording.units) == ["unit_id", "area"]


def test_trials_must_be_there_when_asked_for(write_nwb: Any) -> None:
    with pytest.raises(RecordingError, match="no trial table 'cues'; it has none at all"):
        read(write_nwb(SPIKES, n_trials=0), trials="cues")


def test_a_file_without_trials_is_all_time(write_nwb: Any) -> None:
    recording = read(write_nwb(SPIKES, n_trials=0))
    assert list(recording.trials) == ["start_time", "stop_time"]
    assert len(recording.trials) == 0
    assert select_units(recording).n_units == 3
    with pytest.raises(TargetsError, match=r"no trials; .* fit time itself \(targets.continuous\)"):
        build_targets(recording, TargetOptions(window_s=(0, 1), bin_size_s=0.1))
