"""The real recordings through ingest and targets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fitrec.config.ingest import IngestConfig
from fitrec.config.targets import TargetsConfig
from fitrec.datasets import names, verify
from fitrec.errors import RecordingError
from fitrec.recordings.recording import Recording
from fitrec.stages import ingest, targets
from fitrec.targets.targets import Targets

pytestmark = pytest.mark.realdata

Dataset = Callable[[str], Path]


def run(source: Any, tmp_path: Path, ingest_config: dict[str, Any], targets_config: dict[str, Any]) -> tuple[Recording, Targets]:
    recording = ingest.run(source, tmp_path / "recording.zarr", IngestConfig(**ingest_config), name="x")
    return recording, targets.run(tmp_path / "recording.zarr", tmp_path / "targets.zarr", TargetsConfig(**targets_config))


@pytest.mark.parametrize("name", names())
def test_data_sets_are_whole(dataset: Dataset, name: str) -> None:
    dataset(name)
    verify(name)


@pytest.mark.parametrize("table", ["encoding_table", "recognition_table", "timediscrimination_table"])
def test_human_nwb(dataset: Dataset, tmp_path: Path, table: str) -> None:
    path = dataset("nwb_units_human_mtl") / "sub-4_ses-4_ecephys+image.nwb"
    by = {"condition_by": ["stimCategory"]} if table == "encoding_table" else {}
    recording, built = run(path, tmp_path, {"nwb": {"trials": table}}, {"window_s": (-0.5, 1.5), "bin_size_s": 0.02} | by)
    assert recording.n_units == built.n_units == 35
    assert recording.spike_times_s is not None
    assert len(recording.spike_times_s) == 214_278
    assert set(recording.units["area"]) <= {"hippocampus_right", "hippocampus_left", "amygdala_right", "amygdala_left"}
    assert len(recording.trials) == (90 if table == "encoding_table" else 180)
    assert built.condition_names == (["0", "1", "2"] if by else ["all"])
    # No spike is lost: count those of one unit directly.
    assert recording.spike_indptr is not None
    assert built.counts is not None
    times = recording.spike_times_s[: recording.spike_indptr[1]]
    starts = recording.trials["start_time"].to_numpy()
    expected = [np.sum((times >= s - 0.5) & (times < s + 1.5)) for s in starts]
    assert built.counts[:, :, 0].sum(axis=1).tolist() == expected


def test_human_nwb_without_a_named_table(dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = dataset("nwb_units_human_mtl") / "sub-4_ses-4_ecephys+image.nwb"
    recording = ingest.run(path, tmp_path / "recording.zarr", IngestConfig(), name="x")
    assert recording.source["trials"] == "encoding_table"
    assert len(recording.trials) == 90
    assert any("recognition_table (180 rows)" in record.getMessage() for record in caplog.records)


def test_calcium_nwb_has_no_units(dataset: Dataset, tmp_path: Path) -> None:
    path = next(dataset("nwb_calcium_celegans_scholz2018").glob("*.nwb"))
    with pytest.raises(RecordingError, match="holds no units"):
        ingest.run(path, tmp_path / "recording.zarr", IngestConfig(), name="x")


@pytest.mark.parametrize(
    ("session", "n_units", "n_trials"),
    [("01", 734, 114), ("02", 1070, 251), ("03", 619, 228), ("11", 857, 342), ("12", 698, 340)],
)
def test_steinmetz(dataset: Dataset, tmp_path: Path, session: str, n_units: int, n_trials: int) -> None:
    columns = {name: name for name in ("contrast_left", "contrast_right", "feedback_type")}
    path = dataset("steinmetz2019_neuropixels") / f"session{session}.npz"
    recording, built = run(
        path,
        tmp_path,
        {"arrays": {"key": "spikes", "bin_size_s": 0.01, "unit_columns": {"area": "brain_area"}, "trial_columns": columns}},
        {
            "conditions": [
                {"name": "left", "where": ["contrast_left > contrast_right"]},
                {"name": "right", "where": ["contrast_left < contrast_right"]},
                {"name": "none", "where": ["contrast_left == 0", "contrast_right == 0"]},
                {"name": "equal", "where": ["contrast_left == contrast_right", "contrast_left > 0"]},
            ]
        },
    )
    assert recording.n_units + len(recording.excluded) == n_units
    assert set(recording.excluded["reason"]) <= {"silent"}
    assert built.counts is not None
    assert len(built.counts) == n_trials
    with np.load(path) as source:
        assert built.counts.sum() == source["spikes"].sum(dtype=np.int64)
    assert built.rate_hz.shape == (4, 40, recording.n_units)


def test_it(dataset: Dataset, tmp_path: Path) -> None:
    path = dataset("it_zhang_desimone") / "it132_7objects_3positions.npz"
    objects = ["car", "couch", "face", "flower", "guitar", "hand", "kiwi"]
    recording, built = run(
        path,
        tmp_path,
        {
            "arrays": {
                "key": "raster_packed",
                "axes": ["unit", "condition", "trial", "time"],
                "packed_bits": True,
                "n_time": 1000,
                "bin_size_s": 0.001,
                "t_start_s": -0.5,
                "condition_key": "conditions",
                "n_trials_key": "n_trials",
                "unit_id_key": "unit",
            }
        },
        {"conditions": [{"name": o, "where": [f"condition startswith {o}_"]} for o in objects]},
    )
    assert recording.n_units == built.n_units == 132
    assert recording.counts is not None
    assert recording.counts.shape == (420, 1000, 132)
    assert recording.observed is not None
    assert (~recording.observed).sum() == 7
    assert recording.counts.sum() / (132 * 420 - 7) == pytest.approx(10.9, abs=0.05)
    assert built.condition_names == objects
    assert np.bincount(np.asarray(built.trial_condition)).tolist() == [60] * 7
    assert np.isfinite(built.rate_hz).all()


def test_alm_rates_and_published_drives(dataset: Dataset, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    folder = dataset("alm_kim2023")
    _, built = run(
        {side: folder / f"movingrate_Pyr1Hz_lick{side}.jld" for side in ("left", "right")},
        tmp_path,
        {"arrays": {"kind": "rates", "axes": ["time", "unit"], "bin_size_s": 0.02, "t_start_s": -2.0}},
        {
            "already_smoothed": True,
            "smoothing": {"kernel": "boxcar", "width_s": 0.3},
            "drive": {"method": "siegert", "sigma": 0.3092},
        },
    )
    assert built.n_units == 1824
    assert built.rate_hz.mean(axis=(1, 2)).tolist() == pytest.approx([5.5414, 6.0694], abs=1e-4)
    assert built.drive is not None
    with h5py.File(folder / "utarg1Hz_lickleft.jld") as file:
        published = file["utarg"][:]
    error = (built.drive[0] - published)[built.rate_hz[0] >= 0.3]
    rms = float(np.sqrt(np.mean(error**2)))
    record_property("rms_drive_error", rms)
    assert rms < 0.002
