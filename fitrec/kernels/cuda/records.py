"""Drives ``records.cu``: sums over trials of counts and static currents, on the device."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.lif import Output

BLOCK = 256


class RecordSums:
    """Sums over the trials of one condition; the twin of `learn.trial_sums.TrialSums.add`.

    Attributes
    ----------
    trials : int
        Added so far.
    counts : (parity, bin, trained) int64, on the device
        Of every other trial.
    current : (parity, bin, trained) float64, on the device
        Static currents of every other trial; without bins as long as none were recorded.
    current_total : (trained,) float64, on the device
        Static currents summed over trials and bins.
    spikes : (neuron,) int64, on the device

    """

    def __init__(self, device: Device, n_bins: int, n_neurons: int, trained: NDArray[np.int32]) -> None:
        xp, n = device.xp, len(trained)
        self._device, self._trained, self.trials = device, device.asarray(trained.astype(np.int32)), 0
        self.counts, self.spikes = xp.zeros((2, n_bins, n), np.int64), xp.zeros(n_neurons, np.int64)
        self.current, self.current_total = xp.zeros((2, 0, n)), xp.zeros(n)

    def add(self, output: Output) -> None:
        """Add the trials of a batch, with static currents if they were recorded."""
        n_trials, n_chunks, n = output.counts.shape
        n_trained, launch = len(self._trained), self._device.launch
        cells = n_chunks * n_trained
        if output.with_traces and self.current.shape != self.counts.shape:
            self.current = self._device.xp.zeros(self.counts.shape)
        if cells:
            sizes = map(np.int32, (n_trials, n_chunks, n, n_trained, self.trials % 2, output.with_traces))
            args = (output.counts, output.static_current, self._trained, self.counts, self.current, *sizes)
            launch("records", "records_add", min(-(-cells // BLOCK), 65_535), BLOCK, args)
        if cells and output.with_traces:
            rows = (output.static_current, self._trained, self.current_total)
            sizes = map(np.int32, (n_trials * n_chunks, n, n_trained))
            launch("records", "records_add_current", -(-n_trained // BLOCK), BLOCK, (*rows, *sizes))
        spikes = (output.counts, self.spikes, np.int32(n_trials * n_chunks), np.int32(n))
        launch("records", "records_add_spikes", -(-n // BLOCK), BLOCK, spikes)
        self.trials += n_trials

    def mean_currents(self) -> Any:
        """Means of the static currents over every other trial, (parity, bin, trained) float64, on the device."""
        means = self._device.xp.empty(self.current.shape)
        for parity in range(2 if means.size else 0):
            n, trials = means[parity].size, (self.trials + 1 - parity) // 2
            args = (self.current[parity], means[parity], np.int64(n), np.float64(trials))
            self._device.launch("records", "records_mean", min(-(-n // BLOCK), 65_535), BLOCK, args)
        return means

    def totals(self, output: Output) -> NDArray[np.int32]:
        """Spikes of the trained neurons in each trial of a batch, (trial, trained), on the host; waits."""
        n_trials, n_chunks, n = output.counts.shape
        found = self._device.xp.zeros((n_trials, len(self._trained)), np.int32)
        if found.size:
            sizes = map(np.int32, (n_trials, n_chunks, n, len(self._trained)))
            args = (output.counts, self._trained, found, *sizes)
            self._device.launch("records", "records_totals", min(-(-found.size // BLOCK), 65_535), BLOCK, args)
        return self._device.to_host(found)
