"""Frozen-weight trials in batches: the interface that evaluation and batch training use."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TrialActivity:
    """Spikes of a batch of simulated trials of one condition, within the recorded window.

    Attributes
    ----------
    neurons : (neuron,) int32
        The neurons whose binned counts were kept.
    counts : (trial, time, neuron) uint16
        Their spikes per bin of `bin_ms`, half-open bins from the start of the window.
    total_spikes : (trial, all neurons) int32
        Spikes of every neuron in the window.
    spike_step, spike_neuron : (spike,) int32
        Spikes of all neurons in the first trials, in steps of the simulation from the start of the window.
    spike_indptr : (recorded trial + 1,) int64
        Trial i owns ``spike_step[spike_indptr[i]:spike_indptr[i + 1]]``.

    """

    neurons: NDArray[np.int32]
    counts: NDArray[np.uint16]
    bin_ms: float
    total_spikes: NDArray[np.int32]
    spike_step: NDArray[np.int32]
    spike_neuron: NDArray[np.int32]
    spike_indptr: NDArray[np.int64]
