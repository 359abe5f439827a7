"""Runs a network's frozen-weight trials and keeps only what the metrics need: memory does not grow with the number of trials."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitrec.evaluate.spiking import cv_isi
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.records import RecordSums
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate import trials as frozen
from fitrec.simulate.simulator import Simulator

# Training uses small trial ids: noise and initial states of an evaluation are drawn from ids that it never used.
FIRST_TRIAL = 1_000_000

_BATCH_BYTES = 128 * 2**20


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Activity of the trained neurons (in the order of ``Network.trained``) over all trials, and of all neurons on average.

    Attributes
    ----------
    rate_hz : (condition, time, trained) float64
        PSTH, not smoothed; NaN in conditions that were not simulated.
    window_counts : (trial, trained) int32
        Spikes in the whole window, the trials of condition 0 first.
    trial_condition : (trial,) int32
        Condition of each of these trials.
    neuron_rate_hz, neuron_cv_isi : (neuron,) float32
        Mean rate of every neuron; CV of its inter-spike intervals in the recorded trials (`fitrec.evaluate.spiking.cv_isi`).
    spike_condition, spike_trial, spike_neuron : (spike,) int32
        Spikes of the recorded trials.
    spike_time_s : (spike,) float32
        Their times in seconds from the start of the window.

    """

    rate_hz: NDArray[np.float64]
    window_counts: NDArray[np.int32]
    trial_condition: NDArray[np.int32]
    neuron_rate_hz: NDArray[np.float32]
    neuron_cv_isi: NDArray[np.float32]
    spike_condition: NDArray[np.int32]
    spike_trial: NDArray[np.int32]
    spike_neuron: NDArray[np.int32]
    spike_time_s: NDArray[np.float32]


def simulate(
    network: Network,
    weights: Weights,
    *,
    trials: int,
    bin_steps: int,
    recorded_trials: int = 0,
    conditions: NDArray[np.int64] | None = None,
    threads: int | None = None,
    device: Device | None = None,
) -> Simulated:
    """Run `trials` trials of every condition, or of some, with fresh noise and initial states.

    Parameters
    ----------
    network, weights
        What to run.
    trials : int
        Trials per condition.
    bin_steps : int
        Steps per bin of the PSTH; must divide the network's window.
    recorded_trials : int
        Leading trials of each condition whose spikes are kept.
    conditions : (condition,) or None
        The conditions; all when None.
    threads : int or None
        Threads of the simulator; None lets it choose.
    device : Device or None
        Where the trials run; None for the CPU.

    """
    n_bins = network.window_steps // bin_steps
    n_trained = len(network.trained)
    simulator = Simulator(network, device)
    run = np.arange(network.n_conditions) if conditions is None else conditions
    rate_hz = np.full((network.n_conditions, n_bins, n_trained), np.nan)
    rate_hz[run] = 0.0
    window_counts = np.zeros((len(run), trials, n_trained), np.int32)
    total = np.zeros(network.n_neurons, np.int64)
    none = np.zeros(0, np.int32)
    spikes = [(none, none, none, none)]  # condition, trial, neuron, step
    batch = max(1, _BATCH_BYTES // (2 * n_bins * n_trained + 8 * network.n_neurons))
    # On a device only sums leave it, once the spikes of the recorded trials have been brought.
    on_device = device is not None and simulator.sums_on_device(weights)
    summed_from = min(recorded_trials, trials) if on_device else trials
    for k, condition in enumerate(run.tolist()):
        for start in range(0, summed_from, batch):
            stop = min(start + batch, summed_from)
            activity = frozen.run_trials(
                network,
                weights,
                condition,
                FIRST_TRIAL + np.arange(start, stop, dtype=np.int64),
                bin_steps=bin_steps,
                neurons=network.trained,
                record_spikes=min(max(recorded_trials - start, 0), stop - start),
                threads=threads,
                simulator=simulator,
            )
            rate_hz[condition] += activity.counts.sum(axis=0, dtype=np.int64)
            window_counts[k, start:stop] = activity.counts.sum(axis=1, dtype=np.int64)
            total += activity.total_spikes.sum(axis=0, dtype=np.int64)
            trial = np.repeat(np.arange(len(activity.spike_indptr) - 1, dtype=np.int32) + start, np.diff(activity.spike_indptr))
            spikes.append((np.full(len(trial), condition, np.int32), trial, activity.spike_neuron, activity.spike_step))
        if summed_from < trials:
            ids = range(FIRST_TRIAL + summed_from, FIRST_TRIAL + trials)
            counts, window_counts[k, summed_from:], spiked = _sums_on_device(simulator, weights, condition, ids, bin_steps)
            rate_hz[condition] += counts
            total += spiked
    spike_condition, spike_trial, spike_neuron, spike_step = (np.concatenate(part) for part in zip(*spikes, strict=True))
    step_s = network.dt_ms * 1e-3
    n_all = len(run) * trials
    return Simulated(
        rate_hz=rate_hz / (trials * bin_steps * step_s),
        window_counts=window_counts.reshape(n_all, n_trained),
        trial_condition=np.repeat(run.astype(np.int32), trials),
        neuron_rate_hz=(total / (n_all * network.window_steps * step_s)).astype(np.float32),
        neuron_cv_isi=cv_isi(spike_neuron, spike_condition * np.int32(trials) + spike_trial, spike_step, network.n_neurons),
        spike_condition=spike_condition,
        spike_trial=spike_trial,
        spike_neuron=spike_neuron,
        spike_time_s=(spike_step * step_s).astype(np.float32),
    )


def _sums_on_device(
    simulator: Simulator, weights: Weights, condition: int, trials: range, bin_steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Run trials on the simulator's device and bring sums only.

    Returns
    -------
    counts : (time, trained) int64
        Spikes per bin, over all trials.
    window_counts : (trial, trained) int32
    spikes : (neuron,) int64
        Over all trials.

    """
    network, device = simulator.network, simulator.device
    assert device is not None
    sums = RecordSums(device, network.window_steps // bin_steps, network.n_neurons, network.trained)
    window_counts = []
    for output in simulator.device_batches(weights, condition, trials, chunk_steps=bin_steps):
        sums.add(output)
        window_counts.append(sums.totals(output))
    return device.to_host(sums.counts).sum(axis=0), np.concatenate(window_counts), device.to_host(sums.spikes)
