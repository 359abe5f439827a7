from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fitrec.errors import RecordingError
from fitrec.recordings import checks

IDS = np.array([7, 8])


def spike_times(times: list[float], split: int = 2, trials_end_s: float | None = None) -> None:
    checks.check_spike_times(np.array(times), np.array([0, split, len(times)]), IDS, "file", trials_end_s)


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        ([1.0, np.nan, 2.0], "spike 1 of unit 7 in file has time nan"),
        ([1.0, 2.0, np.inf], "spike 0 of unit 8 in file has time inf"),
        ([-0.5, 1.0, 2.0], "spike 0 of unit 7 in file has the negative time -0.5 s"),
        ([1.0, 2.0, 5.0, 4.0], "unit 8 in file are not sorted: spike 1 at 4 s follows one at 5 s"),
    ],
)
def test_bad_times_are_named(times: list[float], sentence: str) -> None:
    with pytest.raises(RecordingError, match=sentence):
        spike_times(times)


def test_good_times_pass() -> None:
    spike_times([1.0, 1.0, 0.5, 2.0])
    spike_times([], split=0)
    spike_times([1.0, 2.0], split=0, trials_end_s=10.0)
    # Whole seconds are unlikely, but a few of them prove nothing.
    spike_times([1.0, 2.0, 3.0, 4.0])


def test_samples_are_recognised() -> None:
    times = np.sort(np.random.default_rng(1).integers(0, 30_000 * 100, 400)).astype(float)
    with pytest.raises(RecordingError, match=r"look like samples, not seconds: all are whole numbers .* \(30000 Hz would fit\)"):
        spike_times(list(times), split=400, trials_end_s=99.0)
    with pytest.raises(RecordingError, match="all are whole numbers"):
        spike_times(list(times), split=400)
    with pytest.raises(RecordingError, match="divide them by the sampling rate"):
        spike_times(list(times + 0.25), split=400, trials_end_s=99.0)


def test_times_far_too_short_are_recognised() -> None:
    times = np.sort(np.random.default_rng(1).uniform(0, 0.01, 400))
    with pytest.raises(RecordingError, match=r"end at 0.00999026 s, but the last trial ends at 300 s"):
        spike_times(list(times), split=400, trials_end_s=300.0)
    with pytest.raises(RecordingError, match=r"unit 7 in file has 400 spikes in .* more than 1000 Hz"):
        spike_times(list(times), split=400)


def test_index_must_fit() -> None:
    with pytest.raises(RecordingError, match="index of the spike times"):
        checks.check_spike_times(np.zeros(3), np.array([0, 2, 4]), IDS, "file", None)


def test_units() -> None:
    with pytest.raises(RecordingError, match="holds no units"):
        checks.check_units(np.array([], np.int64), "file")
    with pytest.raises(RecordingError, match="unit id b occurs 2 times"):
        checks.check_units(np.array(["a", "b", "b"]), "file")


def test_trials() -> None:
    checks.check_trials(pd.DataFrame({"start_time": [0.0, np.nan, 4.0], "stop_time": [1.0, 2.0, np.nan]}), "file")
    with pytest.raises(RecordingError, match=r"trial 1 of file stops at 2.0 s, before it starts at 3.0 s"):
        checks.check_trials(pd.DataFrame({"start_time": [0.0, 3.0], "stop_time": [1.0, 2.0]}), "file")


@pytest.mark.parametrize("value", [np.nan, -1.0, 0.5, np.inf])
def test_counts_are_whole_numbers(value: float) -> None:
    counts = np.ones((2, 3, 2))
    counts[1, 2, 0] = value
    with pytest.raises(RecordingError, match="count of unit 7 in trial 1, bin 2 of file"):
        checks.check_counts(counts, IDS, "file")


@given(hnp.arrays(st.sampled_from([np.uint8, np.int16, np.int64]), (2, 3, 2), elements=st.integers(0, 100)))
def test_counts_keep_their_values(counts: Any) -> None:
    for given_as in (counts, counts.astype(np.float32)):
        checked = checks.check_counts(given_as, IDS, "file")
        assert checked.dtype == np.uint8
        np.testing.assert_array_equal(checked, counts)
    counts = counts.astype(np.int64)
    assert checks.check_counts(counts * 300, IDS, "file").dtype == (np.uint16 if counts.max() > 0 else np.uint8)


@pytest.mark.parametrize("value", [np.nan, -0.1, np.inf])
def test_rates_are_finite(value: float) -> None:
    rates = np.ones((2, 3, 2))
    rates[1, 0, 1] = value
    with pytest.raises(RecordingError, match="rate of unit 8 in condition right, bin 0 of file"):
        checks.check_rates(rates, ["left", "right"], IDS, "file")


@given(
    st.lists(st.integers(0, 40), max_size=20),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), max_size=5),
)
def test_inside_intervals(times: list[int], intervals: list[tuple[int, int]]) -> None:
    closed = np.array([[a, a + length] for a, length in intervals], float).reshape(-1, 2)
    expected = [any(a <= t <= b for a, b in closed) for t in times]
    assert checks.inside_intervals(np.array(times, float), closed).tolist() == expected
