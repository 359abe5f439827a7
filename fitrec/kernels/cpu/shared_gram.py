"""One Gram matrix of the traces of all presynaptic neurons, and the regressions of neurons that each take their block of it.

The twin of ``kernels/cuda/shared_gram.cu``, bit for bit. Order of sums: trial after trial; within one, samples in pieces of 256,
each summed from zero and then added. Only the upper triangle of the Gram matrix is formed, in blocks of 16 x 16.
"""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.products import multiply
from fitrec.kernels.cpu.ridge import SAMPLES, own_block, solve_one
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.kernels.cpu.tiles import add_product


@njit(nogil=True, cache=True)
def pack_rows(rows, panels, first, last):
    """Lay out 16 columns of (sample, column) at a time: the panels first..last-1 of (panel, sample, 16), then zeros."""
    n = rows.shape[1]
    for p in range(first, last):
        for s in range(len(rows)):
            for i in range(WIDTH):
                panels[p, s, i] = rows[s, p * WIDTH + i] if p * WIDTH + i < n else np.float32(0)


@njit(nogil=True, cache=True)
def pack_columns(columns, panels, first, last):
    """Lay out (column, sample) as `pack_rows` does its transpose."""
    n = len(columns)
    for p in range(first, last):
        for i in range(WIDTH):
            for s in range(columns.shape[1]):
                panels[p, s, i] = columns[p * WIDTH + i, s] if p * WIDTH + i < n else np.float32(0)


@njit(nogil=True, cache=True)
def add_products(left, right, out, upper, negative, first, last):
    """Add products of samples to ``out``, or take them away.

    Parameters
    ----------
    left, right : (trial, panel, sample, 16) float32
        See `pack_rows`.
    out : (left column, right column) float32, both padded to 16
    upper : bool
        Only blocks on and above the diagonal.
    first, last : int
        Panels of `left`.

    """
    n_trials, panels, n_samples, _ = left.shape
    others, width = right.shape[1], out.shape[1]
    for p in range(first, last):
        for q in range(p if upper else 0, others):
            at = p * WIDTH * width + q * WIDTH
            for k in range(n_trials):
                for start in range(0, n_samples, SAMPLES):
                    a = ((k * panels + p) * n_samples + start) * WIDTH
                    b = ((k * others + q) * n_samples + start) * WIDTH
                    n = min(SAMPLES, n_samples - start)
                    add_product(left, a, WIDTH, right, b, WIDTH, n, out, at, width, negative)


@njit(nogil=True, cache=True)
def moments(rows, target, reduced, inputs, out, first, last):
    """Products of traces and targets of the neurons first..last-1, the eliminated columns' taken away; in float64, then rounded.

    They are formed of the whole pool, 16 neurons at a time: faster than gathering each neuron's inputs where the pool is less
    than some 60 times as large as a neuron's inputs.

    Parameters
    ----------
    rows : (block, sample + column, 4) float64
        Mean traces (pool, sample) and, beside them, the columns' negative reduction; see `kernels.cpu.products.by_rows`.
    target : (sample, neuron) float64
    reduced : (neuron, column) float32
        See `learn.feed_forward_columns.Columns`.
    inputs : (neuron, input) int32
    out : (neuron, input) float32

    """
    n_samples, n_columns = len(target), reduced.shape[1]
    panel, products = np.zeros((n_samples + n_columns, WIDTH)), np.empty((rows.shape[0] * rows.shape[2], WIDTH))
    for start in range(first, last, WIDTH):
        end = min(start + WIDTH, last)
        for s in range(n_samples):
            for u in range(start, end):
                panel[s, u - start] = target[s, u]
        for u in range(start, end):
            for k in range(n_columns):
                panel[n_samples + k, u - start] = np.float64(reduced[u, k])
        multiply(rows, panel, products, 0, WIDTH)
        for u in range(start, end):
            for i in range(inputs.shape[1]):
                out[u, i] = np.float32(products[inputs[u, i], u - start])


@njit(nogil=True, cache=True)
def solve(gram, moment, problems, first, last, out):
    """Solve the problems of the neurons first..last-1, which is alone with its inputs each.

    Parameters
    ----------
    gram : (pool padded to 16, as many) float32
        Only its upper triangle is read.
    moment : (neuron, input) float32
        Products of traces and targets.
    problems : Regressions
        Its `target` is not read.
    out : (neuron, input) float32

    """
    n = problems.inputs.shape[1]
    for u in range(first, last):
        own = own_block(gram, problems.inputs[u])
        own_moment = np.zeros(own.shape[1], np.float32)
        own_moment[:n] = moment[u]
        solve_one(own, own_moment, problems.initial[u], problems.n_exc, problems.diagonal, problems.same_kind, out[u])
