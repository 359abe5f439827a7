"""The build stage: targets.zarr -> network.zarr."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec import store
from fitrec.config.network import NetworkConfig
from fitrec.config.neuron_model import NeuronModelConfig
from fitrec.errors import NetworkError
from fitrec.kernels.cuda.device import Device, open_device
from fitrec.networks.balanced import balanced_drive, balanced_projection
from fitrec.networks.feed_forward import feed_forward_rates, recorded_rates
from fitrec.networks.limits import require_lead, whole_steps
from fitrec.networks.network import Network
from fitrec.networks.neuron_model import describe_model
from fitrec.networks.plastic import assign_neurons, plastic_inputs
from fitrec.simulate.untrained import network_fi, untrained_rates
from fitrec.targets.targets import Targets

logger = logging.getLogger(__name__)


def run(
    targets: Path,
    out: Path,
    config: NetworkConfig,
    *,
    seed: int,
    threads: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    config_hash: str = "",
) -> Network:
    """Build a network for the targets, measure it untrained, and store it.

    The network depends neither on the number of threads nor on the device, "cpu" or "cuda:<number>".

    Raises
    ------
    DeviceError
        If the GPU cannot be used or has too little memory.
    NetworkError
        If the wiring is impossible, or the bins or windows are not whole numbers of time steps.
    StoreError
        If the targets cannot be read or the output cannot be written.

    """
    store.require_absent(out, overwrite)
    network = build_network(store.load(targets, Targets), config, seed=seed, threads=threads, device=open_device(device))
    attributes = {"config_hash": config_hash, "source_sha256": store.content_sha256(targets)}
    store.save(out, network, attributes, overwrite=overwrite)
    logger.info("untrained network: E %.3f Hz, I %.3f Hz", *network.untrained_mean_hz)
    return network


def build_network(
    targets: Targets, config: NetworkConfig, *, seed: int, threads: int | None = None, device: Device | None = None
) -> Network:
    """Draw the wiring, measure the untrained network, and choose a neuron for each unit to be trained."""
    wiring, neuron, plastic, stimulus = config.balanced, config.neuron, config.plastic, config.stimulus
    n_exc, n_inh, inh = wiring.n_exc, wiring.n_inh, config.neuron_inh
    if inh is not None and inh != neuron and config.assignment.population == "all":
        raise NetworkError(
            "network.assignment.population is all, but network.neuron_inh differs from network.neuron, and rates become drives "
            "by the f-I curve of the E neurons; set the population to exc, or leave out neuron_inh"
        )
    if targets.is_continuous:  # nothing triggers a segment
        stimulus = stimulus.model_copy(update={"duration_ms": 0.0, "sd": 0.0})
    window_start = whole_steps(
        "network.settle_ms + network.stimulus.duration_ms", config.settle_ms + stimulus.duration_ms, config.dt_ms
    )
    lead_ms = config.settle_ms if targets.is_continuous else config.feed_forward.lead_ms
    ff_lead = whole_steps("network.feed_forward.lead_ms", lead_ms, config.dt_ms)
    require_lead(lead_ms, config.settle_ms + stimulus.duration_ms)
    require_inputs(config, targets)
    bin_steps = whole_steps("the targets' bin width in ms", targets.bin_size_s * 1e3, config.dt_ms)
    whole_steps("1 ms", 1.0, config.dt_ms)
    static = wiring.model_dump(exclude={"drive_exc", "drive_inh", "tau_syn_ms"})
    model = None if config.model is None else neuron_model(config.model, config.dt_ms)
    unit = neuron.tau_m_ms if config.model is None else config.model.weight_unit
    projection = balanced_projection(**static, tau_m_ms=unit, seed=seed, threads=threads, device=device)
    if model is not None:
        projection = replace(projection, weight=_at_ports(model, "static", projection.weight))
    none = np.zeros(0, np.int32)
    network = Network(
        seed=seed,
        n_exc=n_exc,
        n_inh=n_inh,
        dt_ms=config.dt_ms,
        integration=config.integration,
        tau_m_ms=neuron.tau_m_ms,
        threshold=neuron.threshold,
        reset=neuron.reset,
        refractory_steps=round(neuron.t_ref_ms / config.dt_ms),
        sigma=neuron.sigma,
        tau_static_ms=wiring.tau_syn_ms,
        tau_plastic_ms=plastic.tau_syn_ms,
        n_plastic_exc=plastic.n_exc,
        plastic_pool_size=plastic.pool_size,
        stimulus_start_step=whole_steps("network.settle_ms", config.settle_ms, config.dt_ms),
        window_start_step=window_start,
        window_steps=targets.n_bins * bin_steps,
        stimulus_sd=stimulus.sd * _drive_unit(config),
        stimulus_tau_ms=stimulus.tau_ms,
        condition_names=targets.condition_names,
        inh=None if inh is None else [inh.tau_m_ms, inh.threshold, inh.reset, inh.sigma, round(inh.t_ref_ms / config.dt_ms)],
        model=model,
        drive=_drive_unit(config)
        * balanced_drive(**wiring.model_dump(include={"n_exc", "n_inh", "k", "gain", "drive_exc", "drive_inh"})),
        **projection.network_fields(),
        trained=none,
        trained_unit=none,
        plastic_pre=np.zeros((0, 0), np.int32),
        plastic_weight=np.zeros((0, 0), np.float32),
        ff_lead_steps=ff_lead,
        shared_feed_forward=targets.is_continuous,
        ff_rate_hz=_input_rates(targets, config, ff_lead, seed),
        untrained_rate_hz=np.zeros(n_exc + n_inh, np.float32),
        fi_drive=np.zeros(0),
        fi_rate_hz=np.zeros(0),
    )
    rates = untrained_rates(network, threads=threads, device=device)
    # Gradient rules need no f-I curve, and others no model.
    fi_drive, fi_rate_hz = network_fi(network, threads=threads, device=device) if model is None else (np.zeros(0), np.zeros(0))

    units = np.flatnonzero(~targets.units["held_out"].to_numpy(bool)).astype(np.int32)
    candidates = np.arange(n_exc if config.assignment.population == "exc" else n_exc + n_inh, dtype=np.int32)
    unit_rate_hz = np.nanmean(targets.wanted_hz[:, :, units], axis=(0, 1))  # held-out time has none
    chosen = assign_neurons(config.assignment.method, unit_rate_hz, rates, candidates)
    order = np.argsort(chosen)
    trained = chosen[order]
    pre = plastic_inputs(
        trained=trained,
        n_exc=n_exc,
        n_inh=n_inh,
        inputs_exc=plastic.n_exc,
        inputs_inh=plastic.n_inh,
        exc_sources=plastic.exc_sources,
        seed=seed,
        pool_size=plastic.pool_size,
        threads=threads,
        device=device,
    )
    weight = np.empty(pre.shape, np.float32)
    weight[:, : plastic.n_exc] = plastic.weight_exc
    weight[:, plastic.n_exc :] = plastic.weight_inh
    if model is not None:
        weight = _at_ports(model, "plastic", weight)
    return replace(
        network,
        trained=trained,
        trained_unit=units[order],
        plastic_pre=pre,
        plastic_weight=weight,
        untrained_rate_hz=rates,
        fi_drive=fi_drive,
        fi_rate_hz=fi_rate_hz,
    )


def _input_rates(targets: Targets, config: NetworkConfig, lead_steps: int, seed: int) -> NDArray[np.float32]:
    """Rates of the feed-forward inputs (condition, time_ms, ff)."""
    lead_ms, bin_ms = lead_steps * config.dt_ms, targets.bin_size_s * 1e3
    if targets.input_hz is None:
        return feed_forward_rates(
            n_conditions=len(targets.condition_names),
            duration_ms=int(np.ceil(lead_ms + targets.n_bins * bin_ms - 1e-6)),
            seed=seed,
            **config.feed_forward.model_dump(exclude={"lead_ms"}),
        )
    assert targets.trial_is_test is not None
    return recorded_rates(
        targets.input_hz,
        ~targets.trial_is_test,
        bin_ms=bin_ms,
        lead_ms=lead_ms,
        ahead_ms=config.plastic.tau_syn_ms,
        rate_hz=config.feed_forward.rate_hz,
        largest_hz=1e3 / config.dt_ms,  # a spike in every step
    )


def require_inputs(config: NetworkConfig, targets: Targets) -> None:
    """Refuse inputs of a continuous fit that are not recorded.

    Raises
    ------
    NetworkError

    """
    if targets.is_continuous and config.feed_forward.n_inputs:
        raise NetworkError(
            f"network.feed_forward.n_inputs is {config.feed_forward.n_inputs}, but in a continuous fit recorded units are the "
            "inputs (targets.continuous.input_fraction or input_where); leave n_inputs out"
        )
    if targets.is_continuous and not config.feed_forward.rate_hz:
        raise NetworkError("network.feed_forward.rate_hz is 0, so the recorded input units would be silent; 50 is usual")


def _drive_unit(config: NetworkConfig) -> float:
    return 1.0 if config.model is None else config.model.drive_unit


def neuron_model(config: NeuronModelConfig, dt_ms: float) -> dict[str, Any]:
    """Return ``Network.model``.

    Raises
    ------
    ModelError
        If the model cannot be used, or it is not clear how.

    """
    options = config.model_dump(exclude={"file", "weight_unit", "drive_unit"})
    return describe_model(**options, dt_ms=dt_ms, source=config.source)


def _at_ports(model: dict[str, Any], kind: str, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights as their ports take them: where I neurons have a port of their own, magnitudes."""
    ports = model["ports"]
    return weight if ports[f"{kind}_exc"] == ports[f"{kind}_inh"] else np.abs(weight)
