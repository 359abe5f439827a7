"""The two things the event-driven RLS does with a stored P, for each way to store it.

``add_columns``: q += sum_m delta_m P[:, changed_m]. ``apply_held``: P -= sum_i g_i g_i'. With packed P the bits are those of full
P, because every element is summed in the same order.
"""

import numpy as np
from numba import njit, types
from numba.extending import overload

from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.quads import QUAD, load_column, load_row, repeat_all, repeat_each
from fitrec.kernels.cpu.rls_state import CODE_ONE
from fitrec.kernels.cpu.simd import WIDTH, load, prefetch, spread, store, vfma, vfnma, vmul
from fitrec.kernels.cpu.tiles import stream_transpose, subtract_product

ROWS = 4  # of P worked on together: they share the loads of q or g


def add_columns(p, scale, pool, n_inputs, changed, delta, count, q):
    """Add sum_m delta[m] P[:, changed[m]] of one pool to its q; `changed` ascends."""


def apply_held(p, scale, pool, n_inputs, g, held, half):
    """Subtract sum_i g_i g_i' from one P, over the `held` updates held back.

    With `half` one triangle of a full P is computed, and each tile written a second time where it is mirrored: the same bits.
    """


@njit(inline="always")
def _add_rows(p, row0, row1, row2, row3, delta, m, first, last, y, y_start):
    """y[first:last] += four rows of P, which begin at row0..row3, times delta[m:m+4]."""
    d0, d1, d2, d3 = spread(delta, m), spread(delta, m + 1), spread(delta, m + 2), spread(delta, m + 3)
    for b in range(first, last, WIDTH):
        x = vfma(d0, load(p, row0 + b), load(y, y_start + b))
        x = vfma(d1, load(p, row1 + b), x)
        x = vfma(d2, load(p, row2 + b), x)
        store(y, y_start + b, vfma(d3, load(p, row3 + b), x))


@njit(inline="always")
def _add_row(p, row, delta, m, first, last, y, y_start):
    d = spread(delta, m)
    for b in range(first, last, WIDTH):
        store(y, y_start + b, vfma(d, load(p, row + b), load(y, y_start + b)))


@njit(nogil=True)
def _add_columns_full(p, scale, pool, n_inputs, changed, delta, count, q):
    width = q.shape[1]
    start, whole = pool * n_inputs * width, count // ROWS * ROWS
    for m in range(0, whole, ROWS):
        row0, row1 = start + changed[m] * width, start + changed[m + 1] * width
        row2, row3 = start + changed[m + 2] * width, start + changed[m + 3] * width
        _add_rows(p, row0, row1, row2, row3, delta, m, 0, width, q, pool * width)
    for m in range(whole, count):
        _add_row(p, start + changed[m] * width, delta, m, 0, width, q, pool * width)


@njit(inline="always")
def _subtract_tile(p, at, stride, g, g_a, g_b, held):
    """Apply the held-back updates to 4 rows and 16 columns."""
    prefetch(p, at + 4 * stride)
    prefetch(p, at + 5 * stride)
    prefetch(p, at + 6 * stride)
    prefetch(p, at + 7 * stride)
    x0, x1, x2, x3 = load(p, at), load(p, at + stride), load(p, at + 2 * stride), load(p, at + 3 * stride)
    for i in range(0, held * WIDTH, WIDTH):
        v = load(g, g_b + i)
        x0 = vfnma(spread(g, g_a + i), v, x0)
        x1 = vfnma(spread(g, g_a + i + 1), v, x1)
        x2 = vfnma(spread(g, g_a + i + 2), v, x2)
        x3 = vfnma(spread(g, g_a + i + 3), v, x3)
    store(p, at, x0)
    store(p, at + stride, x1)
    store(p, at + 2 * stride, x2)
    store(p, at + 3 * stride, x3)


@njit(inline="always")
def _subtract_row(p, at, g, g_a, g_b, held):
    x = load(p, at)
    for i in range(0, held * WIDTH, WIDTH):
        x = vfnma(spread(g, g_a + i), load(g, g_b + i), x)
    store(p, at, x)


@njit(inline="always")
def _subtract_half(p, pool, n_inputs, g, held):
    """Apply the held-back updates to whole blocks of 16 rows; returns how many rows these are."""
    width, block = p.shape[2], g.shape[2] * WIDTH
    g_start, whole = pool * g.shape[1] * block, n_inputs // WIDTH * WIDTH
    for a in range(0, whole, WIDTH):
        for b in range(a, width, WIDTH):
            at, mirrored = (pool * n_inputs + a) * width + b, (pool * n_inputs + b) * width + a
            for k in range(WIDTH):
                prefetch(p, at + 2 * WIDTH + k * width)
            g_a, g_b = g_start + a // WIDTH * block, g_start + b // WIDTH * block
            subtract_product(g, g_a, WIDTH, g, g_b, WIDTH, held, p, at, width)
            if a < b < whole:
                stream_transpose(p, at, width, p, mirrored, width)
    return whole


@njit(nogil=True)
def _apply_held_full(p, scale, pool, n_inputs, g, held, half):
    width, block = p.shape[2], g.shape[2] * WIDTH
    g_start, whole = pool * g.shape[1] * block, n_inputs // ROWS * ROWS
    for a in range(_subtract_half(p, pool, n_inputs, g, held) if half else 0, whole, ROWS):
        row, g_a = (pool * n_inputs + a) * width, g_start + a // WIDTH * block + a % WIDTH
        for b in range(0, width, WIDTH):
            _subtract_tile(p, row + b, width, g, g_a, g_start + b // WIDTH * block, held)
    for a in range(whole, n_inputs):
        row, g_a = (pool * n_inputs + a) * width, g_start + a // WIDTH * block + a % WIDTH
        for b in range(0, width, WIDTH):
            _subtract_row(p, row + b, g, g_a, g_start + b // WIDTH * block, held)


@njit(inline="always")
def _packed_column(c, width):
    """Offset in a packed P of where row 0 of column c would be; the next row is `QUAD` further on."""
    first = c // WIDTH * WIDTH
    rows = width - first
    return first * (width - (first - WIDTH) // 2) + (c % WIDTH // QUAD * rows - first) * QUAD + c % QUAD


@njit(nogil=True)
def _add_columns_packed(p, scale, pool, n_inputs, changed, delta, count, q):
    width = q.shape[1]
    start, q_start = pool * p.shape[1], pool * width
    for m in range(count):
        j, d = changed[m], spread(delta, m)
        diagonal = j // WIDTH * WIDTH
        for b in range(0, diagonal, WIDTH):  # row j instead
            row = load_row(p, start + _packed_column(b, width) + j * QUAD, (width - b) * QUAD)
            store(q, q_start + b, vfma(d, row, load(q, q_start + b)))
        strip = start + _packed_column(j // QUAD * QUAD, width)
        for b in range(diagonal, width, WIDTH):
            column = load_column(p, strip + b * QUAD, j % QUAD)
            store(q, q_start + b, vfma(d, column, load(q, q_start + b)))


@njit(nogil=True)
def _apply_held_packed(p, scale, pool, n_inputs, g, held, half):
    width, block = g.shape[1] * WIDTH, g.shape[2] * WIDTH
    at, g_start = pool * p.shape[1], pool * g.shape[1] * block
    for b in range(0, width, WIDTH):
        stride, g_b = (width - b) * QUAD, g_start + b // WIDTH * block
        for a in range(b, width, QUAD):
            g_a = g_start + a // WIDTH * block + a % WIDTH
            x0, x1, x2, x3 = load(p, at), load(p, at + stride), load(p, at + 2 * stride), load(p, at + 3 * stride)
            for i in range(0, held * WIDTH, WIDTH):
                rows = repeat_each(g, g_a + i)
                x0 = vfnma(rows, repeat_all(g, g_b + i), x0)
                x1 = vfnma(rows, repeat_all(g, g_b + i + QUAD), x1)
                x2 = vfnma(rows, repeat_all(g, g_b + i + 2 * QUAD), x2)
                x3 = vfnma(rows, repeat_all(g, g_b + i + 3 * QUAD), x3)
            store(p, at, x0)
            store(p, at + stride, x1)
            store(p, at + 2 * stride, x2)
            store(p, at + 3 * stride, x3)
            at += WIDTH
        at += 3 * stride  # the three strips beside the first one


@njit(nogil=True)
def _add_columns_int16(p, scale, pool, n_inputs, changed, delta, count, q):
    """P[a, b] = scale[a] scale[b] code[a, b] / CODE_ONE."""
    width = q.shape[1]
    start, whole = pool * n_inputs * width, count // ROWS * ROWS
    total, scaled = np.zeros(width, q.dtype), np.empty(count, q.dtype)
    for m in range(count):
        scaled[m] = delta[m] * scale[pool, changed[m]] * q.dtype.type(1.0 / CODE_ONE)
    for m in range(0, whole, ROWS):
        row0, row1 = start + changed[m] * width, start + changed[m + 1] * width
        row2, row3 = start + changed[m + 2] * width, start + changed[m + 3] * width
        _add_rows(p, row0, row1, row2, row3, scaled, m, 0, width, total, 0)
    for m in range(whole, count):
        _add_row(p, start + changed[m] * width, scaled, m, 0, width, total, 0)
    for b in range(0, width, WIDTH):
        at = pool * width + b
        store(q, at, vfma(load(scale, at), load(total, b), load(q, at)))


@njit(inline="always")
def _recode_tile(p, at, stride, old, inverse, a, b, g, g_a, g_b, held):
    """Apply the held-back updates to 4 rows and 16 columns of codes, from the old scales to the new ones."""
    v, u = load(old, b), load(inverse, b)
    x0 = vmul(vmul(spread(old, a), v), load(p, at))
    x1 = vmul(vmul(spread(old, a + 1), v), load(p, at + stride))
    x2 = vmul(vmul(spread(old, a + 2), v), load(p, at + 2 * stride))
    x3 = vmul(vmul(spread(old, a + 3), v), load(p, at + 3 * stride))
    for i in range(0, held * WIDTH, WIDTH):
        y = load(g, g_b + i)
        x0 = vfnma(spread(g, g_a + i), y, x0)
        x1 = vfnma(spread(g, g_a + i + 1), y, x1)
        x2 = vfnma(spread(g, g_a + i + 2), y, x2)
        x3 = vfnma(spread(g, g_a + i + 3), y, x3)
    store(p, at, vmul(vmul(spread(inverse, a), u), x0))
    store(p, at + stride, vmul(vmul(spread(inverse, a + 1), u), x1))
    store(p, at + 2 * stride, vmul(vmul(spread(inverse, a + 2), u), x2))
    store(p, at + 3 * stride, vmul(vmul(spread(inverse, a + 3), u), x3))


@njit(nogil=True)
def _apply_held_int16(p, scale, pool, n_inputs, g, held, half):
    width, block, one = g.shape[1] * WIDTH, g.shape[2] * WIDTH, scale.dtype.type(1.0)
    start, g_start = pool * n_inputs * width, pool * g.shape[1] * block
    old, inverse = np.zeros(width, scale.dtype), np.zeros(width, scale.dtype)
    for a in range(n_inputs):
        old[a] = scale[pool, a] * scale.dtype.type(1.0 / np.sqrt(CODE_ONE))
        diagonal = scale[pool, a] * scale[pool, a]
        for i in range(held):
            value = g[pool, a // WIDTH, i, a % WIDTH]
            diagonal = fma(-value, value, diagonal)
        scale[pool, a] = np.sqrt(diagonal)
        inverse[a] = scale.dtype.type(np.sqrt(CODE_ONE)) * (one / scale[pool, a])
    whole = n_inputs // ROWS * ROWS
    for a in range(0, whole, ROWS):
        row, g_a = start + a * width, g_start + a // WIDTH * block + a % WIDTH
        for b in range(0, width, WIDTH):
            _recode_tile(p, row + b, width, old, inverse, a, b, g, g_a, g_start + b // WIDTH * block, held)
    for a in range(whole, n_inputs):
        row, g_a = start + a * width, g_start + a // WIDTH * block + a % WIDTH
        for b in range(0, width, WIDTH):
            g_b = g_start + b // WIDTH * block
            x = vmul(vmul(spread(old, a), load(old, b)), load(p, row + b))
            for i in range(0, held * WIDTH, WIDTH):
                x = vfnma(spread(g, g_a + i), load(g, g_b + i), x)
            store(p, row + b, vmul(vmul(spread(inverse, a), load(inverse, b)), x))


def _choose(p, full, packed, int16):
    if p.dtype == types.int16:
        return int16
    return packed if p.ndim == 2 else full


@overload(add_columns)
def _add_columns(p, scale, pool, n_inputs, changed, delta, count, q):
    chosen = _choose(p, _add_columns_full, _add_columns_packed, _add_columns_int16)
    return lambda p, scale, pool, n_inputs, changed, delta, count, q: chosen(p, scale, pool, n_inputs, changed, delta, count, q)


@overload(apply_held)
def _apply_held(p, scale, pool, n_inputs, g, held, half):
    chosen = _choose(p, _apply_held_full, _apply_held_packed, _apply_held_int16)
    return lambda p, scale, pool, n_inputs, g, held, half: chosen(p, scale, pool, n_inputs, g, held, half)
