"""Smoothing along time, the same for recorded and simulated PSTHs."""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fitrec.kernels.cpu import psth
from fitrec.threads import thread_map

Kernel = Literal["none", "gaussian", "boxcar"]

# Standard deviations on either side that a Gaussian kernel covers.
_GAUSSIAN_REACH = 4.0
TILE = 512  # items per piece of work


def smooth(x: NDArray[Any], bin_size_s: float, kernel: str, width_s: float, axis: int) -> NDArray[np.float64]:
    """Smooth binned activity; at the edges the kernel is cut off and its weights are rescaled to sum to 1.

    Parameters
    ----------
    x : array
        Values per bin; NaN spreads as far as the kernel reaches.
    bin_size_s : float
        Bin width in seconds.
    kernel : "none", "gaussian" or "boxcar"
        Shape.
    width_s : float
        Standard deviation (gaussian) or full width (boxcar) in seconds.
    axis : int
        The time axis.

    Returns
    -------
    array of float64, shaped like `x`

    """
    return smooth_with(x, kernel_weights(bin_size_s, kernel, width_s), axis)


def smooth_with(x: NDArray[Any], weights: NDArray[np.float64], axis: int, threads: int | None = 1) -> NDArray[np.float64]:
    """Smooth as `smooth` does, with the weights of `kernel_weights`."""
    values = np.ascontiguousarray(x, np.float64)
    n_time = values.shape[axis]
    weights, covered = within(weights, n_time)
    if len(weights) == 1:
        return values.copy()
    slabs = values.reshape(math.prod(values.shape[:axis]), n_time, -1) if values.size else values.reshape(0, n_time, 1)
    out = np.empty_like(slabs)

    def tile(place: tuple[int, int]) -> None:
        slab, first = place
        psth.smooth(slabs, weights, covered, out, slab, first, min(first + TILE, slabs.shape[2]))

    places = [(slab, first) for slab in range(len(slabs)) for first in range(0, slabs.shape[2], TILE)]
    thread_map(tile, places, threads if len(places) > 1 else 1)
    return out.reshape(values.shape)


def within(weights: NDArray[np.float64], n_time: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut weights to those that reach a bin of an array that is `n_time` bins long; also returns their sum at each bin."""
    excess = max(0, len(weights) // 2 - n_time)
    weights = weights[excess : len(weights) - excess]
    covered = np.ones((1, n_time, 1))
    if len(weights) > 1:
        psth.smooth(np.ones((1, n_time, 1)), weights, np.ones(n_time), covered, 0, 0, 1)
    return weights, covered.ravel()


def kernel_weights(bin_size_s: float, kernel: str, width_s: float) -> NDArray[np.float64]:
    """Kernel integrated over bins: an odd number of weights that sum to 1, centred on the middle one."""
    if kernel not in ("none", "gaussian", "boxcar"):
        raise ValueError(f"unknown kernel {kernel!r}; wanted none, gaussian or boxcar")
    if kernel == "none" or width_s <= 0:
        return np.ones(1)
    width = width_s / bin_size_s
    reach = width / 2 if kernel == "boxcar" else _GAUSSIAN_REACH * width
    # The tolerance keeps 0.3 / 0.02 = 15.000000000000002 bins from reaching into a seventeenth.
    side = int(np.ceil(reach - 0.5 - 1e-9))
    edges = np.arange(-side, side + 2) - 0.5
    below = ndtr(edges / width) if kernel == "gaussian" else np.clip(edges / width + 0.5, 0.0, 1.0)
    weights = np.diff(below)
    return np.asarray(weights / weights.sum())
