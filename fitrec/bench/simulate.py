"""The time loop alone: what a neuron costs per step, and what a spike costs per synapse.

Neurons fire regularly at the wanted rate with phases that are spread evenly, driven by a constant current; their synapses carry
weights too small to matter. So the same spikes fall in every variant, with and without noise and synapses, and the difference of
two variants is the cost of what they differ in.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.bench.compiled import CompiledLoop, compiler
from fitrec.errors import ConfigError
from fitrec.kernels.cuda import lif as cuda
from fitrec.kernels.cuda.device import Device
from fitrec.networks.balanced import PUBLISHED_FACTORS, balanced_projection, no_projection
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator

DT_MS, TAU_M_MS = 0.1, 1000.0  # a slow membrane holds low rates without noise
NOISE_SIGMA = 1e-3
REPEATS = 15
_NO_WEIGHTS = Weights(plastic=np.zeros((0, 0), np.float32), feed_forward=np.zeros((1, 0, 0), np.float32))


def run(
    *, neurons: int, out_degree: int, rate_hz: float, steps: int, threads: int, device: Device | None = None, seed: int = 1
) -> dict[str, Any]:
    """Time the variants.

    Parameters
    ----------
    neurons, out_degree : int
        Size of the network and static synapses per neuron.
    rate_hz : float
        Rate of every neuron.
    steps : int
        Steps of 0.1 ms per repetition.
    threads : int
        Threads that share the neurons; fewer take part in a small network.
    device : Device, optional
        Where to run instead; the figures are then those of the whole device by its clock, and C is not compared with.

    Returns
    -------
    dict
        ``ns_per_neuron_step`` without noise and synapses but with the spikes, ``ns_per_neuron_step_noise`` with noise,
        ``ns_per_synaptic_event`` and ``ns_per_synaptic_event_procedural``, whose targets are drawn at each spike: each times the
        number of threads, so per core; from the best of the repetitions. One thread is timed by its own processor time, which
        other programs disturb least; several by the wall clock. ``c`` has the same figures (none of procedural synapses) of the
        time loop in C on one thread, measured by turns with ours, ``ours_over_c`` their ratios; None where there is no compiler.

    Raises
    ------
    ConfigError
        If the rate is higher than one spike in two steps.

    """
    if not 0 < rate_hz <= 500.0 / DT_MS:
        raise ConfigError(f"--rate-hz is {rate_hz:g}, but must be above 0 and at most {500 / DT_MS:g}, a spike in two steps.")
    network = _network(neurons, out_degree, rate_hz, seed)
    no_synapses = replace(network, **no_projection(neurons).network_fields())
    variants = {
        "bare": Simulator(no_synapses, device),
        "noise": Simulator(replace(no_synapses, sigma=NOISE_SIGMA), device),
        "synapses": Simulator(network, device),
        "procedural": Simulator(_network(neurons, out_degree, rate_hz, seed, "procedural"), device),
    }
    parts = 1 if device else len(variants["bare"].wiring(_NO_WEIGHTS, 0, threads).bounds) - 1
    with_c = device is None and compiler()
    compiled = CompiledLoop("uint16_t" if neurons <= 1 << 16 else "uint32_t") if with_c else None
    loops: dict[str, CompiledLoop | None] = {"numba": None} if compiled is None else {"numba": None, "c": compiled}
    seconds: dict[str, dict[str, list[float]]] = {loop: {name: [] for name in variants} for loop in loops}
    spikes = 0
    for repeat in range(REPEATS + 1):  # the first compiles and fills the caches
        for name, simulator in variants.items():
            for loop, program in loops.items():
                if program and name == "procedural":  # in C there is none
                    continue
                taken, spikes = _time(simulator, rate_hz, steps, parts, program)
                if repeat:
                    seconds[loop][name].append(taken)
    events = spikes * out_degree
    ours = _figures(seconds["numba"], neurons * steps, events, parts)
    theirs = None if compiled is None else _figures(seconds["c"], neurons * steps, events, 1)
    return {
        **ours,
        "c": theirs,
        "ours_over_c": None if theirs is None else {name: ours[name] / value for name, value in theirs.items() if value},
        "note": None if theirs or device else "no C compiler (cc, gcc or clang) on the PATH: not compared with C",
        "threads_used": parts,
        "clock": "device" if device else "processor time of the thread" if parts == 1 else "wall",
        "neurons": neurons,
        "out_degree": out_degree,
        "rate_hz": spikes / (neurons * steps * DT_MS * 1e-3),
        "steps": steps,
        "seconds": seconds,
    }


def _figures(seconds: dict[str, list[float]], neuron_steps: int, events: int, cores: int) -> dict[str, float]:
    """Nanoseconds of one core per neuron and step, and per synaptic event, from the best repetitions."""
    best = {name: 1e9 * cores * min(values) for name, values in seconds.items() if values}
    figures = {
        "ns_per_neuron_step": best["bare"] / neuron_steps,
        "ns_per_neuron_step_noise": best["noise"] / neuron_steps,
        "ns_per_synaptic_event": max(0.0, best["synapses"] - best["bare"]) / max(events, 1),
    }
    if "procedural" in best:
        figures["ns_per_synaptic_event_procedural"] = max(0.0, best["procedural"] - best["bare"]) / max(events, 1)
    return figures


def _network(neurons: int, out_degree: int, rate_hz: float, seed: int, connectivity: str = "stored") -> Network:
    """Build half E, half I neurons with `out_degree` synapses of negligible weight each, driven to fire at `rate_hz`."""
    n_exc = (neurons + 1) // 2
    projection = balanced_projection(
        n_exc=n_exc,
        n_inh=neurons - n_exc,
        k=out_degree // 2,
        degree="out",
        gain=1e-9,
        **PUBLISHED_FACTORS,
        tau_m_ms=TAU_M_MS,
        seed=seed,
        connectivity=connectivity,
        threads=None,
        device=None,
    )
    return Network(
        seed=seed,
        n_exc=n_exc,
        n_inh=neurons - n_exc,
        dt_ms=DT_MS,
        integration="exact",
        tau_m_ms=TAU_M_MS,
        threshold=1.0,
        reset=0.0,
        refractory_steps=1,
        sigma=0.0,
        tau_static_ms=3.0,
        tau_plastic_ms=150.0,
        n_plastic_exc=0,
        stimulus_start_step=0,
        window_start_step=0,
        window_steps=0,
        stimulus_sd=0.0,
        stimulus_tau_ms=20.0,
        condition_names=["benchmark"],
        drive=_drive(rate_hz) * np.ones(neurons, np.float32),
        **projection.network_fields(),
        trained=np.zeros(0, np.int32),
        trained_unit=np.zeros(0, np.int32),
        plastic_pre=np.zeros((0, 0), np.int32),
        plastic_weight=np.zeros((0, 0), np.float32),
        ff_rate_hz=np.zeros((1, 1, 0), np.float32),
        untrained_rate_hz=np.zeros(neurons, np.float32),
        fi_drive=np.zeros(0),
        fi_rate_hz=np.zeros(0),
    )


def _drive(rate_hz: float) -> np.float32:
    """Return the constant drive at which the membrane climbs from 0 to the threshold 1 between two spikes."""
    climb_ms = 1e3 / rate_hz - DT_MS  # less the refractory step
    return np.float32(1.0 / (1.0 - np.exp(-climb_ms / TAU_M_MS)))


def _time(simulator: Simulator, rate_hz: float, steps: int, threads: int, program: CompiledLoop | None) -> tuple[float, int]:
    """Run the steps once from evenly spread phases, with our kernel or the program in C; returns seconds and spikes."""
    network = simulator.network
    n = network.n_neurons
    # A step of the golden section spreads the phases evenly over the neurons in any order.
    phase_ms = 1e3 / rate_hz * ((np.arange(n) * 0.6180339887498949) % 1.0)
    voltage = (_drive(rate_hz) * (1.0 - np.exp(-phase_ms / TAU_M_MS))).astype(np.float32)
    if simulator.device is not None:
        return _time_on_device(simulator, simulator.device, voltage, steps)
    wiring, state = simulator.wiring(_NO_WEIGHTS, 0, 1 if program else threads), simulator.initial_state(0, 0)
    state.v[:] = voltage
    counts: NDArray[np.uint16] = np.zeros(n, np.uint16)
    power = simulator.trace_power(steps)
    clock = time.thread_time if threads == 1 else time.perf_counter
    started = clock()
    if program is None:
        simulator.advance(wiring, state, 0, network.drive, 0, steps, trial=0, power=power, counts=counts)
    else:
        program(simulator.constants, wiring, state, network.drive, steps, counts)
    return clock() - started, int(counts.sum())


def _time_on_device(simulator: Simulator, device: Device, voltage: NDArray[np.float32], steps: int) -> tuple[float, int]:
    """Run the steps once from these voltages; returns seconds by the device's clock and spikes."""
    batch = simulator.device_batch(simulator.device_wiring(_NO_WEIGHTS, 0), 0, steps, np.zeros(1, np.int64))
    batch.state.v[0] = device.asarray(voltage)
    output = cuda.new_output(device, 1, 1, len(voltage), 0)
    seconds = device.seconds(lambda: batch.advance(0, 1, steps, output))
    return seconds, int(device.to_host(output.counts).sum())
