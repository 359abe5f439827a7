"""Trials of the tasks with compiled neurons: evidence accumulation, N-MNIST files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fitrec.errors import MissingFileError, RecordingError
from fitrec.kernels.cpu import bernoulli as cpu
from fitrec.kernels.reference import bernoulli as reference
from fitrec.tasks import evidence as task
from fitrec.tasks.nmnist_files import INPUTS, find_samples, move, read_events


def test_bernoulli_draws_equal_the_reference() -> None:
    probability = np.random.default_rng(1).random((30, 7))
    found, wanted = (form.bernoulli(probability, 5, 3) for form in (cpu, reference))
    np.testing.assert_array_equal(found, wanted)
    assert reference.TASK_INPUT == cpu.TASK_INPUT
    assert (cpu.bernoulli(probability, 6, 3) != found).any()
    np.testing.assert_array_equal(cpu.bernoulli(probability[:13], 5, 3), found[:13])


def test_a_trial_of_evidence() -> None:
    trial = task.evidence(3, 1)
    assert trial.spikes.shape == (2200, 100)
    np.testing.assert_array_equal(task.evidence(3, 1).spikes, trial.spikes)
    left, right, recall, noise = np.split(trial.spikes, 4, axis=1)
    for k, is_left in enumerate(trial.cues):
        gap, cue = slice(150 * k, 150 * k + 50), slice(150 * k + 50, 150 * k + 150)
        assert not left[gap].any()
        assert not right[gap].any()
        assert (left[cue].sum() > 60, right[cue].sum() > 60) == (is_left, not is_left)  # 100 are expected
    assert not trial.spikes[1050:2050, :75].any()
    assert recall[2050:].sum() > 100
    assert not recall[:2050].any()
    assert noise.mean() == pytest.approx(0.01, rel=0.2)
    assert trial.label == (trial.cues.sum() > 3)


def test_sides_and_cues_have_their_probabilities() -> None:
    trials = [task.evidence(k, 2) for k in range(200)]
    share = np.array([trial.cues.mean() for trial in trials])
    assert np.mean([trial.label for trial in trials]) == pytest.approx(0.5, abs=0.1)
    # A mixture of two binomials: the variance of the share is 0.3 0.7 / 7 + 0.2^2.
    assert share.mean() == pytest.approx(0.5, abs=0.06)
    assert share.var() == pytest.approx(0.07, rel=0.2)


def write_sample(path: Path, events: list[tuple[int, int, int, int]]) -> Path:
    rows = [(x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255) for x, y, p, t in events]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.array(rows, np.uint8).tofile(path)
    return path


def test_events_are_read(tmp_path: Path) -> None:
    events = [(3, 2, 1, 70000), (0, 0, 0, 10), (0, 0, 0, 20), (33, 33, 1, 336040)]
    step, pixel = read_events(write_sample(tmp_path / "a.bs2", events), 300)
    np.testing.assert_array_equal(step, [0, 62, 299])  # 62.5 is rounded to the even
    np.testing.assert_array_equal(pixel, [0, 34 * 34 + 2 * 34 + 3, INPUTS - 1])


def test_events_are_moved() -> None:
    step, pixel = np.array([0, 3, 5]), np.array([5 * 34 + 7, 34 * 34 + 2, 33 * 34 + 33], np.int32)
    moved_step, moved = move(step, pixel, 1, -2)
    np.testing.assert_array_equal(moved_step, [0])  # the second leaves at the top, the third at the right
    np.testing.assert_array_equal(moved, [3 * 34 + 8])
    np.testing.assert_array_equal(move(step, pixel, -2, 0)[1], [5 * 34 + 5, 34 * 34, 33 * 34 + 31])
    np.testing.assert_array_equal(move(step, pixel, 0, 0)[1], pixel)


def test_both_layouts_are_found(tmp_path: Path) -> None:
    small, full = tmp_path / "small", tmp_path / "full"
    for number in (1, 2, 60001):
        write_sample(small / f"{number}.bs2", [(0, 0, 0, 0)])
    (small / "train1K.txt").write_text("#sample #class\n1\t5\n2\t0\n3\t4\n")
    (small / "test100.txt").write_text("#sample #class\n60001\t7\n")
    found = find_samples(small)
    assert [(s.path.name, s.digit) for s in found.train] == [("1.bs2", 5), ("2.bs2", 0)]
    assert [(s.path.name, s.digit) for s in found.test] == [("60001.bs2", 7)]
    for name in ("Train/3/00001.bin", "Train/0/00002.bin", "Test/9/00001.bin"):
        write_sample(full / name, [(0, 0, 0, 0)])
    found = find_samples(full)
    assert [(s.path.name, s.digit) for s in found.train] == [("00002.bin", 0), ("00001.bin", 3)]
    assert [s.digit for s in found.test] == [9]


def test_broken_samples_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.bs2").write_bytes(b"1234567")
    with pytest.raises(RecordingError, match="has 7 bytes, which is no whole number of events"):
        read_events(tmp_path / "cut.bs2", 300)
    with pytest.raises(RecordingError, match=r"event 1 has x = 3, y = 34 and 5 us"):
        read_events(write_sample(tmp_path / "other.bs2", [(1, 1, 0, 1), (3, 34, 0, 5)]), 300)
    with pytest.raises(MissingFileError, match=r"neither train1K\.txt nor a folder Train"):
        find_samples(tmp_path)
    (tmp_path / "train1K.txt").write_text("cut 5\n")
    with pytest.raises(RecordingError, match=r"train1K.txt, line 1: 'cut 5' is no sample number and class"):
        find_samples(tmp_path)
    write_sample(tmp_path / "7.bs2", [(1, 1, 0, 1)])
    (tmp_path / "train1K.txt").write_text("7 5\n")
    (tmp_path / "test100.txt").write_text("7 5\n")
    with pytest.raises(RecordingError, match="listed both for training and for test"):
        find_samples(tmp_path)
    (tmp_path / "test100.txt").write_text("")
    with pytest.raises(MissingFileError, match="no test samples"):
        find_samples(tmp_path)


@pytest.mark.realdata
def test_the_small_set(dataset: Callable[[str], Path]) -> None:
    samples = find_samples(dataset("nmnist_small"))
    assert (len(samples.train), len(samples.test)) == (200, 100)
    assert {sample.digit for sample in samples.train} == {sample.digit for sample in samples.test} == set(range(10))
    for sample in (samples.train[0], samples.test[0]):
        step, pixel = read_events(sample.path, 300)
        assert step.size > 1000
        assert step.max() < 300
        assert pixel.max() < INPUTS
