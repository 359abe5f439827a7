"""The anchors' networks and targets: configurations A, B and C of TrainSpikingNet (rls.md 1.2-1.4), and a million neurons."""

from dataclasses import dataclass, replace

import numpy as np

from fitrec.kernels.cuda.device import Device
from fitrec.learn.drive_targets import measure_static_current
from fitrec.learn.memory import FitSizes
from fitrec.learn.rule import Problem
from fitrec.networks.balanced import PUBLISHED_FACTORS, balanced_drive, balanced_projection
from fitrec.networks.network import Network
from fitrec.networks.plastic import plastic_inputs
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator

DT_MS, TAU_M_MS = 0.1, 10.0
SETTLE_MS, STIMULUS_MS = 800.0, 200.0
# An f-I curve under which a neuron fires at exp(drive): targets of the drive can be given as rates, exactly.
_LOG_DRIVE = np.linspace(-40.0, 40.0, 81)
_TRIAL = 700_000  # the untrained trial that the targets are built around


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings of one training loop; `k` static and `inputs` plastic connections from each population.

    `published_hz` is the rate of the anchor's first loop, mean over all neurons and the whole trial, with its own random numbers;
    `anchor` is the time that is published of it.
    """

    neurons: int
    k: int
    inputs: int
    sigma: float
    penalty: float
    penalty_row_sum: float
    bin_ms: float
    window_ms: float
    psth_like: bool
    connectivity: str = "stored"
    published_hz: float | None = None
    anchor: str | None = None


# The published sinusoid benchmark; the default network and the million differ from it in size only.
_SINUSOID = Preset(
    neurons=10_000,
    k=512,
    inputs=45,
    sigma=0.0,
    penalty=0.8,
    penalty_row_sum=0.01,
    bin_ms=10.0,
    window_ms=1000.0,
    psth_like=False,
)

PRESETS = {
    "default-4096": replace(
        _SINUSOID,
        neurons=4096,
        k=205,
        inputs=29,
        published_hz=4.60229,
        anchor="7.1 s, CPU (TrainSpikingNet, README)",
    ),
    "sinusoid-10k": replace(_SINUSOID, published_hz=5.45735, anchor="3.90 s, CPU, cores unstated (TrainSpikingNet, notebook)"),
    "neuropixels-66k": Preset(
        neurons=66_002,
        k=0,
        inputs=64,
        sigma=0.65,
        penalty=0.04,
        penalty_row_sum=0.0,
        bin_ms=20.0,
        window_ms=3000.0,
        psth_like=True,
        published_hz=7.36446,
        anchor="4.39 s, H100 (TrainSpikingNet, notebook)",
    ),
    "million": replace(_SINUSOID, neurons=1_000_000, connectivity="procedural"),
}


def scaled(preset: Preset, neurons: int) -> Preset:
    """Return the preset with another number of neurons, and as many connections per neuron as these allow."""
    limit = neurons // 2 - 2
    return replace(
        preset, neurons=neurons, k=min(preset.k, limit), inputs=min(preset.inputs, limit), published_hz=None, anchor=None
    )


def sizes(preset: Preset) -> FitSizes:
    """Return what the memory of a loop depends on."""
    return FitSizes(
        n_neurons=preset.neurons,
        n_static=2 * preset.k * preset.neurons if preset.connectivity == "stored" else 0,
        n_pool=preset.neurons,
        n_trained=preset.neurons,
        n_inputs=2 * preset.inputs,
        n_ff=0,
        n_conditions=1,
        n_bins=round(preset.window_ms / preset.bin_ms),
        stimulus_steps=round(STIMULUS_MS / DT_MS),
    )


def network(preset: Preset, seed: int, threads: int | None = None, device: Device | None = None) -> Network:
    """Draw the network, on the device if there is one; all neurons are trained."""
    n_exc = (preset.neurons + 1) // 2
    n_inh = preset.neurons - n_exc
    projection = balanced_projection(
        n_exc=n_exc,
        n_inh=n_inh,
        k=preset.k,
        degree="out",
        gain=1.0,
        **PUBLISHED_FACTORS,
        tau_m_ms=TAU_M_MS,
        seed=seed,
        connectivity=preset.connectivity,
        threads=threads,
        device=device,
    )
    trained = np.arange(preset.neurons, dtype=np.int32)
    pre = plastic_inputs(
        trained=trained,
        n_exc=n_exc,
        n_inh=n_inh,
        inputs_exc=preset.inputs,
        inputs_inh=preset.inputs,
        exc_sources="all",
        seed=seed,
        threads=threads,
        device=device,
    )
    weight = np.full(pre.shape, -10.0 / np.sqrt(preset.inputs), np.float32)
    weight[:, : preset.inputs] *= -1
    return Network(
        seed=seed,
        n_exc=n_exc,
        n_inh=n_inh,
        dt_ms=DT_MS,
        integration="euler",
        tau_m_ms=TAU_M_MS,
        threshold=1.0,
        reset=0.0,
        refractory_steps=1,
        sigma=preset.sigma,
        tau_static_ms=3.0,
        tau_plastic_ms=150.0,
        n_plastic_exc=preset.inputs,
        stimulus_start_step=round(SETTLE_MS / DT_MS),
        window_start_step=round((SETTLE_MS + STIMULUS_MS) / DT_MS),
        window_steps=round(preset.window_ms / DT_MS),
        stimulus_sd=0.2 * np.sqrt(10.0),
        stimulus_tau_ms=20.0,
        condition_names=["benchmark"],
        drive=balanced_drive(n_exc=n_exc, n_inh=n_inh, k=preset.k, gain=1.0, drive_exc=0.12, drive_inh=0.08),
        **projection.network_fields(),
        trained=trained,
        trained_unit=trained,
        plastic_pre=pre,
        plastic_weight=weight,
        ff_rate_hz=np.zeros((1, round(preset.window_ms), 0), np.float32),
        untrained_rate_hz=np.zeros(preset.neurons, np.float32),
        fi_drive=_LOG_DRIVE,
        fi_rate_hz=np.exp(_LOG_DRIVE),
    )


def problem(preset: Preset, simulator: Simulator, threads: int) -> Problem:
    """Set targets for every neuron: sinusoids around its untrained static current, or around PSTH-like mean drives."""
    net = simulator.network
    bins = round(preset.window_ms / preset.bin_ms)
    rng = np.random.default_rng(net.seed)
    time_ms = preset.bin_ms * np.arange(1, bins + 1)[:, None]
    phase = rng.uniform(0, 1, preset.neurons)
    wave = np.sin(2 * np.pi * (time_ms / 1000.0 - phase))
    empty = Problem(
        simulator=simulator,
        rate_hz=np.zeros((1, bins, preset.neurons)),
        bin_steps=round(preset.bin_ms / DT_MS),
        smoothing=np.ones(1),
        rate_floor_hz=float(np.exp(_LOG_DRIVE[0])),
        sharpening=0,
        static_smoothing_s=0.05,
        threads=threads,
    )
    if preset.psth_like:
        drive = rng.normal(-0.1, 0.25, preset.neurons) + 0.15 * wave
    else:
        silent = Weights(plastic=net.plastic_weight, feed_forward=np.zeros((1, preset.neurons, 0), np.float32))
        drive = 0.5 * wave + measure_static_current(empty, silent, 1, _TRIAL)[0] + net.drive
    return replace(empty, rate_hz=np.exp(drive)[None])
