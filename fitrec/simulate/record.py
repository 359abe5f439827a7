"""What a simulated trial leaves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One simulated trial: counts and traces per chunk of the window.

    Attributes
    ----------
    counts : (chunk, neuron) uint16
    traces : (chunk, neuron) float32
        Presynaptic traces (1/ms) a learning step at the end of each chunk sees.
    ff_traces : (chunk, ff) float32
    static_current : (chunk, neuron) float32
        Mean static current of each chunk (threshold units).
    spike_step, spike_neuron : (spike,) int32
        Spikes in the window, steps counted from its start; empty unless asked for.

    """

    counts: NDArray[np.uint16]
    traces: NDArray[np.float32]
    ff_traces: NDArray[np.float32]
    static_current: NDArray[np.float32]
    spike_step: NDArray[np.int32]
    spike_neuron: NDArray[np.int32]
