"""What the dense and the event-driven RLS kernels share: rows of padded vectors at offsets of flat memory."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.simd import WIDTH, broadcast, load, store, vfma, vmul, vsum2


@njit(inline="always")
def dot(a, a_start, b, b_start, width):
    """Sum of a[i] b[i] over 32 strided lanes and a fixed tree, which every machine can repeat bit for bit."""
    low = broadcast(a.dtype.type(0.0))
    high = low
    whole = width // (2 * WIDTH) * (2 * WIDTH)
    for i in range(0, whole, 2 * WIDTH):
        low = vfma(load(a, a_start + i), load(b, b_start + i), low)
        high = vfma(load(a, a_start + i + WIDTH), load(b, b_start + i + WIDTH), high)
    if whole < width:
        low = vfma(load(a, a_start + whole), load(b, b_start + whole), low)
    return vsum2(low, high)


@njit(inline="always")
def axpy(factor, x, x_start, y, y_start, width):
    """Add factor x to y."""
    f = broadcast(factor)
    for i in range(0, width, WIDTH):
        store(y, y_start + i, vfma(f, load(x, x_start + i), load(y, y_start + i)))


@njit(inline="always")
def scale_row(factor, y, y_start, width):
    """Multiply y by a factor."""
    f = broadcast(factor)
    for i in range(0, width, WIDTH):
        store(y, y_start + i, vmul(f, load(y, y_start + i)))


@njit(inline="always")
def gather_traces(signals, pre, pool, r):
    """Copy the traces of a pool's inputs into r, feed-forward inputs first."""
    n_ff = signals.ff_trace.shape[0]
    for j in range(n_ff):
        r[j] = signals.ff_trace[j]
    for j in range(pre.shape[1]):
        r[n_ff + j] = signals.trace[pre[pool, j]]


@njit(inline="always")
def update_pool(weights, pool, r, k, c, bias, n_inputs, rule):
    """Learn, for each neuron of a pool: w -= c e k with e = w'r + bias, then the projection of Dale's law.

    Returns
    -------
    int
        First neuron whose error is not finite, or -1.

    """
    width, zero = weights.shape[1], weights.dtype.type(0.0)
    for neuron in range(pool * rule.pool_size, min((pool + 1) * rule.pool_size, weights.shape[0])):
        start = neuron * width
        e = dot(weights, start, r, 0, width) + bias[neuron]
        if not np.isfinite(e):
            return neuron
        axpy(-c * e, k, 0, weights, start, width)
        if rule.dale:
            for i in range(rule.first_exc, rule.first_inh):
                weights[neuron, i] = max(weights[neuron, i], zero)
            for i in range(rule.first_inh, n_inputs):
                weights[neuron, i] = min(weights[neuron, i], zero)
    return -1
