import itertools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitrec.errors import MissingFileError, RecordingError
from fitrec.recordings.arrays import ArrayLayout, read_arrays
from fitrec.recordings.read import detect_format, read
from fitrec.recordings.recording import Recording

RNG = np.random.default_rng(1)
COUNTS = RNG.poisson(1.0, (4, 5, 3)).astype(np.uint8)  # trial, time, unit


def npz(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "file.npz"
    np.savez(path, **arrays)
    return path


def load(source: Any, **layout: Any) -> Recording:
    return read_arrays(source, ArrayLayout(**({"bin_size_s": 0.01} | layout)), "x")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("suffix", ["npz", "npy", "h5"])
def test_axes_in_any_order(tmp_path: Path, order: tuple[int, ...], suffix: str) -> None:
    path = tmp_path / f"file.{suffix}"
    stored = COUNTS.transpose(order)
    if suffix == "npz":
        np.savez(path, x=stored)
    elif suffix == "npy":
        np.save(path, stored)
    else:
        with h5py.File(path, "w") as file:
            file["group/x"] = stored
            file["group/other"] = np.zeros(3)
    recording = load(path, axes=[["trial", "time", "unit"][i] for i in order])
    assert recording.counts is not None
    np.testing.assert_array_equal(recording.counts, COUNTS)
    assert len(recording.trials) == 4
    assert recording.units["unit_id"].tolist() == [0, 1, 2]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 30), st.permutations(["trial", "unit", "time"]))
def test_packed_bits(tmp_path: Path, n_time: int, axes: list[str]) -> None:
    bits = RNG.integers(0, 2, (3, 2, n_time), np.uint8)  # trial, unit, time
    stored = bits.transpose([["trial", "unit", "time"].index(a) for a in axes])
    path = npz(tmp_path, x=np.packbits(stored, axis=axes.index("time")))
    recording = load(path, axes=axes, packed_bits=True, n_time=n_time)
    assert recording.counts is not None
    np.testing.assert_array_equal(recording.counts, bits.transpose(0, 2, 1))


def test_conditions_with_missing_trials(tmp_path: Path) -> None:
    stored = np.ones((2, 3, 4, 5))  # unit, condition, trial, time
    n_trials = np.array([[4, 2, 3], [4, 4, 3]])
    path = npz(tmp_path, x=stored, n=n_trials, c=["a", "b", "c"], u=["u1", "u2"], start=np.arange(12).reshape(3, 4))
    recording = load(
        path, key="x", axes=["unit", "condition", "trial", "time"], n_trials_key="n", condition_key="c", unit_id_key="u",
        trial_columns={"start": "start"},
    )  # fmt: skip
    assert recording.counts is not None
    assert recording.observed is not None
    # The fourth trial of c was recorded by nobody and is gone.
    assert recording.trials["condition"].tolist() == ["a"] * 4 + ["b"] * 4 + ["c"] * 3
    assert recording.trials["trial"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]
    assert recording.trials["start"].tolist() == list(range(11))
    assert recording.observed.all(axis=0).tolist() == [False, True]
    assert np.flatnonzero(~recording.observed[:, 0]).tolist() == [6, 7]
    assert recording.counts[6:8, :, 0].sum() == 0
    assert recording.units["unit_id"].tolist() == ["u1", "u2"]


def test_counts_that_were_not_cut_into_trials(tmp_path: Path) -> None:
    counts = np.arange(60, dtype=np.uint8).reshape(3, 20)
    recording = load(npz(tmp_path, spikes=counts), axes=["unit", "time"], bin_size_s=0.1)
    np.testing.assert_array_equal(recording.counts, counts.T[None])
    assert len(recording.trials) == 1


def test_columns(tmp_path: Path) -> None:
    path = npz(
        tmp_path, x=COUNTS, area=np.array([b"V1", b"", b"LM"]), depth=[[1.0], [2.0], [3.0]], choice=[1, -1, 1, -1], ids=[5, 9, 2]
    )
    recording = load(
        path, key="x", axes=["trial", "time", "unit"], unit_columns={"area": "area", "depth": "depth"},
        trial_columns={"response": "choice"}, unit_id_key="ids", n_time=3, t_start_s=-0.02,
    )  # fmt: skip
    assert recording.units["area"].tolist() == ["V1", "", "LM"]
    assert recording.units["depth"].tolist() == [1.0, 2.0, 3.0]
    assert recording.units["unit_id"].tolist() == [5, 9, 2]
    assert recording.trials["response"].tolist() == [1, -1, 1, -1]
    assert recording.counts is not None
    np.testing.assert_array_equal(recording.counts, COUNTS[:, :3])
    assert (recording.bin_size_s, recording.t_start_s) == (0.01, -0.02)


def test_rates_from_one_file_per_condition(tmp_path: Path) -> None:
    files = {}
    for i, name in enumerate(["left", "right"]):
        files[name] = tmp_path / f"{name}.jld"
        with h5py.File(files[name], "w") as file:
            file["Pyr"] = np.full((5, 3), float(i))
            file["_creator/WORD_SIZE"] = 64
    recording = load(files, kind="rates", axes=["time", "unit"])
    assert recording.rate_hz is not None
    assert recording.rate_hz.shape == (2, 5, 3)
    assert recording.rate_hz[:, 0, 0].tolist() == [0.0, 1.0]
    assert recording.condition_names == ["left", "right"]
    np.save(tmp_path / "odd.npy", np.zeros((4, 3)))
    with pytest.raises(RecordingError, match=r"odd.npy holds 4 bins x 3 units, .*left.jld 5 x 3"):
        load(files | {"odd": tmp_path / "odd.npy"}, kind="rates", axes=["time", "unit"])


def test_rates_from_one_file(tmp_path: Path) -> None:
    recording = load(
        npz(tmp_path, x=np.ones((3, 2, 5)), c=["a", "b"]), kind="rates", axes=["unit", "condition", "time"], condition_key="c"
    )
    assert recording.rate_hz is not None
    assert recording.rate_hz.shape == (2, 5, 3)
    assert recording.condition_names == ["a", "b"]
    assert recording.trials.empty


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        ({"bin_size_s": None}, "bin width of recording x is not known"),
        ({"key": "y"}, r"has no array 'y'; it has x \(4, 5, 3\), vector \(4,\)"),
        ({"key": "vector"}, "has shape .* numbers with 3 axes"),
        ({"axes": ["trial", "time"]}, "axes must name the axes trial, unit, time"),
        ({"axes": ["unit", "time"], "kind": "rates"}, "axes must name the axes unit, time, condition"),
        ({"n_time": 9}, "has 3 time bins, fewer than arrays.n_time = 9"),
        ({"packed_bits": True}, "packed bits .* need type uint8 .* and arrays.n_time"),
        ({"unit_columns": {"a": "vector"}}, r"array 'vector' of .* has shape \(4,\), but \(5,\) is wanted"),
        ({"unit_columns": {"unit_id": "vector"}, "axes": ["unit", "trial", "time"]}, "cannot hold unit_id"),
        ({"n_trials_key": "vector"}, "must name an axis 'condition'"),
        ({"kind": "rates", "packed_bits": True}, "are for counts on trials"),
    ],
)
def test_layouts_that_do_not_fit(tmp_path: Path, layout: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecordingError, match=sentence):
        load(npz(tmp_path, x=COUNTS, vector=np.arange(4)), **layout)


def test_ambiguous_array(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="has 2 arrays with 3 axes; name the one to read"):
        load(npz(tmp_path, x=COUNTS, y=COUNTS))
    with pytest.raises(RecordingError, match="has no arrays with 3 axes"):
        load(npz(tmp_path, x=np.zeros(3)))


def test_too_many_trials_claimed(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="counts up to 9 trials, but only 2 are stored"):
        load(
            npz(tmp_path, x=np.zeros((1, 1, 2, 3)), n=[[9]]),
            key="x",
            axes=["unit", "condition", "trial", "time"],
            n_trials_key="n",
        )


def test_float_ids(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"unit ids in 'u' of .* are floating-point"):
        load(npz(tmp_path, x=COUNTS, u=np.zeros(5)), key="x", unit_id_key="u")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = npz(tmp_path, x=COUNTS, y=np.array([{}], object))
    with pytest.raises(RecordingError, match=r"array 'y' of .* cannot be read"):
        load(path, key="x", unit_columns={"y": "y"})
    np.save(tmp_path / "pickled.npy", np.array([{}], object))
    with pytest.raises(RecordingError, match="pickled objects"):
        load(tmp_path / "pickled.npy")


def test_object_references(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.mat", "w") as file:
        file["x"] = COUNTS
        file["cells"] = np.array([file["x"].ref] * 5, h5py.ref_dtype)
    with pytest.raises(RecordingError, match="holds objects"):
        load(tmp_path / "file.mat", key="x", unit_columns={"area": "cells"})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"hello world", "begins with b'hello wo'"),
        (b"MATLAB 5.0 MAT-file", "older than v7.3"),
        (b"PK\x03\x04 broken", "is damaged or holds pickled objects"),
        (b"\x89HDF\r\n\x1a\n broken", "cannot be opened as HDF5"),
    ],
)
def test_unknown_and_damaged_files(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=sentence):
        read(path, name="x", layout=ArrayLayout(bin_size_s=0.1))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        read(tmp_path / "no.nwb", name="x")
    with pytest.raises(RecordingError, match="is a folder"):
        read(tmp_path, name="x")
    with pytest.raises(RecordingError, match="names no files"):
        read({}, name="x")


def test_format_is_told_by_content(tmp_path: Path, write_nwb: Any) -> None:
    assert detect_format(write_nwb([[1.0]])) == "nwb"
    assert detect_format(npz(tmp_path, x=COUNTS)) == "arrays"
    with h5py.File(tmp_path / "file.nwb", "w") as file:
        file["x"] = COUNTS
    assert detect_format(tmp_path / "file.nwb") == "arrays"
