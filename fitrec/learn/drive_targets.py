"""From target rates to the plastic drive each trained neuron needs.

The total drive comes from the f-I curve measured in the untrained network; the plastic inputs have to supply what the constant
drive and the trial average of the static current do not. The instantaneous static current stays out: its fluctuations (standard
deviation 0.6) would drown the modulation of the target (0.05 to 0.1).
"""

import numpy as np
from numpy.typing import NDArray

from fitrec.learn.rule import Problem
from fitrec.networks.weights import Weights
from fitrec.targets.drive import invert_fi
from fitrec.targets.smoothing import smooth

# The static current of a few trials is noisy (standard deviation 0.6 at any moment): it is smoothed, and averaged over loops.
STATIC_SMOOTHING_S = 0.22
# Rates below this are too noisy to be told apart by their drives.
LEAST_COMPARED_HZ = 0.5
MAX_CORRECTION_STEP = 0.3


class DriveTargets:
    """Targets of the plastic drive, refined from loop to loop.

    Attributes
    ----------
    static_current : (condition, time, trained) float64
        Running average of the trial-averaged static current.
    correction : (condition, time, trained) float64
        What was added to the f-I inverse because measured rates missed their targets.

    """

    def __init__(self, problem: Problem) -> None:
        network = problem.simulator.network
        self._curve = (network.fi_drive, network.fi_rate_hz)
        self._rate_hz, self._bin_s = problem.rate_hz, problem.bin_s
        # The target was smoothed once and the network's PSTH is smoothed again before the two are compared, so the network itself
        # has to follow sharper rates: van Cittert's iteration undoes part of the blur, rates kept positive.
        sharp = problem.rate_hz.copy()
        for _ in range(problem.sharpening):
            sharp = np.maximum(sharp + problem.rate_hz - problem.smooth(sharp), 0.5 * problem.rate_floor_hz)
        self._needed = invert_fi(sharp, *self._curve, problem.rate_floor_hz) - network.drive[network.trained]
        self._least_hz = max(problem.rate_floor_hz, LEAST_COMPARED_HZ)
        self.static_current = np.zeros_like(sharp)
        self.correction = np.zeros_like(sharp)

    def plastic_drive(self) -> NDArray[np.float64]:
        """(condition, time, trained): what the plastic inputs have to supply, in threshold units."""
        return np.asarray(self._needed + self.correction - self.static_current)

    def observe_static_current(self, current: NDArray[np.float64], weight: float) -> None:
        """Move the average of the static current towards a new trial average by `weight` (1: replace)."""
        smoothed = smooth(current, self._bin_s, "boxcar", STATIC_SMOOTHING_S, axis=1)
        self.static_current += weight * (smoothed - self.static_current)

    def observe_rates(self, psth_hz: NDArray[np.float64], gain: float) -> None:
        """Correct the targets through the f-I curve where the smoothed PSTH misses its target.

        With gains that fall as 1/n the correction averages the trial noise of all loops (Robbins & Monro 1951).
        """
        wanted, measured = (invert_fi(rate, *self._curve, self._least_hz) for rate in (self._rate_hz, psth_hz))
        self.correction += gain * np.clip(wanted - measured, -MAX_CORRECTION_STEP, MAX_CORRECTION_STEP)


def measure_static_current(problem: Problem, weights: Weights, trials: int, first_trial: int) -> NDArray[np.float64]:
    """Measure the static current of the trained neurons without plastic inputs: where the targets start from.

    Returns
    -------
    (condition, 1, trained) float64

    """
    network = problem.simulator.network
    silent = Weights(plastic=np.zeros_like(weights.plastic), feed_forward=np.zeros_like(weights.feed_forward))
    means = []
    for condition in range(network.n_conditions):
        records = problem.run_trials(silent, condition, range(first_trial, first_trial + trials), traces=True)
        means.append(np.mean([r.static_current[:, network.trained] for r in records], axis=(0, 1), dtype=np.float64))
    return np.stack(means)[:, None, :]
