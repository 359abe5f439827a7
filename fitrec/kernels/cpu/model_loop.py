"""What the loops over time of all neuron models share: delivery of spikes, and the sums over the synapses of those that came."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.lanes import LANES, sum_of_lanes
from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.simd import WIDTH, load, load_places, prefetch, store
from fitrec.kernels.cpu.simd_math import vadd

LINE = 16  # four-byte numbers in a cache line
AHEAD = 512  # synapses of a row that are asked for before their spike's turn


@njit(nogil=True, cache=True)
def deliver_static(target, fixed, buffers):
    """Add the weights, in fixed point, of the synapses of one spike."""
    for k in range(target.shape[0]):
        buffers[target[k]] += fixed[k]


@njit(nogil=True, cache=True)
def deliver_plastic(target, weight, one, buffers):
    """Add the weights of the plastic synapses of one spike, rounded to fixed point as they are now."""
    for k in range(target.shape[0]):
        buffers[target[k]] += np.int64(np.rint(np.float64(weight[k]) * one))


@njit(nogil=True, cache=True)
def ask_for(target, values, indptr, source):
    """Have the synapses of a source, the next one, brought into the cache."""
    begin = indptr[source]
    for k in range(begin, min(indptr[source + 1], begin + AHEAD), LINE):
        prefetch(target, k)
        prefetch(values, k)


@njit(nogil=True, cache=True)
def deliver_events(source, wiring, one, buffers):
    """Add the weights of the synapses of some sources."""
    for s in range(source.shape[0]):
        i = source[s]
        if s + 1 < source.shape[0]:
            ask_for(wiring.static_target, wiring.static_fixed, wiring.static_indptr, source[s + 1])
            ask_for(wiring.plastic_target, wiring.plastic_weight, wiring.plastic_indptr, source[s + 1])
        row = slice(wiring.static_indptr[i], wiring.static_indptr[i + 1])
        deliver_static(wiring.static_target[row], wiring.static_fixed[row], buffers)
        row = slice(wiring.plastic_indptr[i], wiring.plastic_indptr[i + 1])
        deliver_plastic(wiring.plastic_target[row], wiring.plastic_weight[row], one, buffers)


@njit(nogil=True, cache=True)
def copy(to, array):
    """Copy; numba takes seconds to compile the assignment of a slice, for the sake of its error messages."""
    for i in range(to.shape[0]):
        to[i] = array[i]


@njit(nogil=True, cache=True)
def gather(gradient, arriving, target):
    """Add what one arriving spike is worth to each synapse of its source."""
    whole = target.shape[0] // WIDTH * WIDTH
    for k in range(0, whole, WIDTH):
        store(gradient, k, vadd(load(gradient, k), load_places(arriving, target, k)))
    for k in range(whole, target.shape[0]):
        gradient[k] += arriving[target[k]]


@njit(nogil=True, cache=True)
def add_gradient(gradient, arriving, source, wiring, first, last):
    """Add what a step's arriving spikes are worth, for sources from `first` to `last`."""
    for s in range(source.shape[0]):
        i = source[s]
        if s + 1 < source.shape[0] and first <= source[s + 1] < last:
            ask_for(wiring.plastic_target, gradient, wiring.plastic_indptr, source[s + 1])
        if first <= i < last:
            row = slice(wiring.plastic_indptr[i], wiring.plastic_indptr[i + 1])
            gather(gradient[row], arriving, wiring.plastic_target[row])


@njit(nogil=True, cache=True)
def go_back_products(
    parameters,
    inputs,
    spikes,
    wiring,
    n_steps,
    products,
    every,
    decay,
    filter_decay,
    presynaptic,
    filtered,
    arriving,
    gradient,
    sources,
    part,
):
    """Add up the gradient of pp-prop: the presynaptic traces, which decay by `decay`, seen from the spikes that made them.

    Parameters
    ----------
    filter_decay : (port,)
        Decay of the synaptic filter of an align_pre port, 0 for others.
    presynaptic : (2, port, source)
        Synaptic filters and presynaptic traces at the end of the window before.
    filtered, arriving : (port * padded,)
        Scratch, zeros: sums of products, without and with the ports' own filters.

    """
    ports, width = filter_decay.shape[0], parameters.width
    for t in range(n_steps - 1, -1, -1):
        now = (t + 1) % every == 0
        for p in range(ports):
            for i in range(p * width, (p + 1) * width):
                filtered[i] = fma(decay, filtered[i], products[t // every, i] if now else parameters.scalars.dtype.type(0))
                arriving[i] = fma(filter_decay[p], arriving[i], filtered[i])
        step = spikes.source[spikes.indptr[t] : spikes.indptr[t + 1]]
        add_gradient(gradient, arriving, step, wiring, sources[part], sources[part + 1])
        step = inputs.source[inputs.indptr[t] : inputs.indptr[t + 1]]
        add_gradient(gradient, arriving, step, wiring, sources[part], sources[part + 1])
    for i in range(sources[part], sources[part + 1]):
        for k in range(wiring.plastic_indptr[i], wiring.plastic_indptr[i + 1]):
            target = wiring.plastic_target[k]
            p = target // width
            if presynaptic[1, p, i] != 0:
                gradient[k] = fma(decay * presynaptic[1, p, i], filtered[target], gradient[k])
                gradient[k] = fma(filter_decay[p] * presynaptic[0, p, i], arriving[target], gradient[k])


@njit(nogil=True, cache=True)
def left_of_arrivals(decay, filter_decay, n_steps):
    """(port, step + 1, 3): what an arrival leaves in the synaptic filter and in the presynaptic trace after k steps; decay^k."""
    left = np.empty((filter_decay.shape[0], n_steps + 1, 3), filter_decay.dtype)
    for p in range(filter_decay.shape[0]):
        left[p, 0] = 1
        for k in range(1, n_steps + 1):
            left[p, k, 0] = filter_decay[p] * left[p, k - 1, 0]
            left[p, k, 1] = decay * left[p, k - 1, 1] + left[p, k, 0]
            left[p, k, 2] = decay * left[p, k - 1, 2]
    return left


@njit(nogil=True, cache=True)
def advance_presynaptic(presynaptic, left, inputs, spikes, n_steps):
    """Advance synaptic filters and presynaptic traces (2, port, source) over a window, by `left_of_arrivals`."""
    for p in range(left.shape[0]):
        whole = left[p, n_steps]
        for i in range(presynaptic.shape[2]):
            y, x = presynaptic[0, p, i], presynaptic[1, p, i]
            presynaptic[0, p, i] = whole[0] * y
            presynaptic[1, p, i] = whole[2] * x + (whole[1] - whole[2]) * y
        for t in range(n_steps):
            for kind in (inputs, spikes):
                for i in kind.source[kind.indptr[t] : kind.indptr[t + 1]]:
                    presynaptic[0, p, i] += left[p, n_steps - 1 - t, 0]
                    presynaptic[1, p, i] += left[p, n_steps - 1 - t, 1]


@njit(nogil=True, cache=True)
def arrivals_by_source(inputs, spikes, n_steps, n_sources):
    """Turn spikes by step into steps by source: (source + 1,) int64 and (arrival,) int32."""
    indptr = np.zeros(n_sources + 1, np.int64)
    for kind in (inputs, spikes):
        for i in kind.source[kind.indptr[0] : kind.indptr[n_steps]]:
            indptr[i + 1] += 1
    for i in range(n_sources):
        indptr[i + 1] += indptr[i]
    place = indptr[:-1].copy()
    step = np.empty(indptr[n_sources], np.int32)
    for t in range(n_steps):
        for kind in (inputs, spikes):
            for i in kind.source[kind.indptr[t] : kind.indptr[t + 1]]:
                step[place[i]] = t
                place[i] += 1
    return indptr, step


@njit(nogil=True, cache=True)
def add_recurrent(adjoint_of_spikes, arriving, wiring, one, n):
    """Add what the spikes of each neuron do to the neurons they reach: plastic synapses, then static ones, in 32 lanes."""
    lanes = np.zeros(LANES, arriving.dtype)
    for i in range(n):
        lanes[:] = 0
        first, last = wiring.plastic_indptr[i], wiring.plastic_indptr[i + 1]
        for k in range(first, last):
            lane = (k - first) % LANES
            lanes[lane] = fma(wiring.plastic_weight[k], arriving[wiring.plastic_target[k]], lanes[lane])
        first, last = wiring.static_indptr[i], wiring.static_indptr[i + 1]
        for k in range(first, last):
            lane, weight = (k - first) % LANES, arriving.dtype.type(wiring.static_fixed[k] / one)
            lanes[lane] = fma(weight, arriving[wiring.static_target[k]], lanes[lane])
        adjoint_of_spikes[i] += sum_of_lanes(lanes)
