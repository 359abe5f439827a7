"""Smoothing along time, the same for recorded and simulated PSTHs."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import ndtr

Kernel = Literal["none", "gaussian", "boxcar"]

# Standard deviations on either side that a Gaussian kernel covers.
_GAUSSIAN_REACH = 4.0


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
    values = np.asarray(x, np.float64)
    weights = kernel_weights(bin_size_s, kernel, width_s)
    # No bin is further away than the array is long.
    excess = max(0, len(weights) // 2 - values.shape[axis])
    weights = weights[excess : len(weights) - excess]
    if len(weights) == 1:
        return values.copy()
    shape = [1] * values.ndim
    shape[axis] = values.shape[axis]
    covered = correlate1d(np.ones(values.shape[axis]), weights, mode="constant").reshape(shape)
    return np.asarray(correlate1d(values, weights, axis=axis, mode="constant") / covered)


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
