import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitrec.errors import TargetsError
from fitrec.targets.binning import bin_edges, count_spikes, rebin


def one_unit(times: list[float], edges: np.ndarray, events: list[float] | None = None) -> list[list[int]]:
    ordered = np.sort(np.array(times, float))
    counted = count_spikes(ordered, np.array([0, len(times)]), np.array(events or [0.0]), edges)
    return counted[:, :, 0].tolist()  # type: ignore[no-any-return]


def test_bins_are_half_open() -> None:
    edges = bin_edges(0.0, 0.4, 0.1)
    assert one_unit([0.0, 0.1, 0.1, 0.2999, 0.3, 0.39999, 0.4], edges) == [[1, 2, 1, 2]]


def test_decimal_edges_hold_although_binary_fractions_do_not() -> None:
    # 3 * 0.1 > 0.3 and 10.3 - 10 > 0.3 in floating point.
    edges = bin_edges(0.0, 1.0, 0.1)
    assert one_unit([10.3], edges, [10.0]) == [[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]]
    assert one_unit([0.3], edges) == [[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]]


def test_coincident_spikes_all_count() -> None:
    assert one_unit([0.15] * 7, bin_edges(0.0, 0.2, 0.1)) == [[0, 7]]


def test_overlapping_windows_share_spikes() -> None:
    assert one_unit([0.5], bin_edges(-0.5, 0.5, 0.5), [0.25, 0.5, 1.0]) == [[0, 1], [0, 1], [1, 0]]


def test_units_are_kept_apart() -> None:
    times, indptr = np.array([0.05, 0.15, 0.05, 0.15, 0.15]), np.array([0, 2, 2, 5])
    counts = count_spikes(times, indptr, np.array([0.0]), bin_edges(0.0, 0.2, 0.1))
    assert counts[0].T.tolist() == [[1, 1], [0, 0], [1, 2]]


def test_many_spikes_in_a_bin() -> None:
    counts = count_spikes(np.full(70_000, 0.05), np.array([0, 70_000]), np.array([0.0]), bin_edges(0.0, 0.1, 0.1))
    assert counts.tolist() == [[[70_000]]]


@given(
    st.lists(st.integers(-300, 1500), max_size=60),
    st.lists(st.integers(0, 1000), min_size=1, max_size=5),
    st.integers(-200, 0),
    st.integers(1, 8),
    st.sampled_from([1, 2, 5, 10, 25]),
)
def test_no_spike_is_lost(times_ms: list[int], events_ms: list[int], start_ms: int, n_bins: int, bin_ms: int) -> None:
    edges = bin_edges(start_ms / 1000, (start_ms + n_bins * bin_ms) / 1000, bin_ms / 1000)
    counted = one_unit([t / 1000 for t in times_ms], edges, [e / 1000 for e in events_ms])
    expected = [
        [sum(start_ms + k * bin_ms <= t - e < start_ms + (k + 1) * bin_ms for t in times_ms) for k in range(n_bins)]
        for e in events_ms
    ]
    assert counted == expected


@given(st.floats(0.001, 0.3), st.integers(1, 50), st.lists(st.floats(-1, 20), max_size=50))
def test_odd_bin_widths_follow_the_stored_edges(width: float, n_bins: int, times: list[float]) -> None:
    edges = bin_edges(-0.5, -0.5 + n_bins * width, width)
    after = np.rint(np.array(times) * 1e9) / 1e9
    expected = [int(((after >= a) & (after < b)).sum()) for a, b in itertools.pairwise(edges)]
    assert one_unit(list(after), edges) == [expected]


@pytest.mark.parametrize(("start", "stop", "width"), [(0.0, 1.0, 0.3), (-0.5, 0.5, 0.015), (0.0, 0.1, 0.2)])
def test_bins_that_do_not_divide_the_window(start: float, stop: float, width: float) -> None:
    with pytest.raises(TargetsError, match=f"bins of {width} s do not divide the window .* choose for example"):
        bin_edges(start, stop, width)


def test_edges_are_exact_decimals() -> None:
    np.testing.assert_array_equal(bin_edges(-0.1, 0.3, 0.1), [-0.1, 0.0, 0.1, 0.2, 0.3])
    assert len(bin_edges(0.0, 1.0, 1 / 60)) == 61


@given(st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))
def test_rebinning_sums(factor: int, first: int, n_bins: int) -> None:
    stored = np.arange(2 * 20 * 3, dtype=np.uint8).reshape(2, 20, 3)
    stored_edges = bin_edges(-0.05, 0.15, 0.01)
    start = -0.05 + first * 0.01
    edges = bin_edges(start, start + n_bins * factor * 0.01, factor * 0.01)
    expected = stored[:, first : first + n_bins * factor].astype(int).reshape(2, n_bins, factor, 3).sum(axis=2)
    np.testing.assert_array_equal(rebin(stored, stored_edges, edges, axis=1), expected)


@pytest.mark.parametrize(
    ("edges", "sentence"),
    [
        (bin_edges(0.0, 0.1, 0.025), "cannot be made of stored bins of 0.01 s"),
        (bin_edges(0.005, 0.105, 0.02), "inside a stored bin"),
        (bin_edges(-0.1, 0.1, 0.02), "reaches beyond the stored bins from 0 to 0.2 s"),
        (bin_edges(0.1, 0.3, 0.02), "reaches beyond the stored bins"),
        (bin_edges(0.0, 0.1, 0.005), "cannot be made of stored bins"),
    ],
)
def test_bins_that_cannot_be_made(edges: np.ndarray, sentence: str) -> None:
    with pytest.raises(TargetsError, match=sentence):
        rebin(np.zeros((1, 20, 1)), bin_edges(0.0, 0.2, 0.01), edges, axis=1)
