"""From target rates to the plastic drive each trained neuron needs.

The total drive comes from the f-I curve measured in the untrained network; the plastic inputs have to supply what the constant
drive and the trial average of the static current do not. The instantaneous static current stays out: its fluctuations (standard
deviation 0.6) would drown the modulation of the target (0.05 to 0.1).
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.learn.drive_arrays import DeviceDrives, DriveArrays, HostDrives
from fitrec.learn.rule import Arrays, Problem
from fitrec.networks.weights import Weights
from fitrec.targets.drive import inverse_curve, invert
from fitrec.targets.smoothing import kernel_weights

# Rates below this are too noisy to be told apart by their drives.
LEAST_COMPARED_HZ = 0.5
MAX_CORRECTION_STEP = 0.3


class DriveTargets:
    """Targets of the plastic drive, refined from loop to loop.

    Parameters
    ----------
    problem : Problem
    device : Device, optional
        Where the targets are kept and refined; the bits are the same.

    Attributes
    ----------
    arrays : DriveArrays
        What works on them.
    static_halves : (half, condition, time, trained) float64
        Running averages of the static current over the even and over the odd trials.
    correction : (condition, time, trained) float64
        What was added to the f-I inverse because measured rates missed their targets.

    """

    def __init__(self, problem: Problem, device: Device | None = None) -> None:
        network = problem.simulator.network
        self._curve = inverse_curve(network.fi_drive, network.fi_rate_hz)
        self._rate_hz, self._threads = problem.rate_hz, problem.threads
        host = HostDrives(self._curve, problem.threads)
        self.arrays: DriveArrays = host if device is None else DeviceDrives(device, self._curve)
        # The static current of a few trials is noisy (standard deviation 0.6 at any moment): it is smoothed, averaged over loops,
        # and used as far as it recurs from one half of the trials to the other.
        self._static_smoothing = kernel_weights(problem.bin_s, "boxcar", problem.static_smoothing_s)
        # The target was smoothed once and the network's PSTH is smoothed again before the two are compared, so the network itself
        # has to follow sharper rates: van Cittert's iteration undoes part of the blur, rates kept positive.
        sharp = problem.rate_hz.copy()
        for _ in range(problem.sharpening):
            sharp = np.maximum(sharp + problem.rate_hz - problem.smooth(sharp), 0.5 * problem.rate_floor_hz)
        self._needed = self.arrays.put(self._drive(sharp, problem.rate_floor_hz) - network.drive[network.trained])
        self._least_hz = max(problem.rate_floor_hz, LEAST_COMPARED_HZ)
        self.correction = self.arrays.put(np.zeros_like(sharp))
        self._static_current = self.arrays.put(np.zeros_like(sharp))
        self.static_halves = self.arrays.put(np.zeros((2, *sharp.shape)))

    def plastic_drive(self) -> Any:
        """(condition, time, trained): what the plastic inputs have to supply, in threshold units."""
        return self.arrays.plastic(self._needed, self.correction, self._static_current)

    def set_static_halves(self, halves: NDArray[np.float64]) -> None:
        """Take static currents (half, condition, time or 1, trained) of the host, measured over the even and the odd trials."""
        self.static_halves = self.arrays.put(np.broadcast_to(halves, (2, *self._rate_hz.shape)))
        self._static_current = self.arrays.recurring_part(self.static_halves[0], self.static_halves[1])

    def observe_static_current(self, halves: Any, weight: float) -> None:
        """Move the averages (half, condition, time, trained) of the static current towards new ones by `weight` (1: replace)."""
        self.arrays.move(self.static_halves, self.arrays.smooth(halves, self._static_smoothing), weight)
        self._static_current = self.arrays.recurring_part(self.static_halves[0], self.static_halves[1])

    def observe_rates(self, halves_hz: Any, gain: float) -> None:
        """Correct the targets through the f-I curve where the smoothed PSTHs miss them.

        Parameters
        ----------
        halves_hz : (half, condition, time, trained)
            PSTHs of the even and of the odd trials. What they do not share is noise, which a correction would only imprint on
            the weights.
        gain : float
            Share of the miss that is corrected.

        """
        one, other = (self.arrays.misses(self._wanted, half, self._least_hz) for half in halves_hz)
        self.arrays.correct(self.correction, self.arrays.recurring_part(one, other), gain, MAX_CORRECTION_STEP)

    @cached_property
    def _wanted(self) -> Any:
        """Total drive that the rates are compared through."""
        return self.arrays.put(self._drive(self._rate_hz, self._least_hz))

    def _drive(self, rate_hz: NDArray[np.float64], least_hz: float) -> NDArray[np.float64]:
        return invert(rate_hz, self._curve, least_hz, self._threads)

    def state(self) -> Arrays:
        """Return what was measured, on the host."""
        return {name: self.arrays.to_host(getattr(self, name)) for name in ("static_halves", "correction")}

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self.set_static_halves(state["static_halves"])
        self.correction = self.arrays.put(state["correction"])


def measure_static_current(problem: Problem, weights: Weights, trials: int, first_trial: int) -> NDArray[np.float64]:
    """Measure the static current of the trained neurons without plastic inputs: where the targets start from.

    Returns
    -------
    (condition, 1, trained) float64

    """
    silent = Weights(plastic=np.zeros_like(weights.plastic), feed_forward=np.zeros_like(weights.feed_forward))
    means = []
    for condition in range(problem.simulator.network.n_conditions):
        sums = problem.sum_trials(silent, condition, range(first_trial, first_trial + trials), keep=forget)
        means.append(sums.mean_static_current())
    return np.stack(means)[:, None, :]


def forget(traces: Any, ff_traces: NDArray[np.float32]) -> None:
    """Keep nothing of the traces, which are recorded with the static current."""
