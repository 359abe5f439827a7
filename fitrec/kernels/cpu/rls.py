"""Recursive least squares that works per spike, with held-back updates (DESIGN section 5).

The traces obey r <- rho r + D with D nonzero only for inputs that spiked. P stays stale while the last b updates are held back as
g_i = sqrt(c_i) k_i; q = P r and h_i = g_i'r are kept up to date with the columns of the inputs that spiked:

    q <- rho q + sum_j D_j P[:, j],    h_i <- rho h_i + sum_j D_j g_i[j],
    k = q - sum_i h_i g_i,    c = 1 / (1 + r'k),    w <- w - c e k,

and after B updates P <- P - sum_i g_i g_i', q <- q - sum_i h_i g_i. This is exact RLS, rearranged. The rounding errors of q decay
with the traces, so they cannot build up.
"""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.rls_rows import dot, gather_traces, scale_row, update_pool
from fitrec.kernels.cpu.rls_storage import add_columns, apply_held
from fitrec.kernels.cpu.simd import WIDTH, broadcast, load, spread, store, vfnma, vmul


@njit(inline="always")
def _changed_inputs(signals, pre, pool, changed, delta):
    """List the inputs that spiked since the last update; returns how many."""
    every, ff = signals.delta, signals.ff_delta
    n_ff, count = ff.shape[0], 0
    for j in range(n_ff):
        changed[count], delta[count] = j, ff[j]  # no branch: overwritten by the next when it is 0
        count += int(ff[j] != 0)
    for j in range(pre.shape[1]):
        d = every[pre[pool, j]]
        changed[count], delta[count] = n_ff + j, d
        count += int(d != 0)
    return count


@njit(inline="always")
def _subtract_held(x, x_start, g, h, pool, held, y, y_start):
    """Write x - sum_i h_i g_i into y."""
    block = g.shape[2] * WIDTH
    g_start, h_start = pool * g.shape[1] * block, pool * h.shape[1]
    for b in range(g.shape[1]):
        total = load(x, x_start + b * WIDTH)
        for i in range(held):
            total = vfnma(spread(h, h_start + i), load(g, g_start + b * block + i * WIDTH), total)
        store(y, y_start + b * WIDTH, total)


@njit(inline="always")
def _follow_held(g, h, pool, held, rho, changed, delta, count):
    """h_i <- rho h_i + sum_j D_j g_i[j]."""
    for i in range(held):
        total = rho * h[pool, i]
        for m in range(count):
            total = fma(delta[m], g[pool, changed[m] // WIDTH, i, changed[m] % WIDTH], total)
        h[pool, i] = total


@njit(inline="always")
def _hold_back(g, h, pool, held, k, c, rk):
    root = np.sqrt(c)
    factor, block = broadcast(root), g.shape[2] * WIDTH
    at = pool * g.shape[1] * block + held * WIDTH
    for b in range(g.shape[1]):
        store(g, at + b * block, vmul(factor, load(k, b * WIDTH)))
    h[pool, held] = root * rk


@njit(nogil=True, cache=True)
def rls_step(state, held, rho, pre, signals, bias, rule, half_flush, first, last):
    """Update the pools first..last-1 once.

    Parameters
    ----------
    state : RlsState
    held : int
        Updates held back so far (the same for all pools); when it reaches B with this one, all are applied.
    rho : float
        Decay of the traces since the last update, exactly the factor the simulator multiplied them with.
    pre : (pool, input - ff) int32
        Presynaptic neuron of each recurrent input.
    signals : Signals
    bias : (neuron,)
        Other currents minus the target.
    rule : RuleOptions
    half_flush : bool
        Compute one triangle of a full P only when they are applied, see `apply_held`.

    Returns
    -------
    int
        First neuron whose r'k is negative (P is no longer positive definite) or whose r'k or error is not finite, or -1.

    """
    q, g, h = state.q, state.g, state.h
    width, rank = q.shape[1], h.shape[1]
    n_inputs = signals.ff_trace.shape[0] + pre.shape[1]
    one = q.dtype.type(1.0)
    changed, delta = np.empty(n_inputs + 1, np.int64), np.empty(n_inputs + 1, q.dtype)
    r, k = np.zeros(width, q.dtype), np.zeros(width, q.dtype)
    for pool in range(first, last):
        count = _changed_inputs(signals, pre, pool, changed, delta)
        gather_traces(signals, pre, pool, r)
        scale_row(rho, q, pool * width, width)
        add_columns(state.p, state.scale, pool, n_inputs, changed, delta, count, q)
        _follow_held(g, h, pool, held, rho, changed, delta, count)
        _subtract_held(q, pool * width, g, h, pool, held, k, 0)
        rk = dot(r, 0, k, 0, width)
        neuron = pool * rule.pool_size
        if not (rk >= 0 and np.isfinite(rk)):
            return neuron
        c = one / (one + rk)
        bad = update_pool(state.weights, pool, r, k, c, bias, n_inputs, rule)
        if bad >= 0:
            return bad
        _hold_back(g, h, pool, held, k, c, rk)
        if held + 1 == rank:
            apply_held(state.p, state.scale, pool, n_inputs, g, rank, half_flush)
            _subtract_held(q, pool * width, g, h, pool, rank, q, pool * width)
    return -1


@njit(nogil=True, cache=True)
def flush(state, held, n_inputs, half_flush, first, last):
    """Apply what the pools first..last-1 hold back (at the end of a trial)."""
    for pool in range(first, last):
        apply_held(state.p, state.scale, pool, n_inputs, state.g, held, half_flush)
