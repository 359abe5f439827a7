"""What a loop of batch ridge needs of its trials besides the traces, summed as they come, so that records need not be kept."""

import numpy as np
from numpy.typing import NDArray

from fitrec.simulate.record import TrialRecord

RECORD_BYTES = 2e9  # records of trials that are simulated together


def trials_together(n_bins: int, n_neurons: int, n_pool: int) -> int:
    """Trials that are simulated before their records are summed and let go; depends on sizes alone."""
    per_trial = n_bins * (10 * n_neurons + 8 * n_pool)
    return max(1, int(RECORD_BYTES // per_trial))


class TrialSums:
    """Sums over the trials of one condition.

    Parameters
    ----------
    n_bins, n_neurons : int
    trained : (trained,) int32

    """

    def __init__(self, n_bins: int, n_neurons: int, trained: NDArray[np.int32]) -> None:
        self._trained, self._trials, self._bins = trained, 0, n_bins
        self._counts = np.zeros((n_bins, len(trained)), np.int64)
        self._current = np.zeros((n_bins, len(trained)))
        self._spikes = np.zeros(n_neurons, np.int64)

    def add(self, records: list[TrialRecord]) -> None:
        """Add trials."""
        for record in records:
            self._counts += record.counts[:, self._trained]
            self._current += record.static_current[:, self._trained]
            self._spikes += record.counts.sum(axis=0, dtype=np.int64)
        self._trials += len(records)

    def psth_hz(self, bin_s: float) -> NDArray[np.float64]:
        """PSTH of the trained neurons, not smoothed: (time, trained)."""
        return np.asarray(self._counts / self._trials / bin_s)

    def static_current(self) -> NDArray[np.float64]:
        """Trial average of the static current: (time, trained) in threshold units."""
        return np.asarray(self._current / self._trials)

    def mean_rates_hz(self, n_exc: int, bin_s: float) -> tuple[float, float]:
        """Mean rates of the E and of the I neurons."""
        rates = self._spikes / (self._trials * self._bins * bin_s)
        return float(rates[:n_exc].mean()), float(rates[n_exc:].mean())
