"""Ridge regressions of neurons on the traces of their inputs: Gram matrix, Cholesky factor and solution, one neuron at a time.

The twin of `kernels.cuda.ridge`, bit for bit; the textbook form is `kernels.reference.ridge`. Order of sums: samples are taken in
pieces of 256; within one each sum goes over the samples in their order, then the piece is added. The factor takes rows away from
each element in their order, and the solution is found column by column.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.simd import WIDTH, broadcast, load, store, vfma, vfnma, vmul
from fitrec.kernels.cpu.tiles import add_product, subtract_product, transpose

SAMPLES = 256  # in a piece: two blocks of 16 inputs fit into the first-level cache


class Traces(NamedTuple):
    """Kept traces: `kept` times `scale`, each trial times the root of its weight; ``used`` trials of every condition count."""

    kept: NDArray[Any]  # (condition, pool, slot, time) uint16 or float32
    scale: NDArray[Any]  # (condition, pool, slot) float32
    root_weight: NDArray[Any]  # (condition, used) float32


class Eliminated(NamedTuple):
    """Feed-forward columns that were eliminated beforehand: their products are taken away; see `learn.feed_forward_columns`."""

    reduction: NDArray[Any]  # (pool, column) float32
    moment: NDArray[Any]  # (neuron, column) float32


class Regressions(NamedTuple):
    """What the neurons' problems differ in, and the penalties on the change of the weights."""

    target: NDArray[Any]  # (condition, time, neuron) float64
    inputs: NDArray[Any]  # (neuron, input) int32, places in the pool, E inputs first
    initial: NDArray[Any]  # (neuron, input) float32
    n_exc: Any  # int32
    diagonal: Any  # float32, added to the diagonal of the Gram matrix
    same_kind: Any  # float32, added between two E inputs and between two I inputs, off the diagonal


@njit(inline="always")
def _pieces(n):
    return -(-n // SAMPLES)


@njit(nogil=True)
def _gather_traces(traces, c, columns, first, end, rows, panels):
    """Gather samples first..end-1 of some neurons in condition c: panels of 16 neurons, (panel, sample, 16), then zeros."""
    n, n_bins = len(columns), traces.kept.shape[3]
    for start in range(0, n, WIDTH):
        for i in range(WIDTH):
            if start + i >= n:
                rows[i, :] = 0
                continue
            column, s = columns[start + i], first
            while s < end:
                k = s // n_bins
                t = s - k * n_bins
                m = min(n_bins - t, end - s)
                source, row = traces.kept[c, column, k, t : t + m], rows[i, s - first : s - first + m]
                factor = traces.scale[c, column, k] * traces.root_weight[c, k]
                for j in range(m):
                    row[j] = np.float32(source[j]) * factor
                s += m
        _to_panel(rows, end - first, panels, start)


@njit(nogil=True)
def _gather_rows(matrix, columns, first, end, rows, panels):
    """Gather elements first..end-1 of the rows `columns` of a matrix, as `_gather_traces` lays them out."""
    for start in range(0, len(columns), WIDTH):
        for i in range(WIDTH):
            if start + i < len(columns):
                rows[i, : end - first] = matrix[columns[start + i], first:end]
            else:
                rows[i, :] = 0
        _to_panel(rows, end - first, panels, start)


@njit(inline="always")
def _to_panel(rows, samples, panels, start):
    for s in range(0, samples, WIDTH):
        transpose(rows, s, SAMPLES, panels, (start // WIDTH * SAMPLES + s) * WIDTH, WIDTH)


@njit(nogil=True)
def _add_piece(panels, y, samples, gram, moment, negative):
    """Add the products of gathered samples to the upper triangle of the Gram matrix and to the moments, or take them away."""
    width = gram.shape[1]
    step = SAMPLES * WIDTH
    for p in range(width // WIDTH):
        for q in range(p, width // WIDTH):
            at = p * WIDTH * width + q * WIDTH
            add_product(panels, p * step, WIDTH, panels, q * step, WIDTH, samples, gram, at, width, negative)
    sign = np.float32(-1 if negative else 1)
    blocks = width // WIDTH
    for p in range(0, blocks, 4):  # four chains at a time; what is beyond the last is the last once more
        p0, p1, p2, p3 = p, min(p + 1, blocks - 1), min(p + 2, blocks - 1), min(p + 3, blocks - 1)
        x0 = x1 = x2 = x3 = broadcast(np.float32(0))
        for s in range(samples):
            factor, at = broadcast(y[s]), s * WIDTH
            x0 = vfma(factor, load(panels, p0 * step + at), x0)
            x1 = vfma(factor, load(panels, p1 * step + at), x1)
            x2 = vfma(factor, load(panels, p2 * step + at), x2)
            x3 = vfma(factor, load(panels, p3 * step + at), x3)
        one = broadcast(sign)
        store(moment, p0 * WIDTH, vfma(one, x0, load(moment, p0 * WIDTH)))
        if p + 1 < blocks:
            store(moment, p1 * WIDTH, vfma(one, x1, load(moment, p1 * WIDTH)))
        if p + 2 < blocks:
            store(moment, p2 * WIDTH, vfma(one, x2, load(moment, p2 * WIDTH)))
        if p + 3 < blocks:
            store(moment, p3 * WIDTH, vfma(one, x3, load(moment, p3 * WIDTH)))


@njit(nogil=True)
def factor(matrix, n, inverse):
    """Cholesky factor U with U'U = matrix, in the upper triangle; `inverse` gets 1 / U_kk. NaN from where there is none."""
    width = matrix.shape[1]
    for first in range(0, n, WIDTH):
        end = min(first + WIDTH, n)
        for k in range(first, end):
            x = matrix[k, k]
            inverse[k] = np.float32(1) / np.sqrt(x) if x > 0 else np.float32(np.nan)
            factor = broadcast(inverse[k])
            for j in range(first, width, WIDTH):
                at = k * width + j
                store(matrix, at, vmul(factor, load(matrix, at)))
            for i in range(k + 1, end):
                factor = broadcast(matrix[k, i])
                for j in range(first, width, WIDTH):
                    at = i * width + j
                    store(matrix, at, vfnma(factor, load(matrix, k * width + j), load(matrix, at)))
        for i in range(first + WIDTH, width, WIDTH):
            for j in range(i, width, WIDTH):
                subtract_product(
                    matrix, first * width + i, width, matrix, first * width + j, width, end - first, matrix, i * width + j, width
                )


@njit(inline="always")
def penalise(gram, n, n_exc, diagonal, same_kind):
    """Add the penalties to the upper triangle of the Gram matrix of n inputs; see `Regressions`."""
    for i in range(n):
        for j in range(i + 1, n_exc if i < n_exc else n):
            gram[i, j] += same_kind
        gram[i, i] += diagonal


@njit(nogil=True, cache=True)
def solve_one(gram, moment, initial, n_exc, diagonal, same_kind, out):
    """Solve one neuron's problem: ``(gram + penalties) (w - initial) = moment - gram initial``.

    Parameters
    ----------
    gram : (input padded to 16, as many) float32
        Only its upper triangle is read; it is destroyed.
    moment : (padded input,) float32
        Destroyed.
    initial : (input,) float32
    n_exc : int
        The first so many inputs are E.
    diagonal, same_kind : float32
        See `Regressions`.
    out : (input,) float32
        Receives w; NaN where the matrix has no Cholesky factor.

    """
    n, width = len(initial), gram.shape[1]
    inverse = np.empty(width, np.float32)
    for i in range(n):
        total = 0.0  # E and I weights nearly cancel
        for j in range(n):
            g = gram[j, i] if j < i else gram[i, j]
            total = fma(np.float64(g), np.float64(initial[j]), total)
        inverse[i] = np.float32(np.float64(moment[i]) - total)
    moment[:n] = inverse[:n]
    penalise(gram, n, n_exc, diagonal, same_kind)
    factor(gram, n, inverse)
    for k in range(n):
        moment[k] *= inverse[k]
        x = -moment[k]
        for j in range(k + 1, n):
            moment[j] = fma(gram[k, j], x, moment[j])
    for k in range(n - 1, -1, -1):
        moment[k] *= inverse[k]
        x = -moment[k]
        for j in range(k):
            moment[j] = fma(gram[j, k], x, moment[j])
    for j in range(n):
        out[j] = initial[j] + moment[j]


@njit(nogil=True, cache=True)
def solve(traces, eliminated, problems, first, last, out):
    """Solve the problems of the neurons first..last-1 from the traces of their inputs.

    Parameters
    ----------
    traces : Traces
    eliminated : Eliminated
    problems : Regressions
    out : (neuron, input) float32

    """
    n_conditions, _, _, n_bins = traces.kept.shape
    n = problems.inputs.shape[1]
    width = -(-n // WIDTH) * WIDTH
    n_samples, n_columns = traces.root_weight.shape[1] * n_bins, eliminated.reduction.shape[1]
    gram, moment = np.empty((width, width), np.float32), np.empty(width, np.float32)
    rows, panels = np.zeros((WIDTH, SAMPLES), np.float32), np.empty(width * SAMPLES, np.float32)
    target, y = np.empty((n_conditions, n_bins)), np.empty(SAMPLES, np.float32)
    for u in range(first, last):
        gram[:], moment[:] = 0, 0
        columns = problems.inputs[u]
        target[:] = problems.target[:, :, u]
        for c in range(n_conditions):
            for start in range(0, n_samples, SAMPLES):
                end = min(start + SAMPLES, n_samples)
                _gather_traces(traces, c, columns, start, end, rows, panels)
                for s in range(start, end):  # the target is the same in every trial, and meets the root of its weight here
                    k = s // n_bins
                    y[s - start] = np.float32(np.float64(traces.root_weight[c, k]) * target[c, s - k * n_bins])
                _add_piece(panels, y, end - start, gram, moment, False)
        for start in range(0, n_columns, SAMPLES):
            end = min(start + SAMPLES, n_columns)
            _gather_rows(eliminated.reduction, columns, start, end, rows, panels)
            y[: end - start] = eliminated.moment[u, start:end]
            _add_piece(panels, y, end - start, gram, moment, True)
        solve_one(gram, moment, problems.initial[u], problems.n_exc, problems.diagonal, problems.same_kind, out[u])


@njit(nogil=True, cache=True)
def own_block(gram, columns):
    """Return the upper triangle of the block that belongs to some inputs, padded to 16; of the Gram matrix it takes the same."""
    n = len(columns)
    width = -(-n // WIDTH) * WIDTH
    # First in ascending order, so that each row of the large matrix is read in one go; then in the inputs' own order.
    order = np.argsort(columns)
    places, rank = columns[order].astype(np.uint32), np.empty(n, np.uint32)
    ascending, own = np.empty((n, n), np.float32), np.zeros((width, width), np.float32)
    for i in range(n):
        rank[order[i]] = i
        row = gram[places[i]]
        for j in range(i, n):
            ascending[i, j] = row[places[j]]
    for i in range(n):
        a = rank[i]
        for j in range(i, n):
            b = rank[j]
            own[i, j] = ascending[min(a, b), max(a, b)]
    return own


@njit(nogil=True, cache=True)
def cross(traces, c, ff, first, last, out):
    """Multiply the traces of the pool's neurons first..last-1 in condition c with feed-forward traces.

    Parameters
    ----------
    traces : Traces
    ff : (sample, ff padded to 16) float32
        Times the root of their trial's weight too.
    out : (pool padded to 16, padded ff) float32
        Zeros, to which the products are added; `first` and the size of its rows are multiples of 16.

    """
    width = ff.shape[1]
    rows, panel = np.zeros((WIDTH, SAMPLES), np.float32), np.empty(WIDTH * SAMPLES, np.float32)
    for p in range(first, last, WIDTH):
        columns = np.arange(p, min(p + WIDTH, last)).astype(np.int32)
        for start in range(0, len(ff), SAMPLES):
            end = min(start + SAMPLES, len(ff))
            _gather_traces(traces, c, columns, start, end, rows, panel)
            for j in range(0, width, WIDTH):
                add_product(panel, 0, WIDTH, ff, start * width + j, width, end - start, out, p * width + j, width, False)
