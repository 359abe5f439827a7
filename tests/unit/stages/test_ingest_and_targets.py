"""The ingest and targets stages, and every bad input they must refuse: one sentence, nothing written."""

import errno
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fitrec import store
from fitrec.config.ingest import IngestConfig
from fitrec.config.network import NetworkConfig
from fitrec.config.targets import TargetsConfig
from fitrec.errors import FitrecError, RecordingError, StoreError, TargetsError
from fitrec.recordings.recording import Recording
from fitrec.stages import ingest, targets
from fitrec.targets.targets import Targets

RNG = np.random.default_rng(1)
WINDOW: dict[str, Any] = {"window_s": (0.0, 1.0), "bin_size_s": 0.1}


def trains(n_units: int = 3, n: int = 200) -> list[np.ndarray]:
    return [np.sort(RNG.uniform(0.0, 14.0, n)) for _ in range(n_units)]


def test_nwb_to_targets(write_nwb: Any, tmp_path: Path) -> None:
    path = write_nwb(trains(), trial_columns={"side": ["l", "r"] * 3})
    recording = ingest.run(path, tmp_path / "r.zarr", IngestConfig(), name="mouse")
    assert recording.source["sha256"] == store.file_sha256(path)
    assert store.read_attributes(tmp_path / "r.zarr")["source_sha256"] == recording.source["sha256"]
    config = TargetsConfig(**WINDOW, condition_by=["side"], drive={"method": "siegert", "sigma": 0.3})
    built = targets.run(tmp_path / "r.zarr", tmp_path / "t.zarr", config)
    loaded = store.load(tmp_path / "t.zarr", Targets)
    np.testing.assert_array_equal(loaded.rate_hz, built.rate_hz)
    assert loaded.recording_name == "mouse"
    assert loaded.drive is not None
    assert loaded.drive.shape == loaded.rate_hz.shape == (2, 10, 3)
    attributes = store.read_attributes(tmp_path / "t.zarr")
    assert attributes["source_sha256"] == store.content_sha256(tmp_path / "r.zarr")
    assert attributes["bin_size_s"] == pytest.approx(0.1)


def test_surrogate_population(write_nwb: Any, tmp_path: Path) -> None:
    path = write_nwb(trains(), trial_columns={"side": ["l", "r"] * 3})
    config = IngestConfig.model_validate({"resample": {"n_units": 20}})
    ingest.run(path, tmp_path / "r.zarr", config, name="mouse")
    built = targets.run(tmp_path / "r.zarr", tmp_path / "t.zarr", TargetsConfig(**WINDOW, condition_by=["side"]))
    assert built.n_units == 20
    assert built.units["source_unit_id"].nunique() <= 3
    for _, copies in built.units.groupby("source_unit_id"):
        assert (built.rate_hz[..., copies.index] == built.rate_hz[..., copies.index[:1]]).all()


def test_drive_through_a_simulated_curve(write_nwb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def curve(**neuron: Any) -> tuple[np.ndarray, np.ndarray]:
        asked.update(neuron)
        return np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 20.0])

    monkeypatch.setattr("fitrec.simulate.fi.white_noise_fi", curve)
    ingest.run(write_nwb(trains()), tmp_path / "r.zarr", IngestConfig(), name="x")
    config = TargetsConfig(**WINDOW, drive={"sigma": 0.3}, split={"test_fraction": 0.0})
    network = NetworkConfig(neuron={"tau_m_ms": 20.0, "t_ref_ms": 2.0})
    built = targets.run(tmp_path / "r.zarr", tmp_path / "t.zarr", config, network=network)
    assert (asked["tau_m_ms"], asked["refractory_steps"], asked["sigma"], asked["integration"]) == (20.0, 20, 0.3, "euler")
    assert built.drive is not None
    ordered = built.drive.ravel()[np.argsort(built.rate_hz.ravel())]
    assert (np.diff(ordered) >= 0).all()


def test_same_input_gives_the_same_bytes(write_nwb: Any, tmp_path: Path) -> None:
    path = write_nwb(trains())
    for name in ("a", "b"):
        ingest.run(path, tmp_path / name / "r.zarr", IngestConfig(), name="x")
        targets.run(tmp_path / name / "r.zarr", tmp_path / name / "t.zarr", TargetsConfig(**WINDOW))
    assert store.content_sha256(tmp_path / "a") == store.content_sha256(tmp_path / "b")


def bad_spikes(where: int, value: float) -> list[np.ndarray]:
    spikes = trains()
    spikes[1][where] = value
    return spikes


@pytest.mark.parametrize(
    ("nwb", "config", "sentence"),
    [
        ({"spike_times": None}, {}, "holds no units"),
        ({"spike_times": [None, None], "unit_columns": {"quality": ["a", "b"]}}, {}, "has no spike_times; it has quality"),
        ({"spike_times": bad_spikes(5, 13.9)}, {}, "unit 1 in .* are not sorted"),
        ({"spike_times": bad_spikes(0, -0.25)}, {}, r"unit 1 in .* has the negative time -0.25 s"),
        ({"spike_times": bad_spikes(7, np.nan)}, {}, "spike 7 of unit 1 in .* has time nan"),
        (
            {"spike_times": [np.rint(t * 30_000) for t in trains()]},
            {},
            r"look like samples, not seconds.* \(30000 Hz would fit\)",
        ),
        (
            {"spike_times": trains(), "obs_intervals": [[[0, 14]], [[0, 7]], [[0, 14]]]},
            {},
            "unit 1 in .* outside its obs_intervals",
        ),
        ({"spike_times": trains()}, {"nwb": {"trials": "stimuli"}}, r"no trial table 'stimuli'; it has trials \(6 rows\)"),
        ({"spike_times": [[], []]}, {}, "no unit of x is left: 2 left out for 'silent'"),
        ({"spike_times": trains()}, {"units": {"min_rate_hz": 1000}}, "no unit of x is left"),
        ({"spike_times": trains()}, {"units": {"columns": {"quality": ["good"]}}}, "no column 'quality'"),
    ],
)
def test_bad_nwb(write_nwb: Any, tmp_path: Path, nwb: dict[str, Any], config: dict[str, Any], sentence: str) -> None:
    path = write_nwb(**nwb)
    with pytest.raises(RecordingError, match=sentence) as caught:
        ingest.run(path, tmp_path / "out" / "r.zarr", IngestConfig(**config), name="x")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_not_nwb(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(3)
    (tmp_path / "a.txt").write_text("not at all")
    for name in ("a.h5", "a.txt"):
        with pytest.raises(RecordingError, match=r"not an NWB file|no format that fitrec knows"):
            ingest.run(tmp_path / name, tmp_path / "r.zarr", IngestConfig(format="nwb"), name="x")
    assert not (tmp_path / "r.zarr").exists()


def test_hdf5_that_says_it_is_nwb(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
    with pytest.raises(RecordingError, match="cannot be read as NWB"):
        ingest.run(tmp_path / "a.nwb", tmp_path / "r.zarr", IngestConfig(), name="x")


def test_truncated_hdf5(write_nwb: Any, tmp_path: Path) -> None:
    path = write_nwb(trains())
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(RecordingError, match="is truncated, as after an interrupted download"):
        ingest.run(path, tmp_path / "r.zarr", IngestConfig(), name="x")
    assert not (tmp_path / "r.zarr").exists()


def test_silent_unit_is_left_out_with_the_reason(write_nwb: Any, tmp_path: Path) -> None:
    # Unit 0 never fires; unit 1 fires between trials only.
    path = write_nwb([[], np.arange(2.5, 12, 2), *trains(2)])
    recording = ingest.run(path, tmp_path / "r.zarr", IngestConfig(), name="x")
    assert recording.excluded[["unit_id", "reason"]].to_numpy().tolist() == [[0, "silent"]]
    built = targets.run(tmp_path / "r.zarr", tmp_path / "t.zarr", TargetsConfig(**WINDOW))
    assert built.units["unit_id"].tolist() == [2, 3]
    assert built.excluded[["unit_id", "reason"]].to_numpy().tolist() == [[0, "silent"], [1, "silent in window"]]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"condition_by": ["choice"]}, "no column 'choice'"),
        ({"conditions": [{"name": "a", "where": ["choice == 1"]}]}, "no column 'choice'"),
        ({"align_to": "cue"}, "no column 'cue' to align to"),
        ({"conditions": [{"name": "late", "where": ["start_time > 100"]}]}, "condition late is empty"),
        ({"conditions": [{"name": "first", "where": ["start_time < 2"]}]}, "condition first has 1 trial"),
        ({"condition_by": ["start_time"]}, "condition 1 has 1 trial"),
        ({"bin_size_s": 0.3}, "bins of 0.3 s do not divide the window from 0 to 1 s"),
    ],
)
def test_bad_targets(write_nwb: Any, tmp_path: Path, config: dict[str, Any], sentence: str) -> None:
    ingest.run(write_nwb(trains()), tmp_path / "r.zarr", IngestConfig(), name="x")
    with pytest.raises(TargetsError, match=sentence) as caught:
        targets.run(tmp_path / "r.zarr", tmp_path / "out" / "t.zarr", TargetsConfig(**(WINDOW | config)))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["counts", "rates"])
def test_nan_in_arrays(tmp_path: Path, kind: str) -> None:
    values = np.ones((2, 5, 3))
    values[1, 2, 0] = np.nan
    np.savez(tmp_path / "a.npz", x=values)
    axes = ["trial", "time", "unit"] if kind == "counts" else ["condition", "time", "unit"]
    config = IngestConfig(arrays={"kind": kind, "axes": axes, "bin_size_s": 0.1})
    with pytest.raises(RecordingError, match=r"of unit 0 in (trial|condition) 1, bin 2 of .* is nan"):
        ingest.run(tmp_path / "a.npz", tmp_path / "r.zarr", config, name="x")


def test_output_exists(write_nwb: Any, tmp_path: Path) -> None:
    path = write_nwb(trains())
    ingest.run(path, tmp_path / "r.zarr", IngestConfig(), name="first")
    with pytest.raises(StoreError, match="exists already"):
        ingest.run(path, tmp_path / "r.zarr", IngestConfig(), name="second")
    assert store.load(tmp_path / "r.zarr", Recording).name == "first"
    assert ingest.run(path, tmp_path / "r.zarr", IngestConfig(), name="second", overwrite=True).name == "second"
    targets.run(tmp_path / "r.zarr", tmp_path / "t.zarr", TargetsConfig(**WINDOW))
    with pytest.raises(StoreError, match="exists already"):
        targets.run(tmp_path / "r.zarr", tmp_path / "t.zarr", TargetsConfig(**WINDOW))


@pytest.mark.parametrize(("code", "sentence"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only")])
def test_output_cannot_be_written(
    write_nwb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    path = write_nwb(trains())

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("zarr.Group.create_array", fail)
    (tmp_path / "out").mkdir()
    with pytest.raises(StoreError, match=sentence):
        ingest.run(path, tmp_path / "out" / "r.zarr", IngestConfig(), name="x")
    assert not list((tmp_path / "out").iterdir())


def test_targets_of_another_store(write_nwb: Any, tmp_path: Path) -> None:
    ingest.run(write_nwb(trains()), tmp_path / "r.zarr", IngestConfig(), name="x")
    targets.run(tmp_path / "r.zarr", tmp_path / "t.zarr", TargetsConfig(**WINDOW))
    with pytest.raises(FitrecError, match="holds a Targets; a Recording is wanted"):
        targets.run(tmp_path / "t.zarr", tmp_path / "u.zarr", TargetsConfig(**WINDOW))
    with pytest.raises(FitrecError, match="does not exist"):
        targets.run(tmp_path / "no.zarr", tmp_path / "u.zarr", TargetsConfig(**WINDOW))
