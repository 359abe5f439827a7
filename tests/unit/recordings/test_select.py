from typing import Any

import numpy as np
import pandas as pd
import pytest

from fitrec.errors import RecordingError
from fitrec.recordings.recording import Recording, exclusion_table
from fitrec.recordings.select import REASONS, mean_rate_hz, resample_units, select_units


def counts_recording(observed: Any = None) -> Recording:
    """Four units on 10 trials of 10 bins of 0.1 s: 10 Hz, silent, 1 Hz in the first trial only, 1 Hz."""
    counts = np.zeros((10, 10, 4), np.uint8)
    counts[:, :, 0] = 1
    counts[0, :, 2] = 1
    counts[:, 0, 3] = 1
    units = pd.DataFrame(
        {"unit_id": [11, 12, 13, 14], "area": ["V1", "V1", "LM", "V1"], "quality": ["good", "good", "mua", "good"]}
    )
    return Recording(
        name="x", kind="counts", units=units, excluded=exclusion_table(), trials=pd.DataFrame(index=range(10)), counts=counts,
        bin_size_s=0.1, t_start_s=0.0, observed=observed,
    )  # fmt: skip


def spikes_recording() -> Recording:
    times = [np.arange(0, 100, 0.5) + 0.1, np.array([]), np.arange(0, 10, 0.05) + 0.1]
    return Recording(
        name="x", kind="spikes", units=pd.DataFrame({"unit_id": ["a", "b", "c"], "area": [""] * 3}), excluded=exclusion_table(),
        trials=pd.DataFrame({"start_time": [0.0], "stop_time": [100.0]}), spike_times_s=np.concatenate(times),
        spike_indptr=np.cumsum([0, *[len(t) for t in times]]),
    )  # fmt: skip


def ids(recording: Recording) -> list[Any]:
    return recording.units["unit_id"].tolist()


def reasons(recording: Recording) -> dict[Any, str]:
    return dict(zip(recording.excluded["unit_id"], recording.excluded["reason"], strict=True))


@pytest.mark.parametrize(
    ("filters", "kept", "left_out"),
    [
        ({}, [11, 13, 14], {12: "silent"}),
        ({"min_rate_hz": 1.5}, [11], {12: "silent", 13: "low rate", 14: "low rate"}),
        ({"min_presence": 0.5}, [11, 14], {12: "silent", 13: "low presence"}),
        ({"areas": ["LM"]}, [13], {11: "area", 12: "silent", 14: "area"}),
        ({"columns": {"quality": ["good"]}}, [11, 14], {12: "silent", 13: "label"}),
        ({"max_units": 1}, [11], {12: "silent", 13: "beyond max_units", 14: "beyond max_units"}),
    ],
)
def test_filters(filters: dict[str, Any], kept: list[int], left_out: dict[int, str]) -> None:
    recording = select_units(counts_recording(), **filters)
    assert ids(recording) == kept
    assert reasons(recording) == left_out
    assert set(left_out.values()) <= set(REASONS)
    assert recording.counts is not None
    assert recording.counts.shape[2] == len(kept)


def test_details_name_the_figures() -> None:
    table = select_units(counts_recording(), min_rate_hz=1.5).excluded.set_index("unit_id")
    assert table.loc[13, "detail"] == "1 Hz, wanted 1.5 Hz"


def test_unobserved_trials_do_not_count() -> None:
    observed = np.ones((10, 4), np.bool_)
    observed[1:, 2] = False
    rates = mean_rate_hz(counts_recording(observed))
    np.testing.assert_allclose(rates, [10, 0, 10, 1])
    assert ids(select_units(counts_recording(observed), min_presence=0.9)) == [11, 13, 14]


def test_spikes() -> None:
    recording = select_units(spikes_recording())
    assert ids(recording) == ["a", "c"]
    assert recording.spike_times_s is not None
    assert recording.spike_indptr is not None
    assert recording.spike_indptr.tolist() == [0, 200, 400]
    np.testing.assert_allclose(mean_rate_hz(recording), [2.0, 2.0], rtol=0.01)
    assert ids(select_units(spikes_recording(), min_presence=0.5)) == ["a"]


def test_rates() -> None:
    rate_hz = np.zeros((2, 5, 3))
    rate_hz[0, :, 1] = 4.0
    recording = Recording(
        name="x", kind="rates", units=pd.DataFrame({"unit_id": [0, 1, 2], "area": [""] * 3}), excluded=exclusion_table(),
        trials=pd.DataFrame(), rate_hz=rate_hz, condition_names=["a", "b"], bin_size_s=0.1, t_start_s=0.0,
    )  # fmt: skip
    assert ids(select_units(recording, min_rate_hz=2.0, min_presence=1.0)) == [1]


def test_no_unit_left() -> None:
    with pytest.raises(RecordingError, match="no unit of x is left: 3 left out for 'low rate', 1 left out for 'silent'"):
        select_units(counts_recording(), min_rate_hz=100.0)


def test_unknown_column() -> None:
    with pytest.raises(RecordingError, match="no column 'ks_label' to filter by; they have unit_id, area, quality"):
        select_units(counts_recording(), columns={"ks_label": ["good"]})


@pytest.mark.parametrize(
    "recording", [counts_recording(np.arange(40).reshape(10, 4) % 3 > 0), spikes_recording()], ids=["counts", "spikes"]
)
def test_a_surrogate_has_exact_copies(recording: Recording) -> None:
    kept = select_units(recording)
    surrogate = resample_units(kept, 50, seed=3)
    assert ids(surrogate) == list(range(50))
    sources = surrogate.units["source_unit_id"].tolist()
    assert set(sources) == set(ids(kept))  # 50 draws of 2 or 3 units miss one of them once in 10^8 times
    assert sources != resample_units(kept, 50, seed=4).units["source_unit_id"].tolist()
    assert surrogate.excluded.equals(kept.excluded)
    for copy, source in enumerate(sources):
        original = ids(kept).index(source)
        for name in ("counts", "observed"):
            values = getattr(kept, name)
            assert values is None or np.array_equal(getattr(surrogate, name)[..., copy], values[..., original])
        assert kept.spike_times_s is None or np.array_equal(spike_times(surrogate, copy), spike_times(kept, original))


def spike_times(recording: Recording, unit: int) -> Any:
    assert recording.spike_times_s is not None
    assert recording.spike_indptr is not None
    return recording.spike_times_s[recording.spike_indptr[unit] : recording.spike_indptr[unit + 1]]
