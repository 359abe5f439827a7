"""What two noisy measurements have in common, in float64: the sums over units and samples that `learn.recurring` is made of.

The textbook form is `kernels.reference.drive.recurring_part`. Order of sums: over samples as they stand; over units in groups of
2048, within one a chain of fused multiply-adds from zero, then the group is added.
"""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.simd import WIDTH, load, spread, store, vfma

GROUP = 2048  # units that are summed from zero
PIECE = 128  # of them are read by all rows while they are in the first-level cache
SUMS = 3  # Gram matrices: of one measurement, of the other, of their sum


@njit(nogil=True, cache=True)
def units(one, other, out, first, last):
    """Mean of either measurement and noise of their average, for the units first..last-1.

    Parameters
    ----------
    one, other : (sample, unit) float64
    out : (3, unit) float64

    """
    n = len(one)
    for i in range(first, last):
        out[0, i] = out[1, i] = out[2, i] = 0.0
    for s in range(n):
        for i in range(first, last):
            difference = one[s, i] - other[s, i]
            out[0, i] += one[s, i]
            out[1, i] += other[s, i]
            out[2, i] += difference * difference
    for i in range(first, last):
        out[0, i] /= n
        out[1, i] /= n
        out[2, i] = 0.5 * np.sqrt(out[2, i] / n)


@njit(nogil=True, cache=True)
def pack(one, other, known, noiseless, first, last, panel, out):
    """Deviations in multiples of the noise, for 16 samples of a group of units.

    Parameters
    ----------
    one, other : (sample, unit) float64
    known : (3, unit) float64
        See `units`.
    noiseless : float64
        What stands for a noise of 0.
    first, last : int
        The group's units.
    panel : int
        Which 16 samples.
    out : (3, panel, GROUP, 16) float64
        One measurement, the other, their sum.

    """
    n = len(one)
    for i in range(first, last):
        noise = known[2, i]
        factor = 1.0 / (noise if noise > 0 else noiseless)
        for r in range(WIDTH):
            s = panel * WIDTH + r
            a = b = 0.0
            if s < n:
                a, b = (one[s, i] - known[0, i]) * factor, (other[s, i] - known[1, i]) * factor
            out[0, panel, i - first, r] = a
            out[1, panel, i - first, r] = b
            out[2, panel, i - first, r] = a + b


@njit(nogil=True, cache=True)
def add_group(packed, n_units, which, panel, group, gram):
    """Add a group's products to 16 rows of the upper triangle of one of the Gram matrices.

    Parameters
    ----------
    packed : (3, panel, GROUP, 16) float64
        See `pack`.
    n_units : int
        In the group.
    which, panel : int
        Gram matrix, and its rows.
    group : (3, padded sample, padded sample) float64
        Scratch.
    gram : (3, padded sample, padded sample) float64

    """
    panels = packed.shape[1]
    width = panels * WIDTH
    row = (which * width + panel * WIDTH) * width
    for r in range(WIDTH):
        group[which, panel * WIDTH + r, panel * WIDTH :] = 0.0
    left = (which * panels + panel) * GROUP * WIDTH
    for start in range(0, n_units, PIECE):
        end = min(start + PIECE, n_units)
        for q in range(panel, panels):
            right = (which * panels + q) * GROUP * WIDTH
            for r in range(0, WIDTH, 4):
                at = row + r * width + q * WIDTH
                a, b = load(group, at), load(group, at + width)
                c, d = load(group, at + 2 * width), load(group, at + 3 * width)
                for u in range(start, end):
                    x, place = load(packed, right + u * WIDTH), left + u * WIDTH + r
                    a = vfma(spread(packed, place), x, a)
                    b = vfma(spread(packed, place + 1), x, b)
                    c = vfma(spread(packed, place + 2), x, c)
                    d = vfma(spread(packed, place + 3), x, d)
                store(group, at, a)
                store(group, at + width, b)
                store(group, at + 2 * width, c)
                store(group, at + 3 * width, d)
    for r in range(panel * WIDTH, (panel + 1) * WIDTH):
        for j in range(panel * WIDTH, width):
            gram[which, r, j] += group[which, r, j]


@njit(nogil=True, cache=True)
def deviations(one, other, known, first, last, panel):
    """Mean over both measurements of the deviations of up to 16 units: (sample, 16), then zeros."""
    for s in range(len(one)):
        for i in range(first, last):
            panel[s, i - first] = 0.5 * ((one[s, i] - known[0, i]) + (other[s, i] - known[1, i]))
        for i in range(last - first, WIDTH):
            panel[s, i] = 0.0


@njit(nogil=True, cache=True)
def add_means(known, out, first, last):
    """Add to (sample, unit) the means of both measurements, for the units first..last-1."""
    for s in range(len(out)):
        for i in range(first, last):
            out[s, i] += 0.5 * (known[0, i] + known[1, i])
