from typing import Any

import numpy as np
import pandas as pd
import pytest

from fitrec.errors import TargetsError
from fitrec.recordings.recording import Recording, exclusion_table
from fitrec.targets.build import TargetOptions, build_targets
from fitrec.targets.smoothing import smooth
from fitrec.targets.targets import Targets

RNG = np.random.default_rng(1)
N_TRIALS, N_TIME, N_UNITS = 20, 30, 4
UNITS = pd.DataFrame({"unit_id": [3, 1, 4, 5], "area": [""] * 4})
TRIALS = pd.DataFrame({"side": ["l", "r"] * 10})


def counts_recording(**changes: Any) -> Recording:
    fields: dict[str, Any] = {
        "name": "x", "kind": "counts", "units": UNITS, "excluded": exclusion_table([9], ["low rate"], ["0 Hz"]), "trials": TRIALS,
        "counts": RNG.poisson(0.5, (N_TRIALS, N_TIME, N_UNITS)).astype(np.uint8), "bin_size_s": 0.01, "t_start_s": -0.1,
    }  # fmt: skip
    return Recording(**(fields | changes))


def build(recording: Recording, **options: Any) -> Targets:
    return build_targets(recording, TargetOptions(**options))


def test_counts_and_rates_belong_together() -> None:
    recording = counts_recording()
    targets = build(recording, condition_by=["side"], smoothing={"kernel": "gaussian", "width_s": 0.02})
    assert targets.condition_names == ["l", "r"]
    np.testing.assert_array_equal(targets.counts, recording.counts)
    np.testing.assert_allclose(targets.bin_edges_s, np.arange(-10, 21) / 100)
    assert targets.bin_size_s == pytest.approx(0.01)
    assert targets.counts is not None
    assert targets.trial_is_test is not None
    assert targets.trial_condition is not None
    assert targets.rate_test_hz is not None
    assert targets.trial_is_test.sum() == 10
    for rate_hz, use in ((targets.rate_hz, ~targets.trial_is_test), (targets.rate_test_hz, targets.trial_is_test)):
        mean = targets.counts[use & (targets.trial_condition == 1)].mean(axis=0) / 0.01
        np.testing.assert_allclose(rate_hz[1], smooth(mean, 0.01, "gaussian", 0.02, 0))


def test_window_and_wider_bins() -> None:
    recording = counts_recording()
    targets = build(recording, window_s=(-0.04, 0.16), bin_size_s=0.05)
    assert recording.counts is not None
    assert targets.counts is not None
    np.testing.assert_array_equal(targets.counts.sum(axis=1), recording.counts[:, 6:26].sum(axis=1))
    np.testing.assert_allclose(targets.bin_edges_s, [-0.04, 0.01, 0.06, 0.11, 0.16])


def test_trials_without_condition_are_left_out() -> None:
    targets = build(counts_recording(), rules={"right": ["side == r"]})
    assert targets.trial_id is not None
    assert targets.counts is not None
    assert targets.trial_id.tolist() == list(range(1, 20, 2))
    assert len(targets.counts) == 10


def test_all_trials_for_training() -> None:
    targets = build(counts_recording(), test_fraction=0.0)
    assert targets.rate_test_hz is None
    assert targets.trial_is_test is not None
    assert not targets.trial_is_test.any()


def test_held_out_units() -> None:
    assert build(counts_recording(), held_out_units=0.5).units["held_out"].sum() == 2
    assert not build(counts_recording()).units["held_out"].any()


def test_silent_unit_is_left_out_with_the_reason() -> None:
    recording = counts_recording()
    assert recording.counts is not None
    recording.counts[:, 10:, 1] = 0
    targets = build(recording, window_s=(0.0, 0.2))
    assert targets.units["unit_id"].tolist() == [3, 4, 5]
    assert targets.excluded["unit_id"].tolist() == [9, 1]
    assert targets.excluded["reason"].tolist() == ["low rate", "silent in window"]
    assert targets.rate_hz.shape[2] == 3


def test_no_unit_left() -> None:
    with pytest.raises(TargetsError, match="no unit of x is left: 4 are silent"):
        build(counts_recording(counts=np.zeros((N_TRIALS, N_TIME, N_UNITS), np.uint8)))


def test_missing_trials() -> None:
    observed = np.ones((N_TRIALS, N_UNITS), np.bool_)
    observed[:5, 0] = False  # some trials missing
    observed[1::2, 2] = False  # no trial of condition r
    recording = counts_recording(observed=observed)
    assert recording.counts is not None
    recording.counts[~observed.repeat(N_TIME, 0).reshape(N_TRIALS, N_TIME, N_UNITS)] = 0
    targets = build(recording, condition_by=["side"])
    assert targets.units["unit_id"].tolist() == [3, 1, 5]
    assert targets.excluded["reason"].tolist() == ["low rate", "no trials"]
    assert np.isfinite(targets.rate_hz).all()
    assert targets.trial_is_test is not None
    assert targets.observed is not None
    use = ~targets.trial_is_test & (targets.trial_condition == 0) & targets.observed[:, 0]
    assert targets.counts is not None
    np.testing.assert_allclose(targets.rate_hz[0, :, 0], targets.counts[use, :, 0].mean(axis=0) / 0.01)


def spikes_recording(**changes: Any) -> Recording:
    times = [np.sort(RNG.uniform(0, 50, 500)) for _ in range(N_UNITS)]
    trials = TRIALS.assign(start_time=np.arange(20) * 2.0 + 1, stop_time=np.arange(20) * 2.0 + 2)
    fields: dict[str, Any] = {
        "name": "x", "kind": "spikes", "units": UNITS, "excluded": exclusion_table(),
        "trials": trials.assign(go=trials["start_time"] + 0.3), "spike_times_s": np.concatenate(times),
        "spike_indptr": np.arange(N_UNITS + 1) * 500,
    }  # fmt: skip
    return Recording(**(fields | changes))


def test_spikes_are_aligned() -> None:
    recording = spikes_recording()
    targets = build(recording, align_to="go", window_s=(-0.2, 0.3), bin_size_s=0.1)
    assert recording.spike_times_s is not None
    assert targets.counts is not None
    first = recording.spike_times_s[:500]
    start = recording.trials["go"][7] - 0.2
    expected = [((first >= start + k * 0.1) & (first < start + (k + 1) * 0.1)).sum() for k in range(5)]
    assert targets.counts[7, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "holds spike times: give window_s and bin_size_s"),
        ({"window_s": (0.0, 1.0), "bin_size_s": 0.3}, "do not divide the window"),
        (
            {"window_s": (0.0, 1.0), "bin_size_s": 0.1, "align_to": "cue"},
            "have no column 'cue' to align to; they have side, start_time",
        ),
        (
            {"window_s": (-2.0, 1.0), "bin_size_s": 0.1},
            r"window of trial 0 of x, -1 to 2 s, reaches beyond the recording \(0 to ",
        ),
        ({"window_s": (0.0, 20.0), "bin_size_s": 0.1}, "reaches beyond the recording"),
    ],
)
def test_windows_that_do_not_fit(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TargetsError, match=sentence):
        build(spikes_recording(), **options)


def test_unobserved_trials_are_no_zeros() -> None:
    observed = np.ones((20, N_UNITS), np.bool_)
    observed[:8, 0] = False
    recording = spikes_recording(observed=observed)
    targets = build(recording, window_s=(0.0, 1.0), bin_size_s=1.0, test_fraction=0.0)
    assert targets.counts is not None
    assert targets.counts[:8, 0, 0].tolist() == [0] * 8
    assert targets.rate_hz[0, 0, 0] == pytest.approx(targets.counts[8:, 0, 0].mean())


def test_event_missing_in_a_trial() -> None:
    recording = spikes_recording()
    recording.trials.loc[3, "go"] = np.nan
    options: dict[str, Any] = {"align_to": "go", "window_s": (0.0, 0.5), "bin_size_s": 0.1}
    with pytest.raises(TargetsError, match="1 trials of x, the first of them trial 3, have no time in column 'go'"):
        build(recording, **options)
    targets = build(recording, **options, rules={"a": ["go > 0"]})
    assert targets.trial_id is not None
    assert 3 not in targets.trial_id


def rates_recording() -> Recording:
    rate_hz = RNG.uniform(1, 10, (2, N_TIME, N_UNITS))
    return counts_recording(kind="rates", counts=None, trials=pd.DataFrame(), rate_hz=rate_hz, condition_names=["l", "r"])


def test_rates_become_targets() -> None:
    recording = rates_recording()
    kernel = {"kernel": "boxcar", "width_s": 0.05}
    assert recording.rate_hz is not None
    targets = build(recording, smoothing=kernel, already_smoothed=True)
    np.testing.assert_allclose(targets.rate_hz, recording.rate_hz)
    assert targets.smoothing == kernel
    assert targets.counts is None
    assert targets.trial_condition is None
    np.testing.assert_allclose(build(recording, smoothing=kernel).rate_hz, smooth(recording.rate_hz, 0.01, "boxcar", 0.05, 1))
    wider = build(recording, window_s=(0.0, 0.2), bin_size_s=0.05).rate_hz
    np.testing.assert_allclose(wider[:, 1], recording.rate_hz[:, 15:20].mean(axis=1))


def test_rates_have_no_trials_to_pool() -> None:
    with pytest.raises(TargetsError, match="no trials to pool"):
        build(rates_recording(), condition_by=["side"])
