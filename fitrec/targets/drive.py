"""Rates to synaptic drive through a measured f-I curve.

The drive of a bin is the constant input, in units of the threshold, at which the neuron fires at the bin's rate under the
fluctuations that the curve was measured with.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from fitrec.errors import TargetsError
from fitrec.kernels.cpu import drive as kernel
from fitrec.threads import thread_map

TILE = 1 << 15  # rates per piece of work
PIECES = 1024  # in which the knot before a rate is looked up


def inverse_curve(fi_drive: NDArray[np.float64], fi_rate_hz: NDArray[np.float64]) -> kernel.InverseCurve:
    """Drive as a function of the rate.

    Between the points of the curve the drive is a monotone cubic in log(rate); above them it goes on along the last chord in
    rate, below them along the first one in log(rate).

    Parameters
    ----------
    fi_drive, fi_rate_hz : (point,)
        The curve, drives increasing; noise of a simulated curve is removed by isotonic regression.

    Raises
    ------
    TargetsError
        If the curve has fewer than two different rates above 0.

    """
    rising = isotonic_regression(np.asarray(fi_rate_hz, np.float64)).x
    rates, first = np.unique(rising, return_index=True)
    # Of equal rates the middle drive counts.
    last = np.append(first[1:], len(rising)) - 1
    drives = 0.5 * (fi_drive[first] + fi_drive[last])
    rates, drives = rates[rates > 0], drives[rates > 0]
    if len(rates) < 2:
        raise TargetsError(
            f"the f-I curve has {len(rates)} different rates above 0 between drives {fi_drive[0]:g} and {fi_drive[-1]:g}, so it "
            "cannot be inverted; check the neuron's threshold, reset and sigma"
        )
    x = kernel.logarithms(rates)
    edges = np.linspace(x[0], x[-1], PIECES + 1)[:-1]
    return kernel.InverseCurve(
        log_rate=x,
        cubic=np.ascontiguousarray(PchipInterpolator(x, drives).c.T),
        begin=np.clip(np.searchsorted(x, edges, side="right") - 1, 0, len(x) - 2).astype(np.int32),
        pieces_per_log=np.float64(PIECES / (x[-1] - x[0])),
        first_rate=np.float64(rates[0]),
        last_rate=np.float64(rates[-1]),
        last_drive=np.float64(drives[-1]),
        below=np.float64((drives[1] - drives[0]) / (x[1] - x[0])),
        above=np.float64((drives[-1] - drives[-2]) / (rates[-1] - rates[-2])),
    )


def invert(
    rate_hz: NDArray[np.float64], curve: kernel.InverseCurve, floor_hz: float, threads: int | None = 1
) -> NDArray[np.float64]:
    """Drive at which the neuron fires at `rate_hz`.

    Parameters
    ----------
    rate_hz : array
        Rates in Hz; those below `floor_hz` are raised to it.
    floor_hz : float
        Smallest rate, above 0.

    Returns
    -------
    array of float64, shaped like `rate_hz`

    """
    flat = np.ascontiguousarray(rate_hz, np.float64).reshape(-1)
    out = np.empty_like(flat)

    def tile(first: int) -> None:
        kernel.invert(flat, floor_hz, curve, out, first, min(first + TILE, len(flat)))

    places = range(0, len(flat), TILE)
    thread_map(tile, places, threads if len(places) > 1 else 1)
    return out.reshape(np.shape(rate_hz))
