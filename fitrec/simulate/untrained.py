"""Measures a network before training: its rates, and the f-I curve of its neurons under the network's own fluctuations."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.lif import new_output, output_bytes
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.fi import drive_grid, measure_fi
from fitrec.simulate.record import TrialRecord
from fitrec.simulate.simulator import Simulator

SETTLE_MS = 200.0
RECORDED_BYTES = 2**28  # on a device, at a time


def _static_only(network: Network, window_ms: float) -> tuple[Network, Weights]:
    """Return the network without stimulus, feed-forward and plastic inputs, with a window of the given length from the start."""
    n = network.n_neurons
    bare = replace(
        network,
        stimulus_sd=0.0,
        stimulus_start_step=0,
        window_start_step=0,
        window_steps=round(window_ms / network.dt_ms),
        condition_names=["untrained"],
        trained=np.zeros(0, np.int32),
        trained_unit=np.zeros(0, np.int32),
        plastic_pre=np.zeros((0, 0), np.int32),
        plastic_weight=np.zeros((0, 0), np.float32),
        ff_rate_hz=np.zeros((1, 1, 0), np.float32),
        untrained_rate_hz=np.zeros(n, np.float32),
    )
    return bare, Weights(plastic=np.zeros((0, 0), np.float32), feed_forward=np.zeros((1, 0, 0), np.float32))


def untrained_rates(
    network: Network,
    *,
    trials: int = 8,
    trial_ms: float = 2500.0,
    threads: int | None = None,
    device: Device | None = None,
) -> NDArray[np.float32]:
    """Mean rate of each neuron with static synapses only, after the initial transient.

    Returns
    -------
    (neuron,) float32
        In Hz, over ``trials * (trial_ms - 500)`` of simulated time, in whole tenths of a second.

    """
    chunk_ms, skipped = 100.0, 5
    bare, weights = _static_only(network, trial_ms)
    simulator = Simulator(bare, device)

    def spikes(record: TrialRecord) -> NDArray[np.int64]:
        return np.asarray(record.counts[skipped:].sum(axis=0, dtype=np.int64))

    counts = simulator.map_trials(spikes, weights, 0, range(trials), chunk_steps=round(chunk_ms / network.dt_ms), threads=threads)
    total = np.sum(counts, axis=0)
    counted_ms = (trial_ms // chunk_ms - skipped) * chunk_ms
    return np.asarray(total / (trials * counted_ms * 1e-3), np.float32)


def network_fi(
    network: Network,
    *,
    n_sampled: int = 150,
    duration_ms: float = 3000.0,
    threads: int | None = None,
    device: Device | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """f-I curve of the E neurons under the fluctuations of the untrained network's static current.

    The static currents of `n_sampled` E neurons are recorded at every step, their means removed, and isolated neurons are driven
    with them on a grid of constant drives.

    Returns
    -------
    drive, rate_hz : (point,) float64
        Drive is the mean total drive: constant + mean static + plastic current.

    """
    bare, weights = _static_only(network, duration_ms)
    steps = round(duration_ms / network.dt_ms)
    sampled = np.unique(np.linspace(0, network.n_exc - 1, n_sampled).astype(np.int64))
    simulator, currents = Simulator(bare, device), np.zeros((len(sampled), steps), np.float32)
    if network.n_static:
        record = _static_currents if device is None else _static_currents_on_device
        record(simulator, weights, sampled, currents)
        currents = currents[:, round(SETTLE_MS / network.dt_ms) :]
        currents -= currents.mean(axis=1, keepdims=True)
    drives = drive_grid(network.threshold, network.reset)
    return drives, measure_fi(simulator.constants, drives, np.ascontiguousarray(currents), network.dt_ms, threads)


def _static_currents(simulator: Simulator, weights: Weights, neurons: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Run a trial of as many steps as `out` (neuron, step) has, and record the static currents of these neurons."""
    wiring, state, power = simulator.wiring(weights, 0), simulator.initial_state(0, 0), simulator.trace_power(1)
    counts = np.zeros(simulator.network.n_neurons, np.uint16)
    for step in range(out.shape[1]):
        simulator.advance(wiring, state, 0, simulator.network.drive, step, 1, trial=0, power=power, counts=counts)
        out[:, step] = state.u_static[neurons]


def _static_currents_on_device(
    simulator: Simulator, weights: Weights, neurons: NDArray[np.int64], out: NDArray[np.float32]
) -> None:
    """Do the same on the simulator's device: as the means of chunks of one step, many in a launch."""
    device, n, steps = simulator.device, simulator.network.n_neurons, out.shape[1]
    assert device is not None
    batch = simulator.device_batch(simulator.device_wiring(weights, 0), 0, 1, np.zeros(1, np.int64))
    places, together = device.asarray(neurons), max(1, RECORDED_BYTES // output_bytes(1, n, 0, traces=True, capacity=0))
    for first in range(0, steps, together):
        number = min(together, steps - first)
        output = new_output(device, 1, number, n, 0, sample_every=1)
        batch.advance(first, number, 1, output)
        out[:, first : first + number] = device.to_host(output.static_current[0][:, places]).T
