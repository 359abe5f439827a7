"""Units that no experimenter would keep, so that a simulated recording has them as every real one does."""

import numpy as np
from numpy.typing import NDArray

Spikes = list[NDArray[np.float64]]


def bad_units(good: Spikes, observed_s: NDArray[np.float64], seed: int) -> tuple[Spikes, list[str]]:
    """Spoil copies of good units.

    Parameters
    ----------
    good : list of (spike,) arrays
        Sorted spike times of each good unit, in seconds.
    observed_s : (interval, 2)
        The intervals, in seconds, in which the units were observed, in order.
    seed : int
        Seed of which units are spoiled.

    Returns
    -------
    spikes : list of (spike,) arrays
        Sorted spike times of each bad unit: silent, nearly silent, lost after a third of the session (twice), two neurons in one
        (twice), noise.
    quality : list of str
        What spike sorting says of each: ``good``, ``mua`` or ``noise``.

    """
    rng = np.random.default_rng([seed, 1])

    def any_unit() -> NDArray[np.float64]:
        return good[int(rng.integers(len(good)))]

    third_s = observed_s[len(observed_s) // 3, 0]
    few = any_unit()[::97]
    lost = [times_s[times_s < third_s] for times_s in (any_unit(), any_unit())]
    merged = [np.unique(np.concatenate([any_unit(), any_unit()])) for _ in range(2)]
    # 50 Hz hum that crosses the threshold now and then.
    hum = np.concatenate([np.arange(start, stop - 1e-3, 0.02) for start, stop in observed_s])
    noise = hum[rng.random(len(hum)) < 0.3]
    return [np.zeros(0), few, *lost, *merged, noise], ["good", "good", "good", "good", "mua", "mua", "noise"]
