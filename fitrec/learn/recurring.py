"""What two measurements with independent noise have in common: the trial averages of even and of odd trials, say."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import products
from fitrec.kernels.cpu import recurring as kernel
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.targets.modes import recurring_filter
from fitrec.threads import thread_map

TILE = 512  # units per piece of work
LEAST_NOISE = 1e-30

Array = NDArray[np.float64]


class Steps(Protocol):
    """What `recurring_part` is made of, for (sample, unit) float64 on the host or on a device."""

    def units(self, one: Any, other: Any) -> tuple[Any, float]:
        """Mean of either measurement and noise of their average, (3, unit); also the largest noise."""

    def gram(self, one: Any, other: Any, known: Any, noiseless: np.float64) -> Array:
        """Gram matrices over units, upper triangles, of one measurement, the other and their sum: (3, sample, sample)."""

    def apply(self, filtering: Array, one: Any, other: Any, known: Any) -> Any:
        """Filter the mean of the deviations along samples, and add the mean of the means: (sample, unit)."""


def recurring_part(first: Any, second: Any, steps: Steps) -> Any:
    """Best estimate of what two measurements with independent noise have in common.

    Each unit's mean over conditions and time is averaged over the two; of the deviations each principal component is kept in
    proportion to its reliability in the average (Wiener's gain, for the least squared error). Components are those of units in
    multiples of their noise, so that the reliable ones lead. They are found from matrices of (sample, sample), on the host.

    Parameters
    ----------
    first, second : (condition, time, unit) float64
        Where `steps` work.

    Returns
    -------
    (condition, time, unit) float64

    """
    one, other = (half.reshape(-1, half.shape[2]) for half in (first, second))
    known, largest = steps.units(one, other)
    gram = steps.gram(one, other, known, np.float64(max(largest, LEAST_NOISE)))
    return steps.apply(recurring_filter(gram), one, other, known).reshape(first.shape)


class HostRecurring:
    """The steps on the host, on some threads; results do not depend on their number."""

    def __init__(self, threads: int | None = 1) -> None:
        self._threads = threads

    def units(self, one: Array, other: Array) -> tuple[Array, float]:
        """See `Steps.units`."""
        n_units = one.shape[1]
        known = np.empty((3, n_units))
        tiles = range(0, n_units, TILE)
        thread_map(lambda start: kernel.units(one, other, known, start, min(start + TILE, n_units)), tiles, self._threads)
        return known, float(known[2].max(initial=0.0))

    def gram(self, one: Array, other: Array, known: Array, noiseless: np.float64) -> Array:
        """See `Steps.gram`."""
        n, n_units = one.shape
        panels = -(-n // WIDTH)
        packed = np.zeros((kernel.SUMS, panels, kernel.GROUP, WIDTH))
        gram, group = (np.zeros((kernel.SUMS, panels * WIDTH, panels * WIDTH)) for _ in range(2))
        places = [(panel, which) for panel in range(panels) for which in range(kernel.SUMS)]  # the longest rows first
        for start in range(0, n_units, kernel.GROUP):
            end = min(start + kernel.GROUP, n_units)

            def pack(panel: int, start: int = start, end: int = end) -> None:
                kernel.pack(one, other, known, noiseless, start, end, panel, packed)

            def add(place: tuple[int, int], n_units: int = end - start) -> None:
                panel, which = place
                kernel.add_group(packed, n_units, which, panel, group, gram)

            thread_map(pack, range(panels), self._threads)
            thread_map(add, places, self._threads)
        return gram[:, :n, :n]

    def apply(self, filtering: Array, one: Array, other: Array, known: Array) -> Array:
        """See `Steps.apply`."""
        n_units = one.shape[1]
        rows, out = products.by_rows(filtering), np.empty(one.shape)

        def tile(start: int) -> None:
            panel, end = np.empty((len(one), WIDTH)), min(start + TILE, n_units)
            for unit in range(start, end, WIDTH):
                last = min(unit + WIDTH, end)
                kernel.deviations(one, other, known, unit, last, panel)
                products.multiply(rows, panel, out, unit, last)
            kernel.add_means(known, out, start, end)

        thread_map(tile, range(0, n_units, TILE), self._threads)
        return out
