import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fitrec import store
from fitrec.errors import MissingFileError, StoreError
from fitrec.fields import array
from fitrec.recordings.recording import Recording


@dataclass(frozen=True, kw_only=True)
class Thing:
    name: str
    table: pd.DataFrame
    values: NDArray[Any] = array("time", "unit", units="Hz")
    labels: NDArray[Any] | None = array("unit", default=None)
    options: dict[str, Any] = field(default_factory=dict)
    size_s: float | None = None


def thing(**changes: Any) -> Thing:
    table = pd.DataFrame({"id": np.array([2**53 + 1, 7]), "area": ["MOp", "é"], "we/ird": [0.5, np.nan], "ok": [True, False]})
    return Thing(
        **{"name": "a", "table": table, "values": np.arange(6.0).reshape(3, 2), "options": {"a": [1, "b", None]}} | changes
    )


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "thing.zarr"
    saved = thing(labels=np.array(["x", ""]), size_s=0.1)
    store.save(path, saved, {"config_hash": "c", "source_sha256": "s", "n": np.int64(3)})
    loaded = store.load(path, Thing)
    np.testing.assert_array_equal(loaded.values, saved.values)
    assert loaded.labels is not None
    assert loaded.labels.tolist() == ["x", ""]
    pd.testing.assert_frame_equal(loaded.table, saved.table)
    assert (loaded.name, loaded.options, loaded.size_s) == ("a", {"a": [1, "b", None]}, 0.1)
    attributes = store.read_attributes(path)
    assert attributes["kind"] == "Thing"
    assert (attributes["config_hash"], attributes["n"], attributes["fitrec_version"]) == ("c", 3, "0.1.0")


def test_axes_and_units_are_named(tmp_path: Path) -> None:
    store.save(tmp_path / "t.zarr", thing(), {})
    group = zarr.open_group(tmp_path / "t.zarr", mode="r")
    values = group["values"]
    assert isinstance(values, zarr.Array)
    assert values.metadata.dimension_names == ("time", "unit")  # type: ignore[union-attr]
    assert values.attrs["units"] == "Hz"


def test_absent_arrays_stay_absent(tmp_path: Path) -> None:
    store.save(tmp_path / "t.zarr", thing(), {})
    assert not (tmp_path / "t.zarr" / "labels").exists()
    assert store.load(tmp_path / "t.zarr", Thing).labels is None


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int32, np.int64, np.float32, np.float64, np.bool_]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5),
    )
)
def test_any_array_survives(tmp_path_factory: pytest.TempPathFactory, values: NDArray[Any]) -> None:
    path = tmp_path_factory.mktemp("any") / "t.zarr"
    store.save(path, thing(values=values), {})
    loaded = store.load(path, Thing).values
    assert loaded.dtype == values.dtype
    np.testing.assert_array_equal(loaded, values)


def test_large_arrays_are_cut_into_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fitrec.store.codec._CHUNK_BYTES", 100)
    values = np.arange(400.0).reshape(100, 4)
    store.save(tmp_path / "t.zarr", thing(values=values), {})
    assert len(list((tmp_path / "t.zarr" / "values" / "c").iterdir())) > 10
    np.testing.assert_array_equal(store.load(tmp_path / "t.zarr", Thing).values, values)


def test_existing_store_is_kept_unless_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "t.zarr"
    store.save(path, thing(name="old"), {})
    with pytest.raises(StoreError, match="exists already"):
        store.save(path, thing(name="new"), {})
    assert store.load(path, Thing).name == "old"
    store.save(path, thing(name="new"), {}, overwrite=True)
    assert store.load(path, Thing).name == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["t.zarr"]


@pytest.mark.parametrize(
    ("code", "sentence"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "denied")]
)
def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    store.save(tmp_path / "t.zarr", thing(name="old"), {})
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match=sentence):
        store.save(tmp_path / "t.zarr", thing(name="new"), {}, overwrite=True)
    with pytest.raises(StoreError, match=sentence):
        store.write_json(tmp_path / "a.json", {})
    assert [p.name for p in tmp_path.iterdir()] == ["t.zarr"]
    assert store.load(tmp_path / "t.zarr", Thing).name == "old"


def test_failing_move_restores_the_old_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(tmp_path / "t.zarr", thing(name="old"), {})
    rename = os.rename

    def fail(source: Path, target: Path) -> None:
        if str(source).endswith(".tmp"):
            raise OSError(errno.EIO, "input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(StoreError, match="input/output error"):
        store.save(tmp_path / "t.zarr", thing(name="new"), {}, overwrite=True)
    assert store.load(tmp_path / "t.zarr", Thing).name == "old"


def test_output_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*is a file, not a folder"):
        store.save(tmp_path / "file" / "t.zarr", thing(), {})


def test_missing_store(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        store.load(tmp_path / "no.zarr", Thing)


def test_another_kind(tmp_path: Path) -> None:
    store.save(tmp_path / "t.zarr", thing(), {})
    with pytest.raises(StoreError, match="holds a Thing; a Recording is wanted"):
        store.load(tmp_path / "t.zarr", Recording)


def test_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        with pytest.raises(StoreError, match="not a store"):
            store.load(tmp_path / name, Thing)


def test_foreign_zarr_group(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "t.zarr")
    with pytest.raises(StoreError, match="unknown origin"):
        store.load(tmp_path / "t.zarr", Thing)


@pytest.mark.filterwarnings("ignore:Object at values")
@pytest.mark.parametrize("harm", ["remove", "truncate", "remove metadata"])
def test_damage_is_named(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "t.zarr"
    store.save(path, thing(), {})
    chunk = path / "values" / "c" / "0" / "0"
    if harm == "remove":
        chunk.unlink()
    elif harm == "truncate":
        chunk.write_bytes(chunk.read_bytes()[:9])
    else:
        (path / "values" / "zarr.json").unlink()
    with pytest.raises(StoreError, match="damaged"):
        store.load(path, Thing)


@pytest.mark.filterwarnings("error")
def test_snakemake_timestamp_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "t.zarr"
    store.save(path, thing(), {})
    before = store.content_sha256(path)
    (path / ".snakemake_timestamp").touch()
    assert store.load(path, Thing).name == "a"
    assert store.content_sha256(path) == before


def test_content_hash(tmp_path: Path) -> None:
    for name, changes in {"a": {}, "b": {}, "c": {"name": "other"}}.items():
        store.save(tmp_path / name, thing(**changes), {})
    assert store.content_sha256(tmp_path / "a") == store.content_sha256(tmp_path / "b")
    assert store.content_sha256(tmp_path / "a") != store.content_sha256(tmp_path / "c")
    (tmp_path / "empty").touch()
    assert store.file_sha256(tmp_path / "empty") == store.content_sha256(tmp_path / "empty")
    assert store.file_sha256(tmp_path / "empty").startswith("e3b0c44298fc1c14")
    with pytest.raises(MissingFileError):
        store.file_sha256(tmp_path / "no")
    assert store.json_sha256({"a": 1, "b": 2}) == store.json_sha256({"b": 2, "a": 1})


def test_text_files(tmp_path: Path) -> None:
    store.write_text(tmp_path / "a.txt", "é")
    store.write_text(tmp_path / "a.txt", "è")
    store.write_json(tmp_path / "a.json", {"x": 1})
    store.write_csv(tmp_path / "a.csv", pd.DataFrame({"x": [1.5, np.nan]}))
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "è"
    assert (tmp_path / "a.json").read_text() == '{\n  "x": 1\n}\n'
    assert (tmp_path / "a.csv").read_text() == 'x\n1.5\n""\n'
    with pytest.raises(ValueError, match="JSON"):
        store.write_json(tmp_path / "nan.json", float("nan"))


def test_values_that_cannot_be_stored(tmp_path: Path) -> None:
    for changes in ({"values": np.zeros(3)}, {"labels": np.array([object()], object)}, {"options": {"a": object()}}):
        with pytest.raises(TypeError):
            store.save(tmp_path / "t.zarr", thing(**changes), {})
    assert list(tmp_path.iterdir()) == []
