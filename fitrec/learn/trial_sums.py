"""What is needed of trials besides their traces, summed as they come, so that records need not be kept."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.lif import Output
from fitrec.kernels.cuda.psth import Smoother
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
        self._current_total = np.zeros(len(trained))  # trial after trial, bin after bin
        self._spikes = np.zeros(n_neurons, np.int64)

    def add(self, records: list[TrialRecord]) -> None:
        """Add trials."""
        for record in records:
            half = self._trials % 2
            self._counts[half] += record.counts[:, self._trained]
            if len(record.static_current):  # recorded with traces only
                current = record.static_current[:, self._trained]
                self._current[half] += current
                for row in current:
                    self._current_total += row
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

    def mean_static_current(self) -> NDArray[np.float64]:
        """Average of the static current over trials and time: (trained,) in threshold units."""
        return np.asarray(self._current_total / (self._trials * self._bins))

    def _trials_of_halves(self) -> NDArray[np.int64]:
        return _halves(self._trials).reshape(2, 1, 1)

    def mean_rates_hz(self, n_exc: int, bin_s: float) -> tuple[float, float]:
        """Mean rates of the E and of the I neurons."""
        return _mean_rates_hz(self._spikes, self._trials * self._bins * bin_s, n_exc)


class DeviceTrialSums:
    """Sums over the trials of one condition that stay on a device; arguments and methods as those of `TrialSums`."""

    def __init__(self, device: Device, n_bins: int, n_neurons: int, trained: NDArray[np.int32]) -> None:
        self._device, self._bins = device, n_bins
        self._sums = RecordSums(device, n_bins, n_neurons, trained)

    def add(self, output: Output) -> None:
        """Add the trials of a batch."""
        self._sums.add(output)

    def smoothed_hz(self, smoother: Smoother, bin_s: float) -> Any:
        """Smoothed PSTH over all trials, on the device: (time, trained)."""
        even, odd = self._sums.counts
        return smoother.smoothed_hz(even, odd, self._sums.trials, bin_s)

    def smoothed_halves_hz(self, smoother: Smoother, bin_s: float) -> Any:
        """Smoothed PSTHs over the even and over the odd trials, on the device: (half, time, trained)."""
        halves = zip(self._sums.counts, _halves(self._sums.trials), strict=True)
        return self._device.xp.stack([smoother.smoothed_hz(half, None, int(n), bin_s) for half, n in halves])

    def static_currents(self) -> Any:
        """See `TrialSums.static_currents`; on the device."""
        return self._sums.mean_currents()

    def mean_static_current(self) -> NDArray[np.float64]:
        """See `TrialSums.mean_static_current`."""
        return np.asarray(self._device.to_host(self._sums.current_total) / (self._sums.trials * self._bins))

    def mean_rates_hz(self, n_exc: int, bin_s: float) -> tuple[float, float]:
        """See `TrialSums.mean_rates_hz`."""
        return _mean_rates_hz(self._device.to_host(self._sums.spikes), self._sums.trials * self._bins * bin_s, n_exc)


def _halves(trials: int) -> NDArray[np.int64]:
    """Even and odd trials of so many."""
    return np.array([(trials + 1) // 2, trials // 2])


def _mean_rates_hz(spikes: NDArray[np.int64], seconds: float, n_exc: int) -> tuple[float, float]:
    rates = spikes / seconds
    return float(rates[:n_exc].mean()), float(rates[n_exc:].mean())
