"""Frozen-weight trials in batches: the interface that evaluation uses."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.record import TrialRecord
from fitrec.simulate.simulator import Simulator


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


class _Kept(NamedTuple):
    counts: NDArray[np.uint16]
    total: NDArray[np.int32]
    spike_step: NDArray[np.int32]
    spike_neuron: NDArray[np.int32]


def run_trials(
    network: Network,
    weights: Weights,
    condition: int,
    trials: NDArray[np.int64],
    *,
    bin_steps: int,
    neurons: NDArray[np.int32],
    record_spikes: int = 0,
    threads: int | None = None,
    simulator: Simulator | None = None,
) -> TrialActivity:
    """Simulate trials of one condition with frozen weights.

    Parameters
    ----------
    trials : (trial,) int64
        Trial numbers, the counters of initial state and noise: the same number gives the same trial, bit for bit.
    bin_steps : int
        Steps per bin of the counts.
    neurons : (neuron,) int32
        Neurons whose binned counts are kept.
    record_spikes : int
        Number of trials, from the first, whose spike times are kept.
    threads : int, optional
        Trials run at the same time; all processors by default. The result does not depend on it.
    simulator : Simulator, optional
        Reused when given; building one draws the stimuli anew.

    """
    simulator = simulator or Simulator(network)

    def keep(record: TrialRecord) -> _Kept:
        total = record.counts.sum(axis=0, dtype=np.int32)
        return _Kept(record.counts[:, neurons], total, record.spike_step, record.spike_neuron)

    with_spikes = simulator.map_trials(
        keep, weights, condition, trials[:record_spikes].tolist(), chunk_steps=bin_steps, spikes=True, threads=threads
    )
    others = simulator.map_trials(
        keep, weights, condition, trials[record_spikes:].tolist(), chunk_steps=bin_steps, threads=threads
    )
    done = with_spikes + others
    none = np.zeros(0, np.int32)
    return TrialActivity(
        neurons=neurons,
        counts=np.stack([kept.counts for kept in done]),
        bin_ms=bin_steps * network.dt_ms,
        total_spikes=np.stack([kept.total for kept in done]),
        spike_step=np.concatenate([none, *(kept.spike_step for kept in with_spikes)]),
        spike_neuron=np.concatenate([none, *(kept.spike_neuron for kept in with_spikes)]),
        spike_indptr=np.cumsum([0, *(len(kept.spike_step) for kept in with_spikes)], dtype=np.int64),
    )
