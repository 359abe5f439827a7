"""Eligibility vectors of synapses that are touched only now and then, by maps that all synapses of a neuron share: the maps.

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
from fitrec.kernels.cpu.model_loop import copy

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
