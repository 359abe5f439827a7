"""From target rates to the plastic drive each trained neuron needs.

The total drive comes from the f-I curve measured in the untrained network; the plastic inputs have to supply what the constant drive and
the trial average of the static current do not. The instantaneous static current stays out: its fluctuations (standard deviation 0.6) would
drown the modulation of the target (0.05 to 0.1).
"""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.learn.rule import Problem
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import TrialRecord
from fitrec.simulate.threads import thread_map
from fitrec.targets.drive import invert_fi
from fitrec.targets.smoothing import smooth

# The static current of a few trials is noisy; it is smoothed over this time, and averaged over loops.
STATIC_SMOOTHING_S = 0.22
MAX_CORRECTION_STEP = 0.3


class DriveTargets:
    """Targets of the plastic drive, refined from loop to loop.

    Attributes
    ----------
    static_current : (condition, time, trained) float64
        Running average of the trial-averaged static current.
    correction : (condition, time, trained) float64
        What was added to the f-I inverse because measured rates missed their targets.
    measured_hz : (condition, time, trained) float64
        Running average of the smoothed PSTHs the corrections are based on.

    """

    def __init__(
        self, rate_hz: NDArray[np.float64], fi_drive: NDArray[np.float64], fi_rate_hz: NDArray[np.float64], constant: NDArray[np.float32],
        floor_hz: float, bin_s: float,
    ) -> None:  # fmt: skip
        self._curve = (fi_drive, fi_rate_hz)
        self._rate_hz, self._floor_hz, self._bin_s = rate_hz, floor_hz, bin_s
        self._needed = invert_fi(rate_hz, fi_drive, fi_rate_hz, floor_hz) - constant
        self.static_current = np.zeros_like(rate_hz)
        self.correction = np.zeros_like(rate_hz)
        self.measured_hz = np.zeros_like(rate_hz)

    def plastic_drive(self) -> NDArray[np.float64]:
        """(condition, time, trained): what the plastic inputs have to supply, in threshold units."""
        return np.asarray(self._needed + self.correction - self.static_current)

    def observe_static_current(self, current: NDArray[np.float64], weight: float) -> None:
        """Move the average of the static current towards a new trial average by `weight` (1: replace)."""
        smoothed = smooth(current, self._bin_s, "boxcar", STATIC_SMOOTHING_S, axis=1)
        self.static_current += weight * (smoothed - self.static_current)

    def observe_rates(self, psth_hz: NDArray[np.float64], weight: float, gain: float) -> None:
        """Correct the targets through the f-I curve where the averaged PSTH (smoothed) misses its target."""
        self.measured_hz += weight * (psth_hz - self.measured_hz)
        # Rates below half a hertz are too noisy to be told apart by their inverse.
        floor = max(self._floor_hz, 0.5)
        missing = invert_fi(self._rate_hz, *self._curve, floor) - invert_fi(self.measured_hz, *self._curve, floor)
        self.correction += gain * np.clip(missing, -MAX_CORRECTION_STEP, MAX_CORRECTION_STEP)


def measure_static_current(problem: Problem, weights: Weights, trials: int, first_trial: int) -> NDArray[np.float64]:
    """Static current of the trained neurons without plastic inputs, averaged over trials and time: where the targets start from.

    Returns
    -------
    (condition, 1, trained) float64

    """
    simulator, network = problem.simulator, problem.simulator.network
    silent = Weights(plastic=np.zeros_like(weights.plastic), feed_forward=np.zeros_like(weights.feed_forward))
    means = []
    for condition in range(network.n_conditions):
        wiring = simulator.wiring(silent, condition)

        def run(trial: int, wiring: lif.Wiring = wiring, condition: int = condition) -> TrialRecord:
            return simulator.run_trial(wiring, condition, trial, chunk_steps=problem.bin_steps, traces=True)

        records = thread_map(run, range(first_trial, first_trial + trials), problem.threads)
        means.append(np.mean([r.static_current[:, network.trained] for r in records], axis=(0, 1), dtype=np.float64))
    return np.stack(means)[:, None, :]
