"""Eligibility vectors of the synapses of a source: brought up to date when it spikes, and weighed with the learning signals."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.eligibility import NEVER
from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.model_loop import LINE, copy, gather
from fitrec.kernels.cpu.simd import WIDTH, broadcast, load, load_places, prefetch, store, vfma


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
def _of_port(target, first, port, width):
    """Return where the synapses of a port end that begin at place `first` of ascending targets; these targets, and neurons."""
    end = _end_of_port(target, first, (port + 1) * width)
    here = target[first:end]
    return end, here, here if port == 0 or end == first else here - np.int32(port * width)


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
            high, target, neuron = _of_port(wiring.plastic_target[begin:end], low, p, width)
            if high == low:
                continue
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
            high, _, neuron = _of_port(wiring.plastic_target[begin:end], low, p, width)
            if high == low:
                continue
            own = gradient[begin + low : begin + high]
            _add_followed(own, worth[slot], maps.driven[p], neuron, vectors[low:], n)
            for f in range(maps.filtered.shape[0]):
                if maps.filtered[f] == p:
                    _gather_multiple(own, worth_of_filters[slot, f], neuron, traces.filters[f, i])
            low = high
