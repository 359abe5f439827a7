"""Dense recursive least squares: the oracle of the event-driven form, and what its speed is compared with.

Both work on the full form of P and read every element at every step. `one_pass_step` fuses the update of the step before with
this step's k = P r, so that each element is read and written once: the best a dense form can do. `two_pass_step` computes k = P r
and then updates P, as TrainSpikingNet does (rls.md 3.2).
"""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.rls_rows import dot, gather_traces, update_pool
from fitrec.kernels.cpu.simd import WIDTH, broadcast, load, spread, store, vfma, vfnma, vmul

ROWS = 4  # of P worked on together: they share the loads of g and k


@njit(inline="always")
def _advance_rows(p, row, width, g, g_start, a, r, k):
    """Four rows of P: x -= g_a g, k += r_a x."""
    g0, g1, g2, g3 = (
        spread(g, g_start + a),
        spread(g, g_start + a + 1),
        spread(g, g_start + a + 2),
        spread(g, g_start + a + 3),
    )
    r0, r1, r2, r3 = spread(r, a), spread(r, a + 1), spread(r, a + 2), spread(r, a + 3)
    for b in range(0, width, WIDTH):
        v, at = load(g, g_start + b), row + b
        x0 = vfnma(g0, v, load(p, at))
        x1 = vfnma(g1, v, load(p, at + width))
        x2 = vfnma(g2, v, load(p, at + 2 * width))
        x3 = vfnma(g3, v, load(p, at + 3 * width))
        store(p, at, x0)
        store(p, at + width, x1)
        store(p, at + 2 * width, x2)
        store(p, at + 3 * width, x3)
        store(k, b, vfma(r3, x3, vfma(r2, x2, vfma(r1, x1, vfma(r0, x0, load(k, b))))))


@njit(inline="always")
def _advance_row(p, row, width, g, g_start, a, r, k):
    g_a, r_a = spread(g, g_start + a), spread(r, a)
    for b in range(0, width, WIDTH):
        x = vfnma(g_a, load(g, g_start + b), load(p, row + b))
        store(p, row + b, x)
        store(k, b, vfma(r_a, x, load(k, b)))


@njit(nogil=True, cache=True)
def one_pass_step(state, previous, pre, signals, bias, rule, first, last):
    """Update the pools first..last-1 once; arguments and result as in `rls.rls_step`.

    `previous` (pool, padded) holds g = sqrt(c) k of the step before, zero at first: P in `state` lags by it.
    """
    width = previous.shape[1]
    n_inputs = signals.ff_trace.shape[0] + pre.shape[1]
    one = previous.dtype.type(1.0)
    r, k = np.zeros(width, previous.dtype), np.zeros(width, previous.dtype)
    whole = n_inputs // ROWS * ROWS
    for pool in range(first, last):
        gather_traces(signals, pre, pool, r)
        k[:] = 0
        for a in range(0, whole, ROWS):
            _advance_rows(state.p, (pool * n_inputs + a) * width, width, previous, pool * width, a, r, k)
        for a in range(whole, n_inputs):
            _advance_row(state.p, (pool * n_inputs + a) * width, width, previous, pool * width, a, r, k)
        rk = dot(r, 0, k, 0, width)
        if not (rk >= 0 and np.isfinite(rk)):
            return pool * rule.pool_size
        c = one / (one + rk)
        bad = update_pool(state.weights, pool, r, k, c, bias, n_inputs, rule)
        if bad >= 0:
            return bad
        root = broadcast(np.sqrt(c))
        for b in range(0, width, WIDTH):
            store(previous, pool * width + b, vmul(root, load(k, b)))
    return -1


@njit(nogil=True, cache=True)
def two_pass_step(state, pre, signals, bias, rule, first, last):
    """Update the pools first..last-1 once; arguments and result as in `rls.rls_step`."""
    p, width = state.p, state.q.shape[1]
    n_inputs = signals.ff_trace.shape[0] + pre.shape[1]
    one = state.q.dtype.type(1.0)
    r, k = np.zeros(width, state.q.dtype), np.zeros(width, state.q.dtype)
    for pool in range(first, last):
        gather_traces(signals, pre, pool, r)
        k[:] = 0
        for a in range(n_inputs):
            row, r_a = (pool * n_inputs + a) * width, spread(r, a)
            for b in range(0, width, WIDTH):
                store(k, b, vfma(r_a, load(p, row + b), load(k, b)))
        rk = dot(r, 0, k, 0, width)
        if not (rk >= 0 and np.isfinite(rk)):
            return pool * rule.pool_size
        c = one / (one + rk)
        bad = update_pool(state.weights, pool, r, k, c, bias, n_inputs, rule)
        if bad >= 0:
            return bad
        for a in range(n_inputs):
            row, factor = (pool * n_inputs + a) * width, broadcast(-c * k[a])
            for b in range(0, width, WIDTH):
                store(p, row + b, vfma(factor, load(k, b), load(p, row + b)))
    return -1
