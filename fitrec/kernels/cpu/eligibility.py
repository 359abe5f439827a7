"""Eligibility vectors of synapses that are touched only now and then, by maps that all synapses of a neuron share.

Between two touches the eligibility vector e of a synapse changes by what its neuron goes through, ``e <- M e + f m``, with f the
filter of its source (of an align_pre port). M and m depend on the neuron and the time since the last touch only. Time goes in
stretches of some steps. Sources are touched at the end of a stretch in which they spiked, and when `SLOTS` stretches have gone by
without, so that no maps from longer ago are kept. Slot k holds the maps of those touched last at a time of number
``k mod SLOTS``.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.model_loop import LINE, copy, gather
from fitrec.kernels.cpu.simd import WIDTH, broadcast, load, load_places, prefetch, store, vfma

SLOTS = 4
STRETCH = 64  # steps of a stretch at most
BLOCK = 256  # neurons whose maps are extended together, so that what changes stays in the cache
NEVER = -1  # number of the last touch of a source whose eligibility vectors are 0


class Maps(NamedTuple):
    """What has happened to neurons since each of the last times; `followed` rows of the neuron's block.

    Attributes
    ----------
    rows : (slot, followed, followed, padded)
        M of each neuron.
    filters : (slot, align_pre port, followed, padded)
        m of each neuron.
    decay : (slot, align_pre port)
        What is left of a filter.
    filtered : (align_pre port,) int64
        Numbers of these ports.
    depends : (followed, followed) bool
        Where M may differ from 0.
    driven : (port, followed) bool
        Where e may differ from 0.
    used : (port, followed, followed) bool
        Where both may.

    """

    rows: NDArray[Any]
    filters: NDArray[Any]
    decay: NDArray[Any]
    filtered: NDArray[np.int64]
    depends: NDArray[np.bool_]
    driven: NDArray[np.bool_]
    used: NDArray[np.bool_]


class Traces(NamedTuple):
    """Eligibility of the synapses and their sources.

    Attributes
    ----------
    vectors : (followed * synapse,)
        The synapses of a source together, row after row.
    filters : (align_pre port, source)
    touched : (source,) int64
        Number of the time of the last touch, or `NEVER`.
    quiet : (source,) int64
        Steps since the last arrival from each source.

    """

    vectors: NDArray[Any]
    filters: NDArray[Any]
    touched: NDArray[np.int64]
    quiet: NDArray[np.int64]


@njit(nogil=True, cache=True)
def _add_products(total, a, b):
    for i in range(total.shape[0]):
        total[i] = fma(a[i], b[i], total[i])


@njit(nogil=True, cache=True)
def _add_multiple(total, factor, a):
    for i in range(total.shape[0]):
        total[i] = fma(factor, a[i], total[i])


@njit(nogil=True, cache=True)
def _add_followed(total, table, used, neuron, vectors, stride):
    """Add to each synapse the product of its neuron's column of `table` (followed, padded) and its vector, rows as `used`."""
    whole = neuron.shape[0] // WIDTH * WIDTH
    for k in range(0, whole, WIDTH):
        own = load(total, k)
        for c in range(used.shape[0]):
            if used[c]:
                own = vfma(load_places(table[c], neuron, k), load(vectors, c * stride + k), own)
        store(total, k, own)
    for k in range(whole, neuron.shape[0]):
        for c in range(used.shape[0]):
            if used[c]:
                total[k] = fma(table[c, neuron[k]], vectors[c * stride + k], total[k])


@njit(nogil=True, cache=True)
def _gather_multiple(total, table, target, factor):
    whole = target.shape[0] // WIDTH * WIDTH
    for k in range(0, whole, WIDTH):
        store(total, k, vfma(load_places(table, target, k), broadcast(factor), load(total, k)))
    for k in range(whole, target.shape[0]):
        total[k] = fma(table[target[k]], factor, total[k])


@njit(nogil=True, cache=True)
def _end_of_port(target, first, limit):
    """Return the place of the first of the ascending targets, from place `first` on, that is not below a limit."""
    low, high = first, target.shape[0]
    while low < high:
        middle = (low + high) // 2
        if target[middle] < limit:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, cache=True)
def extend_maps(maps, slot, stretch, filters, followed, begin, end):
    """Extend the maps by one stretch, for neurons from `begin` to `end`.

    Parameters
    ----------
    slot : int
        Of those touched last right before the stretch.
    stretch : (followed, row * padded)
        Map of the stretch: derivatives of the followed rows by all rows of the block (`map_stretch`).
    filters : (align_pre port, followed, padded)
        The same by the filters of ports before the stretch.
    followed : (followed,) int64
        Numbers of these rows in the block.

    """
    width, size = maps.rows.shape[3], followed.shape[0]
    product = np.empty((size, BLOCK), maps.rows.dtype)
    for first in range(begin, end, BLOCK):
        here = slice(first, min(first + BLOCK, end))
        n = here.stop - first
        for s in range(maps.rows.shape[0]):
            for c in range(size + filters.shape[0]):
                f = c - size
                for r in range(size):
                    own = product[r, :n]
                    if s == slot:
                        if f >= 0:
                            copy(own, filters[f, r, here])
                        else:
                            begins = followed[c] * width + first
                            copy(own, stretch[r, begins : begins + n])
                        continue
                    own[:] = 0
                    for k in range(size):
                        if maps.depends[r, k]:
                            begins = followed[k] * width + first
                            before = maps.filters[s, f, k, here] if f >= 0 else maps.rows[s, k, c, here]
                            _add_products(own, stretch[r, begins : begins + n], before)
                    if f >= 0:
                        _add_multiple(own, maps.decay[s, f], filters[f, r, here])
                for r in range(size):
                    copy(maps.filters[s, f, r, here] if f >= 0 else maps.rows[s, r, c, here], product[r, :n])


@njit(nogil=True, cache=True)
def _ask_for(target, vectors, size, indptr, source):
    """Have the synapses of a source, the next one, and their vectors brought into the cache."""
    for k in range(indptr[source], indptr[source + 1], LINE):
        prefetch(target, k)
    for k in range(size * indptr[source], size * indptr[source + 1], LINE):
        prefetch(vectors, k)


@njit(nogil=True, cache=True)
def touch_sources(maps, traces, wiring, width, now, indptr, step, arriving, left, first, last):
    """Bring the eligibility vectors of sources from `first` to `last` to the end of a stretch where it is time to.

    Parameters
    ----------
    now : int
        Number of the time at the end of the stretch.
    indptr, step
        Arrivals in the stretch by source, as made by `arrivals_by_source`.
    arriving : (followed, step, port * padded)
        What an arrival is worth to the rows at the end.
    left : (align_pre port, step + 1)
        What is left of an arrival in the filter of its port after so many steps.

    """
    slots, size, steps = maps.rows.shape[0], maps.rows.shape[1], arriving.shape[1]
    chosen, longest, count = np.empty(last - first, np.int64), 0, 0
    for i in range(first, last):
        before, n = traces.touched[i], wiring.plastic_indptr[i + 1] - wiring.plastic_indptr[i]
        came = indptr[i + 1] - indptr[i]
        traces.quiet[i] = steps - 1 - step[indptr[i + 1] - 1] if came > 0 else traces.quiet[i] + steps
        if n > 0 and (came > 0 or (before != NEVER and now - before >= slots)):
            chosen[count] = i
            longest, count = max(longest, n), count + 1
    scratch = np.empty(size * longest, maps.rows.dtype)
    for k in range(count):
        i, before = chosen[k], traces.touched[chosen[k]]
        if k + 1 < count:
            _ask_for(wiring.plastic_target, traces.vectors, size, wiring.plastic_indptr, chosen[k + 1])
        begin, end = wiring.plastic_indptr[i], wiring.plastic_indptr[i + 1]
        slot, n = before % slots, end - begin
        vectors = traces.vectors[size * begin : size * end]
        found = scratch[: size * n]
        found[:] = 0
        low = 0
        for p in range(maps.driven.shape[0]):
            high = _end_of_port(wiring.plastic_target[begin:end], low, (p + 1) * width)
            if high == low:
                continue
            target = wiring.plastic_target[begin + low : begin + high]
            neuron = target if p == 0 else target - np.int32(p * width)
            for r in range(size):
                if not maps.driven[p, r]:
                    continue
                own = found[r * n + low : r * n + high]
                for a in range(indptr[i + 1] - 1, indptr[i] - 1, -1):
                    gather(own, arriving[r, step[a]], target)
                if before == NEVER:
                    continue
                _add_followed(own, maps.rows[slot, r], maps.used[p, r], neuron, vectors[low:], n)
                for f in range(maps.filtered.shape[0]):
                    if maps.filtered[f] == p:
                        _gather_multiple(own, maps.filters[slot, f, r], neuron, traces.filters[f, i])
            low = high
        copy(vectors, found)
        for f in range(maps.filtered.shape[0]):
            value = traces.filters[f, i] if before == NEVER else maps.decay[slot, f] * traces.filters[f, i]
            for a in range(indptr[i], indptr[i + 1]):
                value += left[f, steps - 1 - step[a]]
            traces.filters[f, i] = value
        traces.touched[i] = now


@njit(nogil=True, cache=True)
def weigh_maps(maps, signal, worth, worth_of_filters, begin, end):
    """Say what eligibility is worth by the time of its last touch, for neurons from `begin` to `end`.

    Parameters
    ----------
    signal : (followed, padded)
        Derivative of the loss by the rows now.
    worth, worth_of_filters : (slot + 1, followed or align_pre port, padded)
        Receive the derivative by vectors and filters as they were when touched; the last place is that of those touched now.

    """
    slots, size = maps.rows.shape[0], maps.rows.shape[1]
    for s in range(slots):
        for c in range(size):
            own = worth[s, c, begin:end]
            own[:] = 0
            for r in range(size):
                if maps.depends[r, c]:
                    _add_products(own, signal[r, begin:end], maps.rows[s, r, c, begin:end])
        for f in range(maps.filtered.shape[0]):
            own = worth_of_filters[s, f, begin:end]
            own[:] = 0
            for r in range(size):
                _add_products(own, signal[r, begin:end], maps.filters[s, f, r, begin:end])
    for c in range(size):
        copy(worth[slots, c, begin:end], signal[c, begin:end])
    worth_of_filters[slots, :, begin:end] = 0


@njit(nogil=True, cache=True)
def weigh_sources(maps, traces, wiring, width, now, cutoff, worth, worth_of_filters, gradient, first, last):
    """Add up the gradient for sources from `first` to `last` that have been quiet for less than `cutoff` steps.

    Parameters
    ----------
    worth, worth_of_filters
        From `weigh_maps`.
    gradient : (plastic synapse,)

    """
    slots, size = maps.rows.shape[0], maps.rows.shape[1]
    chosen, count = np.empty(last - first, np.int64), 0
    for i in range(first, last):
        if traces.touched[i] != NEVER and traces.quiet[i] < cutoff:
            chosen[count] = i
            count += 1
    for k in range(count):
        i, touched = chosen[k], traces.touched[chosen[k]]
        if k + 1 < count:
            _ask_for(wiring.plastic_target, traces.vectors, size, wiring.plastic_indptr, chosen[k + 1])
        slot = slots if touched == now else touched % slots
        begin, end = wiring.plastic_indptr[i], wiring.plastic_indptr[i + 1]
        n = end - begin
        vectors = traces.vectors[size * begin : size * end]
        low = 0
        for p in range(maps.driven.shape[0]):
            high = _end_of_port(wiring.plastic_target[begin:end], low, (p + 1) * width)
            if high == low:
                continue
            target = wiring.plastic_target[begin + low : begin + high]
            neuron = target if p == 0 else target - np.int32(p * width)
            own = gradient[begin + low : begin + high]
            _add_followed(own, worth[slot], maps.driven[p], neuron, vectors[low:], n)
            for f in range(maps.filtered.shape[0]):
                if maps.filtered[f] == p:
                    _gather_multiple(own, worth_of_filters[slot, f], neuron, traces.filters[f, i])
            low = high
