"""Networks small enough for a test, and their counterparts for the reference time loop."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.kernels.reference import lif as reference
from fitrec.networks.balanced import PUBLISHED_FACTORS, StaticProjection, balanced_drive, balanced_projection
from fitrec.networks.network import Network
from fitrec.networks.neuron_model import describe_model
from fitrec.networks.plastic import plastic_inputs
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator

KIM_WEIGHTS = {**PUBLISHED_FACTORS, "tau_m_ms": 10.0}


def small_network(
    n_exc: int = 40,
    n_inh: int = 40,
    k: int = 10,
    n_trained: int = 12,
    plastic: tuple[int, int] = (8, 6),
    n_ff: int = 0,
    n_conditions: int = 2,
    settle_ms: float = 10.0,
    stimulus_ms: float = 10.0,
    window_ms: float = 60.0,
    seed: int = 1,
    drives: tuple[float, float] = (0.6, 0.5),
    projection: StaticProjection | None = None,
    connectivity: str = "stored",
    **changes: Any,
) -> Network:
    """Balanced network with the published weights; every `changes` is a field of Network.

    The drives are stronger than the published ones (0.12, 0.08), with which so small a network would be silent.
    """
    dt_ms = changes.get("dt_ms", 0.1)
    steps = {name: round(ms / dt_ms) for name, ms in (("settle", settle_ms), ("stimulus", stimulus_ms), ("window", window_ms))}
    if projection is None:
        projection = balanced_projection(
            n_exc=n_exc, n_inh=n_inh, k=k, degree="out", gain=1.0, seed=seed, connectivity=connectivity, **KIM_WEIGHTS
        )
    trained = np.unique(np.linspace(0, n_exc - 1, n_trained).astype(np.int32))
    rng = np.random.default_rng(seed)
    pre = np.zeros((0, 0), np.int32)
    if n_trained:
        pre = plastic_inputs(
            trained=trained,
            n_exc=n_exc,
            n_inh=n_inh,
            inputs_exc=plastic[0],
            inputs_inh=plastic[1],
            exc_sources="trained",
            seed=seed,
        )
    weight = np.where(np.arange(pre.shape[1]) < plastic[0], 0.6, -0.3) * np.ones(pre.shape)
    fields: dict[str, Any] = {
        "seed": seed,
        "n_exc": n_exc,
        "n_inh": n_inh,
        "dt_ms": dt_ms,
        "integration": "euler",
        "tau_m_ms": 10.0,
        "threshold": 1.0,
        "reset": 0.0,
        "refractory_steps": 1,
        "sigma": 0.0,
        "tau_static_ms": 3.0,
        "tau_plastic_ms": 150.0,
        "n_plastic_exc": plastic[0],
        "stimulus_start_step": steps["settle"],
        "window_start_step": steps["settle"] + steps["stimulus"],
        "window_steps": steps["window"],
        "stimulus_sd": 0.632,
        "stimulus_tau_ms": 20.0,
        "condition_names": [f"condition {c}" for c in range(n_conditions)],
        "drive": balanced_drive(n_exc=n_exc, n_inh=n_inh, k=k, gain=1.0, drive_exc=drives[0], drive_inh=drives[1]),
        **projection.network_fields(),
        "trained": trained,
        "trained_unit": np.arange(len(trained), dtype=np.int32),
        "plastic_pre": pre,
        "plastic_weight": weight.astype(np.float32),
        "ff_rate_hz": rng.uniform(0.0, 80.0, (n_conditions, int(np.ceil(window_ms)), n_ff)).astype(np.float32),
        "untrained_rate_hz": np.zeros(n_exc + n_inh, np.float32),
        "fi_drive": np.zeros(0),
        "fi_rate_hz": np.zeros(0),
    }
    return Network(**{**fields, **changes})


def with_model(name: str, parameters: dict[str, Any] | None = None, **changes: Any) -> Network:
    """Return a small network with a model of the library, weights in its unit and sign."""
    options = dict.fromkeys(("text", "preset", "port_exc", "port_inh", "port_static", "port_plastic", "drive", "scattered"))
    described = describe_model(name=name, parameters=parameters or {}, scatter=None, dt_ms=0.1, source="the model", **options)
    network = small_network(**changes)
    separate = described["ports"]["static_exc"] != described["ports"]["static_inh"]
    scale = np.abs if separate else np.asarray
    return replace(
        network,
        model=described,
        drive=np.full(network.n_neurons, 1.8, np.float32),
        static_weight=scale(network.static_weight * np.float32(0.1)),
        plastic_weight=scale(network.plastic_weight * np.float32(0.1)),
    )


def static_only(n_exc: int, n_inh: int, k: int, window_ms: float, seed: int = 1, **changes: Any) -> Network:
    """Network with the published drives and static synapses only; its window begins at the random voltages."""
    return small_network(
        n_exc,
        n_inh,
        k,
        n_trained=0,
        n_conditions=1,
        settle_ms=0.0,
        stimulus_ms=0.0,
        window_ms=window_ms,
        seed=seed,
        **{"stimulus_sd": 0.0, "drives": (0.12, 0.08), **changes},
    )


def projection_of(rows: list[tuple[list[int], list[float]]]) -> StaticProjection:
    """Projection from the targets and weights of each neuron."""
    sizes = [len(targets) for targets, _ in rows]
    return StaticProjection(
        indptr=np.cumsum([0, *sizes], dtype=np.int64),
        indices=np.array([target for targets, _ in rows for target in targets], np.int32),
        weight=np.array([weight for _, weights in rows for weight in weights], np.float32),
    )


def random_weights(network: Network, seed: int = 0, scale: float = 1.0) -> Weights:
    """Weights without any two equal, of either sign."""
    rng = np.random.default_rng(seed)
    shape = (network.n_conditions, len(network.trained), network.n_feed_forward)
    return Weights(
        plastic=(scale * rng.normal(size=network.plastic_pre.shape)).astype(np.float32),
        feed_forward=(scale * rng.normal(size=shape)).astype(np.float32),
    )


def reference_constants(constants: lif.Constants, n_neurons: int) -> reference.Constants:
    """Return the very numbers the fast kernel works with, in double precision, one per neuron where they may differ."""
    is_exc = np.arange(n_neurons) < constants.n_exc
    membrane = {
        name: np.where(is_exc, exc.item(), inh.item())
        for (name, exc), inh in zip(constants.exc._asdict().items(), constants.inh, strict=True)
    }
    shared = {name: getattr(constants, name).item() for name in ("decay_s", "charge_s", "decay_p", "charge_p", "seed")}
    return reference.Constants(**membrane, **shared)


def reference_wiring(network: Network, weights: Weights, condition: int) -> reference.Wiring:
    """Dense weight matrices straight from the network's tables."""
    n = network.n_neurons
    static, plastic, feed_forward = np.zeros((n, n)), np.zeros((n, n)), np.zeros((network.n_feed_forward, n))
    for i in range(n):
        row = slice(network.static_indptr[i], network.static_indptr[i + 1])
        static[i, network.static_indices[row]] = network.static_weight[row]
    for u, post in enumerate(network.trained):
        plastic[network.plastic_pre[u], post] = weights.plastic[u]
        feed_forward[:, post] = weights.feed_forward[condition, u]
    return reference.Wiring(static=static, plastic=plastic, feed_forward=feed_forward)


def advance(
    simulator: Simulator,
    weights: Weights,
    state: lif.State,
    n_steps: int,
    *,
    step: int = 0,
    condition: int = 0,
    trial: int = 0,
    drive: NDArray[np.float32] | None = None,
    recorder: lif.Recorder | None = None,
    wiring: lif.Wiring | None = None,
) -> NDArray[np.uint16]:
    """Advance a state with the fast kernel, in closed loop; returns the neurons' numbers of spikes."""
    network = simulator.network
    nothing = np.zeros(0, np.int32)
    counts = np.zeros(network.n_neurons, np.uint16)
    lif.advance(
        simulator.constants,
        simulator.wiring(weights, condition) if wiring is None else wiring,
        state,
        simulator.inputs(condition),
        network.drive if drive is None else drive,
        np.float32(1),
        step,
        n_steps,
        trial,
        condition,
        simulator.trace_power(n_steps),
        lif.Recorder(nothing, nothing, np.zeros(1, np.int64), 0, np.zeros(0, np.float32)) if recorder is None else recorder,
        counts,
        lif.new_team(network.n_neurons, 1, np.zeros((0, 0), np.int64)),
        0,
    )
    return counts


@dataclass
class ReferenceRun:
    """History of a reference run: one row per step."""

    spikes: NDArray[np.bool_]
    v: NDArray[np.float64]
    u_static: NDArray[np.float64]
    u_plastic: NDArray[np.float64]
    trace: NDArray[np.float64]
    ff_trace: NDArray[np.float64]


def reference_run(
    simulator: Simulator,
    weights: Weights,
    condition: int,
    trial: int,
    n_steps: int,
    own: float = 1.0,
    forced: NDArray[np.float32] | None = None,
    chunk_steps: int = 1,
) -> ReferenceRun:
    """Run a trial from its beginning with the reference kernel; `own` and `forced` count from the window's start on."""
    network, inputs = simulator.network, simulator.inputs(condition)
    c = reference_constants(simulator.constants, network.n_neurons)
    wiring = reference_wiring(network, weights, condition)
    state = reference.new_state(simulator.initial_state(condition, trial).v.astype(np.float64), network.n_feed_forward)
    history: dict[str, list[NDArray[Any]]] = {name: [] for name in ReferenceRun.__annotations__}
    for now in range(n_steps):
        drive = network.drive.astype(np.float64)
        since = now - network.stimulus_start_step
        if 0 <= since < len(inputs.stimulus):
            drive = drive + inputs.stimulus[since]
        ff, since = None, now - network.window_start_step
        if since >= 0 and forced is not None:
            drive[network.trained] += forced[since // chunk_steps]
        since_ff = since + network.ff_lead_steps
        if since_ff >= 0:
            probability = (
                network.ff_rate_hz[condition, int(since_ff * network.dt_ms + 1e-9)].astype(np.float64) * network.dt_ms * 1e-3
            )
            ff = reference.feed_forward_spikes(probability, since_ff, trial, condition, c.seed)
        noise = reference.membrane_noise(network.n_neurons, now, trial, condition, c.seed) if np.any(c.noise > 0) else None
        reference.step(c, wiring, state, drive, own if since >= 0 else 1.0, noise, ff)
        for name, values in history.items():
            values.append(getattr(state, name).copy())
    return ReferenceRun(**{name: np.array(values) for name, values in history.items()})


def fields_of(record: Any) -> dict[str, NDArray[Any]]:
    """Return the arrays of a dataclass, for comparison."""
    return {name: values for name, values in asdict(record).items() if isinstance(values, np.ndarray)}
