"""Recursive least squares that works per spike, with held-back updates (DESIGN section 5).

The traces obey r <- rho r + D with D nonzero only for inputs that spiked. P stays stale while the last b updates are held back as
g_i = sqrt(c_i) k_i; q = P r and h_i = g_i'r are kept up to date with the columns of the inputs that spiked:

    q <- rho q + sum_j D_j P[:, j],    h_i <- rho h_i + sum_j D_j g_i[j],
    k = q - sum_i h_i g_i,    c = 1 / (1 + r'k),    w <- w - c e k,

and after B updates P <- P - sum_i g_i g_i', q <- q - sum_i h_i g_i. This is exact RLS, rearranged.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fitrec.kernels.cpu.math import fma

LANES = 32


class RlsState(NamedTuple):
    """State of all learners; everything but `p` and `weights` starts at zero in each trial."""

    p: NDArray[np.float32]  # (neuron, input, input), stale by the held-back updates
    weights: NDArray[np.float32]  # (neuron, input), feed-forward inputs first
    r: NDArray[np.float32]  # (neuron, input), traces at the last update
    q: NDArray[np.float32]  # (neuron, input), p r
    g: NDArray[np.float32]  # (neuron, B, input), held-back updates
    h: NDArray[np.float32]  # (neuron, B), g r


def new_rls_state(p0: NDArray[np.float64], weights: NDArray[np.float32], rank: int) -> RlsState:
    """State with the same P(0) for every neuron, holding back up to `rank` updates."""
    n, n_inputs = weights.shape
    f = np.float32
    return RlsState(
        p=np.broadcast_to(p0.astype(f), (n, n_inputs, n_inputs)).copy(),
        weights=weights.astype(f),
        r=np.zeros((n, n_inputs), f),
        q=np.zeros((n, n_inputs), f),
        g=np.zeros((n, rank, n_inputs), f),
        h=np.zeros((n, rank), f),
    )


@njit(inline="always")
def _dot(a, b):
    """Sum of a[i] b[i] over 32 strided lanes and a fixed tree: vectorises, and every machine can repeat its bits."""
    lanes = np.zeros(LANES, a.dtype)
    whole = a.shape[0] // LANES * LANES
    for start in range(0, whole, LANES):
        part_a, part_b = a[start : start + LANES], b[start : start + LANES]
        for lane in range(LANES):
            lanes[lane] = fma(part_a[lane], part_b[lane], lanes[lane])
    for i in range(whole, a.shape[0]):
        lanes[i - whole] = fma(a[i], b[i], lanes[i - whole])
    width = LANES // 2
    while width > 0:
        for lane in range(width):
            lanes[lane] += lanes[lane + width]
        width //= 2
    return lanes[0]


@njit(inline="always")
def _axpy(factor, x, y):
    for i in range(y.shape[0]):
        y[i] = fma(factor, x[i], y[i])


@njit(nogil=True, cache=True)
def _flush(p, q, g, h, held):
    """Apply the held-back updates of one neuron: P -= sum g g', q -= sum h g. Both triangles get the same bits."""
    for a in range(p.shape[0]):
        row = p[a]
        i = 0
        while i + 4 <= held:
            g0, g1, g2, g3 = g[i], g[i + 1], g[i + 2], g[i + 3]
            f0, f1, f2, f3 = -g0[a], -g1[a], -g2[a], -g3[a]
            for b in range(row.shape[0]):
                row[b] = fma(f3, g3[b], fma(f2, g2[b], fma(f1, g1[b], fma(f0, g0[b], row[b]))))
            i += 4
        while i < held:
            _axpy(-g[i, a], g[i], row)
            i += 1
    for i in range(held):
        _axpy(-h[i], g[i], q)


@njit(nogil=True, cache=True)
def rls_step(state, held, rho, pre, trace, ff_trace, bias, first, last):
    """Update neurons first..last-1 once.

    Parameters
    ----------
    state : RlsState
    held : int
        Updates held back so far (the same for all neurons); when it reaches B with this one, all are applied.
    rho : float32
        Decay of the traces since the last update, exactly the factor the simulator multiplied them with.
    pre : (neuron, input - ff) int32
        Presynaptic neuron of each recurrent input.
    trace, ff_trace : (all neurons,), (ff,) float32
        Presynaptic traces now.
    bias : (neuron,) float32
        Other currents minus the target.

    Returns
    -------
    int
        First neuron whose r'k is negative or not finite (P is no longer positive definite), or -1.

    """
    n_ff = ff_trace.shape[0]
    n_inputs = state.q.shape[1]
    rank = state.g.shape[1]
    one = state.q.dtype.type(1.0)
    changed = np.empty(n_inputs, np.int64)
    delta = np.empty(n_inputs, state.q.dtype)
    k = np.empty(n_inputs, state.q.dtype)
    for n in range(first, last):
        r, q, g, h, w = state.r[n], state.q[n], state.g[n], state.h[n], state.weights[n]
        n_changed = 0
        for j in range(n_inputs):
            now = ff_trace[j] if j < n_ff else trace[pre[n, j - n_ff]]
            d = now - rho * r[j]
            r[j] = now
            if d != 0:
                changed[n_changed] = j
                delta[n_changed] = d
                n_changed += 1
        for i in range(n_inputs):
            q[i] *= rho
        for i in range(held):
            h[i] *= rho
        for m in range(n_changed):
            j = changed[m]
            _axpy(delta[m], state.p[n, j], q)
            for i in range(held):
                h[i] = fma(delta[m], g[i, j], h[i])
        k[:] = q
        for i in range(held):
            _axpy(-h[i], g[i], k)
        rk = _dot(r, k)
        if not (rk >= 0 and np.isfinite(rk)):
            return n
        c = one / (one + rk)
        root = np.sqrt(c)
        _axpy(-c * (_dot(w, r) + bias[n]), k, w)
        for i in range(n_inputs):
            g[held, i] = root * k[i]
        h[held] = root * rk
        if held + 1 == rank:
            _flush(state.p[n], q, g, h, rank)
    return -1


@njit(nogil=True, cache=True)
def flush(state, held, first, last):
    """Apply the held-back updates of neurons first..last-1 (at the end of a trial)."""
    for n in range(first, last):
        _flush(state.p[n], state.q[n], state.g[n], state.h[n], held)


@njit(nogil=True, cache=True)
def refresh_fixed(fixed, weights, row, slot, offset, scale):
    """Copy weights (neuron, input) into the simulator's fixed-point table by presynaptic neuron."""
    for k in range(fixed.shape[0]):
        fixed[k] = np.int64(np.rint(np.float64(weights[row[k], slot[k] + offset]) * scale))
