"""Spike times to counts in half-open bins [edge, next edge)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TargetsError

# Times are compared in whole nanoseconds: a spike written as 0.3 s lies in the bin that begins at 0.3 s, although 3 * 0.1 > 0.3.
_NS = 1e9


def bin_edges(start_s: float, stop_s: float, bin_size_s: float) -> NDArray[np.float64]:
    """Edges (bin + 1,) in seconds, rounded to nanoseconds.

    Raises
    ------
    TargetsError
        If the window is no multiple of the bin width.

    """
    n_bins = round((stop_s - start_s) / bin_size_s)
    if n_bins < 1 or abs((stop_s - start_s) / bin_size_s - n_bins) > 1e-6:
        fitting = sorted({(stop_s - start_s) / n for n in (max(1, n_bins), max(1, n_bins) + 1)})
        raise TargetsError(
            f"bins of {bin_size_s:g} s do not divide the window from {start_s:g} to {stop_s:g} s ({stop_s - start_s:g} s); "
            f"choose for example {' or '.join(f'{f:.6g}' for f in fitting)} s, or another window"
        )
    return np.asarray(np.rint((start_s + bin_size_s * np.arange(n_bins + 1)) * _NS) / _NS)


def count_spikes(
    spike_times_s: NDArray[np.float64], indptr: NDArray[np.int64], events_s: NDArray[np.float64], edges_s: NDArray[np.float64]
) -> NDArray[np.unsignedinteger[Any]]:
    """Count the spikes around each event.

    Every spike counts in every trial whose window holds it: coincident spikes add up, and windows may overlap.

    Parameters
    ----------
    spike_times_s : (spike,)
        Times of all units, unit after unit, sorted within each.
    indptr : (unit + 1,)
        Unit i owns ``spike_times_s[indptr[i]:indptr[i + 1]]``.
    events_s : (trial,)
        Time 0 of each trial.
    edges_s : (bin + 1,)
        Bin edges from the event.

    Returns
    -------
    (trial, time, unit) uint16, or larger where needed

    """
    n_trials, n_bins, n_units = len(events_s), len(edges_s) - 1, len(indptr) - 1
    edges_ns = np.rint(edges_s * _NS).astype(np.int64)
    bin_ns = (edges_ns[-1] - edges_ns[0]) / n_bins
    counts = np.zeros((n_trials, n_bins, n_units), np.uint16)
    # A little wider than the window, since rounding to nanoseconds may move a spike across its edge.
    margin_s = 1e-6
    for unit in range(n_units):
        times = spike_times_s[indptr[unit] : indptr[unit + 1]]
        first = np.searchsorted(times, events_s + edges_s[0] - margin_s)
        n = np.searchsorted(times, events_s + edges_s[-1] + margin_s) - first
        trial = np.repeat(np.arange(n_trials), n)
        spike = np.arange(n.sum()) + np.repeat(first - np.cumsum(n) + n, n)
        after_ns = np.rint((times[spike] - events_s[trial]) * _NS).astype(np.int64)
        index = np.floor((after_ns - edges_ns[0]) / bin_ns).astype(np.int64)
        # Where the bin width is no whole number of nanoseconds, the stored edges decide.
        index -= after_ns < edges_ns[np.clip(index, 0, n_bins)]
        index += after_ns >= edges_ns[np.clip(index + 1, 0, n_bins)]
        inside = (after_ns >= edges_ns[0]) & (after_ns < edges_ns[-1])
        found = np.bincount(trial[inside] * n_bins + index[inside], minlength=n_trials * n_bins)
        if found.max(initial=0) > np.iinfo(counts.dtype).max:
            counts = counts.astype(np.uint32)
        counts[:, :, unit] = found.reshape(n_trials, n_bins)
    return counts


def rebin(values: NDArray[Any], stored_edges_s: NDArray[np.float64], edges_s: NDArray[np.float64], axis: int) -> NDArray[Any]:
    """Cut stored bins to a window and sum them into wider bins.

    Parameters
    ----------
    values : array
        Spikes per stored bin along `axis`.
    stored_edges_s, edges_s : (bin + 1,)
        Edges of the stored and of the wanted bins.
    axis : int
        The time axis.

    Returns
    -------
    array of the same kind of numbers (wider integers where sums need them)

    Raises
    ------
    TargetsError
        If the wanted bins are no unions of stored ones, or reach beyond them.

    """
    width = (stored_edges_s[-1] - stored_edges_s[0]) / (len(stored_edges_s) - 1)
    wanted = (edges_s[-1] - edges_s[0]) / (len(edges_s) - 1)
    factor = round(wanted / width)
    first = round((edges_s[0] - stored_edges_s[0]) / width)
    if factor < 1 or abs(wanted / width - factor) > 1e-6:
        raise TargetsError(f"bins of {wanted:g} s cannot be made of stored bins of {width:g} s; choose a multiple of {width:g} s")
    if abs((edges_s[0] - stored_edges_s[0]) / width - first) > 1e-6:
        raise TargetsError(
            f"the window starts at {edges_s[0]:g} s, inside a stored bin; choose {stored_edges_s[0]:g} s plus a multiple of "
            f"{width:g} s"
        )
    stop = first + factor * (len(edges_s) - 1)
    if first < 0 or stop > values.shape[axis]:
        raise TargetsError(
            f"the window from {edges_s[0]:g} to {edges_s[-1]:g} s reaches beyond the stored bins from {stored_edges_s[0]:g} to "
            f"{stored_edges_s[-1]:g} s; choose a window within them"
        )
    cut = values.take(np.arange(first, stop), axis=axis)
    if factor == 1:
        return cut
    axis = axis % values.ndim
    blocks = cut.reshape(*cut.shape[:axis], -1, factor, *cut.shape[axis + 1 :])
    summed: NDArray[Any] = blocks.sum(axis=axis + 1)
    return summed.astype(np.min_scalar_type(int(summed.max(initial=0)))) if values.dtype.kind in "iu" else summed
