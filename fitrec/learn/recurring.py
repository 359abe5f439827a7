"""What two measurements with independent noise have in common: the trial averages of even and of odd trials, say."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import products
from fitrec.kernels.cpu import recurring as kernel
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.simulate.threads import thread_map
from fitrec.targets.modes import recurring_filter

TILE = 512  # units per piece of work
LEAST_NOISE = 1e-30

Array = NDArray[np.float64]


def recurring_part(first: Array, second: Array, threads: int | None = 1) -> Array:
    """Best estimate of what two measurements with independent noise have in common.

    Each unit's mean over conditions and time is averaged over the two; of the deviations each principal component is kept in
    proportion to its reliability in the average (Wiener's gain, for the least squared error). Components are those of units in
    multiples of their noise, so that the reliable ones lead. They are found from matrices of (sample, sample).

    Parameters
    ----------
    first, second : (condition, time, unit)

    Returns
    -------
    (condition, time, unit) float64

    """
    one, other = (np.ascontiguousarray(half, np.float64).reshape(-1, half.shape[2]) for half in (first, second))
    n_units = one.shape[1]
    known, out = np.empty((3, n_units)), np.empty_like(one)
    tiles = range(0, n_units, TILE)
    shared = threads if n_units > TILE else 1
    thread_map(lambda start: kernel.units(one, other, known, start, min(start + TILE, n_units)), tiles, shared)
    rows = products.by_rows(recurring_filter(_gram(one, other, known, shared)))

    def tile(start: int) -> None:
        panel, end = np.empty((len(one), WIDTH)), min(start + TILE, n_units)
        for unit in range(start, end, WIDTH):
            last = min(unit + WIDTH, end)
            kernel.deviations(one, other, known, unit, last, panel)
            products.multiply(rows, panel, out, unit, last)
        kernel.add_means(known, out, start, end)

    thread_map(tile, tiles, shared)
    return out.reshape(first.shape)


def noiseless(largest_noise: float) -> np.float64:
    """Return the noise that units without any are given."""
    return np.float64(max(largest_noise, LEAST_NOISE))


def _gram(one: Array, other: Array, known: Array, threads: int | None) -> Array:
    """Gram matrices over units, upper triangles, of one measurement, the other and their sum: (3, sample, sample)."""
    n, n_units = one.shape
    panels = -(-n // WIDTH)
    packed = np.zeros((kernel.SUMS, panels, kernel.GROUP, WIDTH))
    gram, group = (np.zeros((kernel.SUMS, panels * WIDTH, panels * WIDTH)) for _ in range(2))
    instead = noiseless(float(known[2].max(initial=0.0)))
    places = [(panel, which) for panel in range(panels) for which in range(kernel.SUMS)]  # the longest rows first
    for start in range(0, n_units, kernel.GROUP):
        end = min(start + kernel.GROUP, n_units)

        def pack(panel: int, start: int = start, end: int = end) -> None:
            kernel.pack(one, other, known, instead, start, end, panel, packed)

        def add(place: tuple[int, int], n_units: int = end - start) -> None:
            panel, which = place
            kernel.add_group(packed, n_units, which, panel, group, gram)

        thread_map(pack, range(panels), threads)
        thread_map(add, places, threads)
    return gram[:, :n, :n]
