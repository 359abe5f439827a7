"""What is needed of trials besides their traces, summed as they come, so that records need not be kept."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.records import RecordSums
from fitrec.simulate.record import TrialRecord

RECORD_BYTES = 2e9  # records of trials that are simulated together


def trials_together(n_bins: int, n_neurons: int) -> int:
    """Trials that are simulated before their records are summed and let go; depends on sizes alone."""
    return max(1, int(RECORD_BYTES // (18 * n_bins * n_neurons)))


class TrialSums:
    """Sums over the trials of one condition.

    Parameters
    ----------
    n_bins, n_neurons : int
    trained : (trained,) int32

    """

    def __init__(self, n_bins: int, n_neurons: int, trained: NDArray[np.int32]) -> None:
        self._trained, self._trials, self._bins = trained, 0, n_bins
        self._counts = np.zeros((2, n_bins, len(trained)), np.int64)  # of every other trial
        self._current = np.zeros((2, n_bins, len(trained)))
        self._spikes = np.zeros(n_neurons, np.int64)

    @classmethod
    def of_device(cls, device_sums: RecordSums) -> "TrialSums":
        """Take over sums from a device."""
        counts, current, spikes = device_sums.to_host()
        sums = cls(counts.shape[1], len(spikes), np.zeros(0, np.int32))
        sums._counts, sums._current, sums._spikes, sums._trials = counts, current, spikes, device_sums.trials
        return sums

    def add(self, records: list[TrialRecord]) -> None:
        """Add trials."""
        for record in records:
            half = self._trials % 2
            self._counts[half] += record.counts[:, self._trained]
            if len(record.static_current):  # recorded with traces only
                self._current[half] += record.static_current[:, self._trained]
            self._trials += 1
            self._spikes += record.counts.sum(axis=0, dtype=np.int64)

    def psths_hz(self, bin_s: float) -> NDArray[np.float64]:
        """PSTHs of the trained neurons over the even and over the odd trials, not smoothed: (half, time, trained)."""
        return np.asarray(self._counts / self._trials_of_halves() / bin_s)

    def psth_hz(self, bin_s: float) -> NDArray[np.float64]:
        """PSTH of the trained neurons over all trials, not smoothed: (time, trained)."""
        return np.asarray(self._counts.sum(axis=0) / self._trials / bin_s)

    def static_currents(self) -> NDArray[np.float64]:
        """Averages of the static current over the even and over the odd trials: (half, time, trained) in threshold units."""
        return np.asarray(self._current / self._trials_of_halves())

    def _trials_of_halves(self) -> NDArray[np.int64]:
        return np.array([(self._trials + 1) // 2, self._trials // 2]).reshape(2, 1, 1)

    def mean_rates_hz(self, n_exc: int, bin_s: float) -> tuple[float, float]:
        """Mean rates of the E and of the I neurons."""
        rates = self._spikes / (self._trials * self._bins * bin_s)
        return float(rates[:n_exc].mean()), float(rates[n_exc:].mean())
