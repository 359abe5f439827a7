"""Static wiring that is not stored: the targets of a neuron are drawn anew, always the same, whenever it spikes.

The other ``n - 1`` neurons stand in a circle that begins behind the neuron itself, cut into as many strata as the neuron has
targets; one target is drawn from each stratum, by one 32-bit word of the generator. So a neuron's targets are distinct, ascending
around the circle, never itself, and every other neuron is equally likely, for any degree. Any stratum can be drawn on its own: a
thread begins with the first that reaches its part of the neurons.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fitrec.kernels.cpu.philox import SHIFT, philox
from fitrec.kernels.cpu.wiring import PROCEDURAL_WIRING

BLOCK = 64  # strata drawn at once: a loop of fixed length becomes vector code without a scalar rest


def strata_of(n: int, degree: int) -> NDArray[np.uint32]:
    """First place on the circle of each stratum (>= degree + 1,) uint32, `n` neurons with `degree` targets each.

    Stratum k holds the places ``strata[k]`` to ``strata[k + 1] - 1``; place o of neuron i is the neuron ``i + 1 + o`` modulo n.
    The last strata, up to a whole number of blocks, are empty.
    """
    whole = -(-degree // BLOCK) * BLOCK
    return (np.minimum(np.arange(whole + 1, dtype=np.int64), degree) * (n - 1) // max(degree, 1)).astype(np.uint32)


@njit(inline="always")
def _place(word, low, high):
    """Choose a place from low..high - 1."""
    return low + np.uint32((np.uint64(word) * np.uint64(np.uint32(high - low))) >> SHIFT)


@njit(nogil=True, cache=True)
def _draw(neuron, shift, block, strata, seed, out):
    """Draw the targets of the strata from `block` on, as many blocks as `out` holds; place o is the neuron ``o + shift``."""
    for b in range(out.shape[0] // BLOCK):
        first = (block + b) * BLOCK
        edges = strata[first : first + BLOCK + 1]
        targets = out[b * BLOCK : (b + 1) * BLOCK]
        group = np.uint32(first // 4)
        for g in range(BLOCK // 4):
            x0, x1, x2, x3 = philox(neuron, group + np.uint32(g), 0, 0, seed, PROCEDURAL_WIRING)
            k = 4 * g
            targets[k] = _place(x0, edges[k], edges[k + 1]) + shift
            targets[k + 1] = _place(x1, edges[k + 1], edges[k + 2]) + shift
            targets[k + 2] = _place(x2, edges[k + 2], edges[k + 3]) + shift
            targets[k + 3] = _place(x3, edges[k + 3], edges[k + 4]) + shift


@njit(nogil=True, cache=True)
def _add(targets, weight, buffer):
    for target in targets:
        buffer[target] += weight


@njit(nogil=True, cache=True)
def deliver_procedural(neuron, n, n_exc, lowest, highest, degree, strata, weight_exc, weight_inh, seed, row, buffer):
    """Add a spike's weights to the buffers of its targets among neurons lowest..highest - 1.

    Parameters
    ----------
    degree : int
        Targets per neuron.
    strata : (>= degree + 1,) uint32
        See `strata_of`.
    weight_exc, weight_inh : int64
        Weights onto E neurons, the first `n_exc`, and onto I neurons.
    row : (whole blocks >= degree,) uint32
        Scratch.

    """
    others = n - 1
    for side in range(2):  # the neurons behind it come first on the circle, then those before it
        if side == 0:
            begin, end, shift = max(lowest, neuron + 1), highest, neuron + 1
        else:
            begin, end, shift = lowest, min(highest, neuron), neuron + 1 - n
        if begin >= end:
            continue
        first = ((begin - shift + 1) * degree - 1) // others  # the stratum that holds `begin`
        last = ((end - shift) * degree - 1) // others
        block = first // BLOCK
        origin = block * BLOCK
        drawn = row[: (last // BLOCK - block + 1) * BLOCK]
        _draw(neuron, np.uint32(shift), block, strata, seed, drawn)
        start, stop = first - origin, last - origin + 1  # the outermost two may lie beyond the ends, even below neuron 0
        if np.int32(drawn[start]) < begin:
            start += 1
        if np.int32(drawn[stop - 1]) >= end:
            stop -= 1
        if n_exc <= begin:
            border = start
        elif n_exc >= end:
            border = stop
        else:
            border = ((n_exc - shift + 1) * degree - 1) // others - origin
            if np.int32(drawn[border]) < n_exc:
                border += 1
        _add(drawn[start:border], weight_exc, buffer)
        _add(drawn[border:stop], weight_inh, buffer)
