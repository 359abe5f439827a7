"""Feed-forward columns of the ridge problems: products with small matrices, in float64; see `learn.feed_forward_columns`."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.products import multiply
from fitrec.kernels.cpu.simd import WIDTH


@njit(inline="always")
def _put(products, out, column, first, last):
    """Write (row, 16) products, rounded to float32, to columns of the rows first..last-1 of `out`."""
    for i in range(last - first):
        for j in range(len(products)):
            out[first + i, column + j] = np.float32(products[j, i])


@njit(inline="always")
def _targets(target, first, last, panel):
    for t in range(len(target)):
        for i in range(WIDTH):
            panel[t, i] = target[t, first + i] if first + i < last else 0.0


@njit(nogil=True, cache=True)
def reduce(rows, cross, out, column, first, last):
    """Set columns of ``out`` to `cross` times a matrix, for the pool's neurons first..last-1.

    Parameters
    ----------
    rows : (block, ff, 4) float64
        The matrix's transpose, (ff, ff); see `kernels.cpu.products.by_rows`.
    cross : (pool, ff) float32
    out : (pool, condition x ff) float32
    column : int
        The first one.

    """
    n = cross.shape[1]
    panel, products = np.zeros((n, WIDTH)), np.empty((n, WIDTH))
    for p in range(first, last, WIDTH):
        end = min(p + WIDTH, last)
        for i in range(p, end):
            for k in range(n):
                panel[k, i - p] = np.float64(cross[i, k])
        multiply(rows, panel, products, 0, WIDTH)
        _put(products, out, column, p, end)


@njit(nogil=True, cache=True)
def moments(rows, target, out, column, n_ff, first, last):
    """Set columns of ``out`` to the products of a matrix and the targets of the neurons first..last-1.

    Parameters
    ----------
    rows : (block, time, 4) float64
        The matrix, (ff, time).
    target : (time, neuron) float64
    out : (neuron, condition x ff) float32

    """
    panel, products = np.empty((len(target), WIDTH)), np.empty((n_ff, WIDTH))
    for u in range(first, last, WIDTH):
        end = min(u + WIDTH, last)
        _targets(target, u, end, panel)
        multiply(rows, panel, products, 0, WIDTH)
        _put(products, out, column, u, end)


@njit(nogil=True, cache=True)
def weights(rows, target, cross, inputs, plastic, out, first, last):
    """Feed-forward weights of the neurons first..last-1, whose plastic ones are known.

    Parameters
    ----------
    rows : (block, time + ff, 4) float64
        The matrix (ff, time + ff) that is applied to the target and, below it, to the products with the plastic drive.
    target : (time, neuron) float64
    cross : (pool, ff) float32
    inputs, plastic : (neuron, input) int32, float32
    out : (neuron, ff) float32

    """
    n_time, n = len(target), cross.shape[1]
    panel, products, total = np.empty((n_time + n, WIDTH)), np.empty((n, WIDTH)), np.empty(n)
    for u in range(first, last, WIDTH):
        end = min(u + WIDTH, last)
        _targets(target, u, end, panel)
        panel[n_time:] = 0.0
        for i in range(u, end):
            total[:] = 0.0
            for j in range(inputs.shape[1]):
                weight, row = np.float64(plastic[i, j]), cross[inputs[i, j]]
                for k in range(n):
                    total[k] = fma(weight, np.float64(row[k]), total[k])
            panel[n_time:, i - u] = total
        multiply(rows, panel, products, 0, WIDTH)
        _put(products, out, 0, u, end)
