"""Ridge regressions of neurons with the same inputs: one Cholesky factor, sixteen right-hand sides at a time.

Each neuron's operations are those of `kernels.cpu.ridge.solve_one`, in their order, so its bits are too.
"""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.ridge import factor, penalise
from fitrec.kernels.cpu.simd import WIDTH, broadcast, load, store, vfnma, vmul


@njit(nogil=True, cache=True)
def right_sides(gram, moment, initial, panel):
    """Set the right-hand sides ``moment - gram initial`` of up to sixteen neurons.

    Parameters
    ----------
    gram : (padded input, padded input) float32
        Only its upper triangle is read.
    moment, initial : (neuron, input) float32
    panel : (input, 16) float32
        Set; 0 beyond the last neuron.

    """
    n = initial.shape[1]
    weights, total = np.zeros((n, WIDTH)), np.empty(WIDTH)
    for k in range(len(initial)):
        for i in range(n):
            weights[i, k] = np.float64(initial[k, i])
    for i in range(n):
        total[:] = 0
        for j in range(n):
            g = np.float64(gram[j, i] if j < i else gram[i, j])
            for k in range(WIDTH):
                total[k] = fma(g, weights[j, k], total[k])
        for k in range(WIDTH):
            panel[i, k] = np.float32(np.float64(moment[k, i]) - total[k]) if k < len(initial) else np.float32(0)


@njit(nogil=True, cache=True)
def factor_block(gram, n, n_exc, diagonal, same_kind):
    """Add the penalties and factor the matrix in place; returns the reciprocals of the factor's diagonal."""
    inverse = np.empty(gram.shape[1], np.float32)
    penalise(gram, n, n_exc, diagonal, same_kind)
    factor(gram, n, inverse)
    return inverse


@njit(nogil=True, cache=True)
def solve_panel(gram, inverse, panel, initial, out):
    """Solve for the neurons of a panel: ``out = initial + matrix^-1 panel``; `panel` is destroyed."""
    n = initial.shape[1]
    for k in range(n):
        x = vmul(broadcast(inverse[k]), load(panel, k * WIDTH))
        store(panel, k * WIDTH, x)
        for j in range(k + 1, n):
            store(panel, j * WIDTH, vfnma(broadcast(gram[k, j]), x, load(panel, j * WIDTH)))
    for k in range(n - 1, -1, -1):
        x = vmul(broadcast(inverse[k]), load(panel, k * WIDTH))
        store(panel, k * WIDTH, x)
        for j in range(k):
            store(panel, j * WIDTH, vfnma(broadcast(gram[j, k]), x, load(panel, j * WIDTH)))
    for k in range(len(initial)):
        for j in range(n):
            out[k, j] = initial[k, j] + panel[j, k]
