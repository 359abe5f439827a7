"""Rates to synaptic drive through a measured f-I curve.

The drive of a bin is the constant input, in units of the threshold, at which the neuron fires at the bin's rate under the
fluctuations that the curve was measured with.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from fitrec.errors import TargetsError


def invert_fi(
    rate_hz: NDArray[np.float64], fi_drive: NDArray[np.float64], fi_rate_hz: NDArray[np.float64], floor_hz: float
) -> NDArray[np.float64]:
    """Drive at which the neuron fires at `rate_hz`.

    Between the points of the curve the drive is a monotone cubic in log(rate); above them it goes on along the last chord in
    rate, below them along the first one in log(rate).

    Parameters
    ----------
    rate_hz : array
        Rates in Hz; those below `floor_hz` are raised to it.
    fi_drive, fi_rate_hz : (point,)
        The curve, drives increasing; noise of a simulated curve is removed by isotonic regression.
    floor_hz : float
        Smallest rate, above 0.

    Returns
    -------
    array of float64, shaped like `rate_hz`

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
    wanted = np.maximum(rate_hz, floor_hz)
    x, log_wanted = np.log(rates), np.log(wanted)
    inside = PchipInterpolator(x, drives)(np.clip(log_wanted, x[0], x[-1]))
    above = np.maximum(wanted - rates[-1], 0.0) * (drives[-1] - drives[-2]) / (rates[-1] - rates[-2])
    below = np.minimum(log_wanted - x[0], 0.0) * (drives[1] - drives[0]) / (x[1] - x[0])
    return np.asarray(inside + above + below)
