"""Targets of continuous fits: segments, held-out time, inputs, and recordings that cannot be cut."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fitrec.config.load import validate
from fitrec.config.targets import TargetsConfig
from fitrec.errors import ConfigError, TargetsError
from fitrec.targets.smoothing import smooth
from fitrec.targets.split import split_segments
from tests.tiny_continuous import DURATION_S, N_UNITS, make_targets, tiny_recording, tiny_segments


def test_segments_hold_the_spikes_of_their_time() -> None:
    recording, targets = tiny_recording(), tiny_segments()
    assert targets.is_continuous
    assert (len(targets.condition_names), targets.n_bins, targets.n_units) == (20, 100, 5)
    assert targets.condition_names[:3] == ["0 s", "2 s", "4 s"]
    assert targets.inputs["unit_id"].tolist() == [100, 101, 102, 103]
    assert targets.units["unit_id"].tolist() == [104, 105, 106, 107, 108]
    for column, unit in enumerate(range(4, N_UNITS)):
        times = recording.spike_times_s[recording.spike_indptr[unit] : recording.spike_indptr[unit + 1]]
        expected = np.histogram(times, np.linspace(0, DURATION_S, 2001))[0].reshape(20, 100)
        np.testing.assert_array_equal(targets.counts[:, :, column], expected)


def test_training_rates_know_nothing_of_held_out_time() -> None:
    """Changing every spike of the test segments changes no training target, and the other way round."""
    recording, targets = tiny_recording(), tiny_segments()
    in_test = targets.trial_is_test[np.minimum((recording.spike_times_s // 2).astype(int), 19)]
    owner = np.repeat(np.arange(N_UNITS), np.diff(recording.spike_indptr))
    kept = ~in_test | (owner < 4)  # the inputs stay
    fewer = tiny_recording(
        spike_times_s=recording.spike_times_s[kept], spike_indptr=np.cumsum([0, *np.bincount(owner[kept], minlength=N_UNITS)])
    )
    other = make_targets(recording=fewer)
    np.testing.assert_array_equal(other.trial_is_test, targets.trial_is_test)
    np.testing.assert_array_equal(other.rate_hz, targets.rate_hz)
    assert not other.rate_test_hz[targets.trial_is_test].any()
    test = targets.trial_is_test
    assert np.isnan(targets.rate_hz[test]).all()
    assert np.isfinite(targets.rate_hz[~test]).all()
    assert np.isfinite(targets.rate_test_hz[test]).all()
    assert np.isnan(targets.rate_test_hz[~test]).all()
    smoothed = smooth(targets.counts[~test] / 0.02, 0.02, "gaussian", 0.1, axis=1)
    np.testing.assert_allclose(targets.rate_hz[~test], smoothed)


def test_inputs_are_smoothed_over_the_borders_of_segments() -> None:
    recording, targets = tiny_recording(), tiny_segments()
    times = recording.spike_times_s[: recording.spike_indptr[1]]
    counts = np.histogram(times, np.linspace(0, DURATION_S, 2001))[0]
    np.testing.assert_allclose(targets.input_hz[:, :, 0].ravel(), smooth(counts / 0.02, 0.02, "gaussian", 0.1, axis=0))


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("n", [2, 3, 7, 20, 101])
def test_held_out_time_comes_in_blocks(n: int, fraction: float) -> None:
    is_test = split_segments(n, fraction, 4, 1)
    assert 0 < is_test.sum() < n
    if n > 20:
        assert is_test.mean() == pytest.approx(fraction, abs=0.03)
    begins = np.flatnonzero(np.diff(np.concatenate([[0], is_test.astype(int)])) == 1)
    assert len(begins) <= 4
    np.testing.assert_array_equal(is_test, split_segments(n, fraction, 4, 1))


def test_the_seed_moves_blocks_and_inputs() -> None:
    drawn = [make_targets({"input_where": None, "input_fraction": 0.4}, split={"test_fraction": 0.3, "seed": s}) for s in (1, 2)]
    assert [len(t.inputs) for t in drawn] == [4, 4]
    assert drawn[0].inputs["unit_id"].tolist() != drawn[1].inputs["unit_id"].tolist()
    assert (drawn[0].trial_is_test != drawn[1].trial_is_test).any()


def test_counts_of_one_long_trial_are_continuous_time() -> None:
    spikes = make_targets()
    whole = np.concatenate([np.zeros((2000, 4), np.uint8), spikes.counts.reshape(2000, 5)], axis=1)
    whole[::7, :4] = 1
    counts = tiny_recording(
        kind="counts", counts=whole[None], spike_times_s=None, spike_indptr=None, trials=pd.DataFrame(index=[0]),
        bin_size_s=0.02, t_start_s=0.0,
    )  # fmt: skip
    targets = make_targets(recording=counts)
    np.testing.assert_array_equal(targets.counts, spikes.counts)
    np.testing.assert_array_equal(targets.rate_hz, spikes.rate_hz)


def test_part_of_the_recording() -> None:
    targets = make_targets({"start_s": 10.0, "stop_s": 25.0})
    np.testing.assert_allclose(targets.segment_start_s, 10 + 2 * np.arange(7))
    np.testing.assert_array_equal(targets.counts, tiny_segments().counts[5:12])


def test_units_are_masked_where_they_were_not_recorded() -> None:
    """A segment is like the trials it overlaps; between trials like the nearest."""
    trials = pd.DataFrame({"start_time": [1.0, 15.0, 30.0], "stop_time": [5.0, 20.0, 39.0]})
    observed = np.ones((3, N_UNITS), bool)
    observed[1, [2, 6]] = False
    targets = make_targets(recording=tiny_recording(trials=trials, observed=observed))
    assert targets.inputs["unit_id"].tolist() == [100, 101, 103]  # an input with gaps is of no use, and not fitted either
    assert 102 in targets.excluded["unit_id"].tolist()
    column = targets.units["unit_id"].tolist().index(106)
    seen = targets.observed[:, column]
    np.testing.assert_array_equal(np.flatnonzero(~seen), np.arange(5, 13))  # 24 to 26 s is as near to either trial
    assert np.isnan(targets.rate_hz[~seen & ~targets.trial_is_test][:, :, column]).all()
    assert not targets.counts[~seen][:, :, column].any()


@pytest.mark.parametrize(
    ("continuous", "recording", "message"),
    [
        ({"segment_s": 2.03}, {}, r"segment_s = 2.03 s is not a whole number of bins of 0.02 s \(it holds 101.5\)"),
        ({"segment_s": 30.0}, {}, "long enough for 1 segment only, so no time is left to test on"),
        ({"segment_s": 60.0}, {}, "from 0 to 40 s of recording tiny holds no whole segment of 60 s"),
        ({"stop_s": 50.0}, {}, "asks for 0 to 50 s, but recording tiny goes from 0 to 40 s"),
        ({"input_where": ["area == nowhere"]}, {}, "no unit of tiny is left to drive the network: 0 fit area == nowhere"),
        ({"input_where": ["region == in"]}, {}, "the units have no column 'region'"),
        ({"input_where": ["unit_id >= 100"]}, {}, "no unit of tiny is left to be fitted: of 9, 9 drive the network"),
        ({"input_where": None, "input_fraction": 0.01}, {}, "input_fraction = 0.01 of the 9 units .* leaves 0"),
        ({}, {"kind": "counts", "counts": np.ones((3, 50, 9), np.uint8)}, "holds 3 separate trials and no continuous time"),
        ({}, {"kind": "rates", "rate_hz": np.ones((2, 50, 9))}, "holds rates of 2 conditions and no continuous time"),
    ],
)  # fmt: skip
def test_what_cannot_be_cut_is_refused(continuous: dict[str, Any], recording: dict[str, Any], message: str) -> None:
    if "counts" in recording:
        recording = {**recording, "spike_times_s": None, "spike_indptr": None, "bin_size_s": 0.02, "t_start_s": 0.0}
    if "rate_hz" in recording:
        recording = {**recording, "spike_times_s": None, "spike_indptr": None, "condition_names": ["a", "b"]}
    with pytest.raises(TargetsError, match=message):
        make_targets(continuous, tiny_recording(**recording))


def test_bins_must_be_given() -> None:
    with pytest.raises(TargetsError, match=r"give targets.bin_size_s in seconds"):
        make_targets(bin_size_s=None)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"continuous": {}, "condition_by": ["stim"]}, "continuous fits have no condition_by; leave them out"),
        ({"continuous": {"start_s": float("nan")}}, "continuous.start_s is nan, but must be a finite number"),
        ({"continuous": {"segment_s": 0}}, "continuous.segment_s is 0, but must be greater than 0"),
    ],
)
def test_contradictions_in_the_configuration(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(TargetsConfig, section, "fit.yaml")
