"""Checkpoints: which are kept, which are passed over, when the training waits."""

import errno
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitrec.errors import StoreError, TrainingError
from fitrec.store import checkpoint_writer
from fitrec.store.checkpoint_writer import CheckpointWriter
from fitrec.store.checkpoints import Checkpoint, read_newest, remove_all, write_checkpoint


def checkpoint(loops: int = 1, **changes: Any) -> Checkpoint:
    fields = {"loops": loops, "identity": {}, "settings": {}, "values": {}, "arrays": {}}
    return Checkpoint(**{**fields, **changes})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_two_newest_are_kept(tmp_path: Path) -> None:
    for loops in (1, 2, 9, 10, 11):
        write_checkpoint(tmp_path, checkpoint(loops))
    assert names(tmp_path) == ["loop-000010.npz", "loop-000011.npz"]
    newest = read_newest(tmp_path, {}, {})
    assert newest is not None
    assert newest.loops == 11
    (tmp_path / "loop-000011.npz").unlink()
    earlier = read_newest(tmp_path, {}, {})
    assert earlier is not None
    assert earlier.loops == 10
    remove_all(tmp_path)
    assert names(tmp_path) == []


def test_a_damaged_one_takes_no_place(tmp_path: Path) -> None:
    """The training went on from loop 8 because 9 was damaged: 8 must not fall out for it."""
    for loops in (7, 8, 9):
        write_checkpoint(tmp_path, checkpoint(loops))
    (tmp_path / "loop-000012.npz").write_bytes(b"damaged")
    write_checkpoint(tmp_path, checkpoint(10))
    assert names(tmp_path) == ["loop-000009.npz", "loop-000010.npz"]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "not a zip", "another zip"])
def test_every_damage_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    for loops in (1, 2):
        arrays = {"a": np.full(1000, loops, np.float32), "empty": np.zeros((0, 3))}
        write_checkpoint(tmp_path, checkpoint(loops, identity={"x": "y"}, values={"r": [0.5, None]}, arrays=arrays))
    newest = tmp_path / "loop-000002.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes({"cut": content[:-600], "empty": b"", "not a zip": b"hello" * 100}.get(damage, bytes(content)))
    if damage == "another zip":
        np.savez(newest, allow_pickle=False, a=np.zeros(3))
    found = read_newest(tmp_path, {"x": "y"}, {})
    assert found is not None
    assert (found.loops, found.values) == (1, {"r": [0.5, None]})
    np.testing.assert_array_equal(found.arrays["a"], np.ones(1000, np.float32))
    assert found.arrays["empty"].shape == (0, 3)
    assert "loop-000002.npz is damaged" in caplog.text
    assert "whole" not in caplog.text
    (tmp_path / "loop-000001.npz").write_bytes(b"")
    assert read_newest(tmp_path, {"x": "y"}, {}) is None
    assert f"no checkpoint in {tmp_path} is whole; the training starts from the beginning" in caplog.text


def test_no_flipped_bit_changes_what_is_read(tmp_path: Path) -> None:
    """One bit of every byte in turn: the file is refused, or (time stamps, attributes) reads the same."""
    arrays = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "trials": np.array(5)}
    original = checkpoint(3, identity={"network": "n"}, settings={"train": {"rule": "rls"}}, values={"s": 1.5}, arrays=arrays)
    write_checkpoint(tmp_path, original)
    path = tmp_path / "loop-000003.npz"
    content = path.read_bytes()
    refused = 0
    rng = np.random.default_rng(1)
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        found = read_newest(tmp_path, original.identity, original.settings)
        if found is None:
            refused += 1
            continue
        assert (found.loops, found.identity, found.values) == (3, original.identity, original.values)
        assert found.arrays.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found.arrays[name], array)
            assert found.arrays[name].dtype == array.dtype
    assert refused > 0.7 * len(content)


def test_everything_that_differs_is_named(tmp_path: Path) -> None:
    settings = {"train": {"rule": "rls", "rls": {"loops": 4, "penalty": 0.04}, "ridge": {"forcing": [1.0, 0.0]}}}
    write_checkpoint(tmp_path, checkpoint(1, identity={"network": "a", "set of targets": "b"}, settings=settings))
    new = {"train": {"rule": "rls", "rls": {"loops": 5, "rank": 2, "penalty": 0.04}, "ridge": {"forcing": [1.0]}}}
    with pytest.raises(TrainingError) as caught:
        read_newest(tmp_path, {"network": "a", "set of targets": "c"}, new)
    assert str(caught.value) == (
        f"the checkpoint {tmp_path / 'loop-000001.npz'} was made with another set of targets, "
        "train.ridge.forcing = [1.0, 0.0] (now [1.0]), train.rls.loops = 4 (now 5), train.rls.rank = null (now 2); "
        f"train without --resume, or remove the folder {tmp_path} to start again"
    )


def test_the_training_waits_for_the_copy_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slow_disk(folder: Path, state: Checkpoint) -> None:
        assert go_on.wait(60)
        write_checkpoint(folder, state)
        found = read_newest(tmp_path, {}, {})
        assert found is not None
        written.append(found.arrays["a"].mean())

    written: list[float] = []
    monkeypatch.setattr(checkpoint_writer, "write_checkpoint", slow_disk)
    values = np.zeros(1000)
    with CheckpointWriter(tmp_path) as writer:
        writer.write(checkpoint(1, arrays={"a": values}))
        assert writer.busy
        values[:] = 7  # the training goes on
        go_on.set()
        writer.write(checkpoint(2, arrays={"a": values}))  # into the same memory, once the first is on the disk
        writer.wait()
        writer.write(checkpoint(3, arrays={"a": np.ones((2, 2)), "b": np.array(3)}))
        writer.wait()
        assert names(tmp_path) == ["loop-000002.npz", "loop-000003.npz"]
    assert written == [0.0, 7.0, 1.0]


def test_a_checkpoint_too_large_to_copy_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_writer, "_COPY_SHARE", 0.0)
    writer = CheckpointWriter(tmp_path)
    writer.write(checkpoint(1, arrays={"a": np.zeros(10)}))
    assert names(tmp_path) == ["loop-000001.npz"]


def stop_while_writing(folder: Path) -> None:
    with CheckpointWriter(folder) as writer:
        writer.write(checkpoint(5))
        raise TrainingError("unstable")


def test_a_full_disk_ends_the_training_and_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    write_checkpoint(tmp_path, checkpoint(1))
    monkeypatch.setattr(os, "fsync", fail)
    writer = CheckpointWriter(tmp_path)
    writer.write(checkpoint(2))
    with pytest.raises(StoreError, match=r"loop-000002.npz: the disk is full"):
        writer.write(checkpoint(3))
    with pytest.raises(StoreError, match=r"loop-000004.npz: the disk is full"), CheckpointWriter(tmp_path) as writer:
        writer.write(checkpoint(4))
    with pytest.raises(TrainingError, match="unstable"):  # what stopped the training is the one to be told
        stop_while_writing(tmp_path)
    assert names(tmp_path) == ["loop-000001.npz"]
