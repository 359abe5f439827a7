"""Drives ``records.cu``: sums over trials of counts and static currents, on the device."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.lif import Output

BLOCK = 256


class RecordSums:
    """Sums over the trials of one condition; the twin of `learn.trial_sums.TrialSums.add`."""

    def __init__(self, device: Device, n_bins: int, n_neurons: int, trained: NDArray[np.int32]) -> None:
        xp, shape = device.xp, (2, n_bins, len(trained))
        self._device, self._trained, self.trials = device, device.asarray(trained.astype(np.int32)), 0
        self._counts, self._current = xp.zeros(shape, np.int64), xp.zeros(shape, np.float64)
        self._spikes = xp.zeros(n_neurons, np.int64)

    def add(self, output: Output) -> None:
        """Add the trials of a batch, with static currents if they were recorded."""
        n_trials, n_chunks, n = output.counts.shape
        cells = n_chunks * len(self._trained)
        sizes = (n_trials, n_chunks, n, len(self._trained), self.trials % 2, output.with_traces)
        args = (output.counts, output.static_current, self._trained, self._counts, self._current, *map(np.int32, sizes))
        if cells:
            self._device.launch("records", "records_add", min(-(-cells // BLOCK), 65_535), BLOCK, args)
        rows = (output.counts, self._spikes, np.int32(n_trials * n_chunks), np.int32(n))
        self._device.launch("records", "records_add_spikes", -(-n // BLOCK), BLOCK, rows)
        self.trials += n_trials

    def to_host(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Return counts and static currents of every other trial, (parity, bin, trained), and spikes (neuron,); waits."""
        host = self._device.to_host
        return host(self._counts), host(self._current), host(self._spikes)
