"""What a gradient costs beside the simulation it belongs to."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.bench.anchors import raster_of, readout, sparse
from fitrec.errors import ConfigError
from fitrec.kernels.cpu.model_state import Events
from fitrec.learn.gradient.constraints import Limits, Parameter
from fitrec.learn.gradient.losses import MeanSquared
from fitrec.learn.gradient.optimisers import Optimiser, Settings
from fitrec.learn.gradient.readout import make_readout
from fitrec.learn.gradient.rules import Bptt, DRtrl, EPropPlus, LocalAdjoint, PpProp, Rule, Signals
from fitrec.neurons.compile import compile_model
from fitrec.neurons.load import library_model
from fitrec.neurons.observation import RATE, observe_rate
from fitrec.simulate.model_network import ModelNetwork, Recording, Trial
from fitrec.simulate.synapses import Synapses

DT_MS, RATE_TAU_MS, TRACE_DECAY, CUTOFF_STEPS = 1.0, 20.0, 0.95, 100
REPEATS = 9
_SMALL = 1e-6  # weights relative to the drive: too small to matter, so that the rate is the drive's
UNMOVED = 1e-15  # a learning rate too small to move a weight, but not so small that changes become denormal, which is slow
PRESETS = ("dense-1000", "sparse-10000")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be timed.

    Attributes
    ----------
    neurons, synapses : int
        All synapses are recurrent and plastic, as many from each neuron.
    rate_hz : float
        Mean rate of the neurons, reached by a constant current of another size for each.
    steps : int
        Of 1 ms, from one update to the next.
    every : int
        Steps between learning signals: the difference of each neuron's filtered rate from a target. With ``e-prop`` it is
        the error of a leaky readout, in every step. With ``e-prop-plus`` an update follows each of them, so `steps` are a
        multiple of it.
    preset : str, optional
        Instead of all that one of the networks of pp_prop.md 5: ``dense-1000`` (5.1), ``sparse-10000`` (5.2).

    """

    neurons: int
    synapses: int
    rate_hz: float
    steps: int
    rule: str
    model: str
    every: int = 10
    preset: str | None = None
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A network driven to its rate, and its loss.

    Attributes
    ----------
    current : what `ModelNetwork.currents` returns, or None
    rows, every
        States that the loss depends on, and how often.
    learn : callable
        Makes the learning signals of a trial.

    """

    net: ModelNetwork
    inputs: Events
    current: NDArray[Any] | None
    rows: tuple[str, ...]
    every: int
    learn: Callable[[Trial], Signals]


def run(asked: Asked, threads: int) -> dict[str, Any]:
    """Time simulation, gradient and update of a network.

    Returns
    -------
    dict
        Milliseconds per step of a plain simulation, of a recorded one, of loss and learning signals, of the gradient, and of the
        optimiser's update: medians over repetitions, compilation apart. On one thread processor time,
        which other programs disturb least; else wall time. ``train_over_simulate``: recording, gradient and update by the plain
        simulation; ``..._with_loss``: the loss and its learning signals as well.
        ``bytes_per_synapse``: targets, weights, gradient, Adam's moments.

    Raises
    ------
    ConfigError
        As of `make_setup`.

    """
    setup = make_setup(asked)
    net, steps = setup.net, len(setup.inputs.indptr) - 1
    weights = net.plastic.weight.copy()
    optimiser = Optimiser([Parameter("synapses", weights, Limits(dale="clip"))], Settings(learning_rate=UNMOVED), threads=threads)
    made = make_rule(asked.rule, net, threads)
    tape, gradient = net.new_tape(steps), made.new_gradient()
    recording = Recording(tape=True, rows=setup.rows, every=setup.every)
    options: dict[str, Any] = {"current": setup.current}
    clock = time.process_time if threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in ("simulate", "record", "signals", "gradient", "update")}
    for repeat in range(REPEATS + 1):  # the first compiles and fills the caches
        made.begin()
        gradient.plastic[:] = 0
        marks = [clock()]
        net.run(weights, setup.inputs, recording=Recording(), **options)
        marks.append(clock())
        trial = net.run(weights, setup.inputs, recording=recording, tape=tape, **options)
        marks.append(clock())
        signals = setup.learn(trial)
        marks.append(clock())
        for part, of_part in parts(asked.rule, trial, signals):
            made.add(weights, part, of_part, gradient)
        marks.append(clock())
        optimiser.step({"synapses": gradient.plastic})
        marks.append(clock())
        if repeat:
            for name, duration in zip(seconds, np.diff(marks), strict=True):
                seconds[name].append(float(duration))
    kept = sum(array.nbytes for array in (net.plastic.target, weights, gradient.plastic, optimiser.state()["moments/synapses"]))
    return {
        **figures(asked, setup, seconds, trial),
        "bytes_per_synapse": (kept + net.plastic.indptr.nbytes) / net.plastic.n,
        "gradient_sha256": hashlib.sha256(gradient.plastic.tobytes()).hexdigest(),
        "clock": "processor time" if threads == 1 else "wall",
        "repeats": REPEATS,
    }


def figures(asked: Asked, setup: Setup, seconds: dict[str, list[float]], trial: Trial) -> dict[str, Any]:
    """Say what was timed, with the medians."""
    net, steps = setup.net, trial.n_steps
    ms = {name: 1e3 * float(np.median(values)) / steps for name, values in seconds.items()}
    update_ms, updates = ms["update"] * steps, steps // setup.every if asked.rule == "e-prop-plus" else 1
    train = ms["record"] + ms["gradient"] + ms["update"] * updates
    return {
        "rule": asked.rule,
        "model": net.compiled.model.name,
        "preset": asked.preset,
        "neurons": net.n,
        "synapses": net.plastic.n,
        "rate_hz": len(trial.emitted.source) / (net.n * steps * net.dt_ms * 1e-3),
        "steps": steps,
        "dt_ms": net.dt_ms,
        "every": setup.every,
        "simulate_ms_per_step": ms["simulate"],
        "record_ms_per_step": ms["record"],
        "signals_ms_per_step": ms["signals"],
        "gradient_ms_per_step": ms["gradient"],
        "update_ms": update_ms,
        "updates": updates,
        "train_over_simulate": train / ms["simulate"],
        "train_over_simulate_with_loss": (train + ms["signals"]) / ms["simulate"],
    }


def parts(rule: str, trial: Trial, signals: Signals) -> list[tuple[Trial, Signals]]:
    """Cut a trial where the rule has updates."""
    if rule != "e-prop-plus":
        return [(trial, signals)]
    every = signals.every
    return [
        (trial.cut(k * every, (k + 1) * every), replace(signals, states=signals.states[k : k + 1]))
        for k in range(len(signals.states))
    ]


def make_rule(name: str, net: ModelNetwork, threads: int) -> Rule:
    """Return a rule by its name on the command line."""
    if name == "pp-prop":
        return PpProp(net, decay_pre=TRACE_DECAY, decay_post=TRACE_DECAY, threads=threads)
    if name == "e-prop-plus":
        return EPropPlus(net, threads, cutoff_steps=CUTOFF_STEPS)
    kinds: dict[str, Callable[..., Rule]] = {"local-adjoint": LocalAdjoint, "e-prop": LocalAdjoint, "d-rtrl": DRtrl, "bptt": Bptt}
    return kinds[name](net, threads)


def make_setup(asked: Asked) -> Setup:
    """Make a network and drive it to its rate.

    Raises
    ------
    ConfigError
        If the options contradict each other, or the rate cannot be reached.

    """
    if asked.preset is not None:
        return _preset(asked.preset)
    neurons, rate_hz, steps, rule, every = asked.neurons, asked.rate_hz, asked.steps, asked.rule, asked.every
    model = library_model(asked.model)
    if not model.currents:
        raise ConfigError(f"--model {asked.model} has no current to drive it with; choose one that has")
    if not 0 < rate_hz < 500 / DT_MS:
        raise ConfigError(f"--rate-hz is {rate_hz:g}, but must be above 0 and below {500 / DT_MS:g}, a spike in two steps")
    if every > steps:
        raise ConfigError(f"--every is {every}, more than the {steps} steps of --steps: no learning signal would come")
    if rule == "e-prop-plus" and steps % every:
        raise ConfigError(f"--every is {every}, but must divide the {steps} steps of --steps with --rule e-prop-plus")
    rng = np.random.default_rng(asked.seed)
    spikes = rule in ("e-prop", "bptt")
    compiled = compile_model(observe_rate(model, RATE_TAU_MS), spike_signal=spikes)
    shape = np.zeros((1, len(model.currents), neurons), np.float32)
    shape[0, 0] = rng.lognormal(0, 0.3, neurons)
    nothing = Events(np.zeros(steps + 1, np.int64), np.zeros(0, np.int32))
    unconnected = ModelNetwork(compiled, n=neurons, n_inputs=0, dt_ms=DT_MS, plastic=_plastic(neurons, 0, 0, rng))
    level = _level(unconnected, shape, rate_hz, nothing)
    plastic = _plastic(neurons, asked.synapses, _SMALL * level, rng)
    net = ModelNetwork(compiled, n=neurons, n_inputs=0, dt_ms=DT_MS, plastic=plastic)
    if rule == "e-prop":
        leaky = make_readout(rng.normal(size=(neurons, 2)).astype(np.float32), kappa=float(np.exp(-DT_MS / 20)))

        def learn(trial: Trial) -> Signals:
            raster = raster_of(trial, neurons)
            _, error = MeanSquared()(leaky.respond(raster), np.zeros((steps, 2), np.float32))
            return Signals(spikes=leaky.backward(raster, error).signal)

        return Setup(net=net, inputs=nothing, current=net.currents(level * shape), rows=(), every=1, learn=learn)

    wanted = np.full((steps // every, neurons), rate_hz * 1e-3, np.float32)

    def compare(trial: Trial) -> Signals:
        _, derivative = MeanSquared()(trial.sampled[:, 0], wanted)
        with_spikes = np.zeros((1, neurons), np.float32) if spikes else None
        return Signals(rows=(RATE,), every=every, states=derivative[:, None], spikes=with_spikes, spikes_every=steps)

    return Setup(net=net, inputs=nothing, current=net.currents(level * shape), rows=(RATE,), every=every, learn=compare)


def _preset(name: str) -> Setup:
    """Return one of `PRESETS`."""
    anchor = readout(100, 1000, 10, 1000, inside=False, dtype="float32") if name == "dense-1000" else sparse(10_000, 0.01)
    return Setup(
        net=anchor.net,
        inputs=anchor.inputs,
        current=None,
        rows=anchor.rows,
        every=1,
        learn=lambda trial: anchor.learn(trial, 1).signals,
    )


def _plastic(neurons: int, synapses: int, scale: float, rng: np.random.Generator) -> Synapses:
    """Targets drawn for each neuron with as many synapses, of either sign; the first port has them."""
    indptr = np.round(np.linspace(0, synapses, neurons + 1)).astype(np.int64)
    target = rng.integers(0, neurons, synapses, dtype=np.int32)
    for i in range(neurons):
        target[indptr[i] : indptr[i + 1]].sort()
    weight = (scale * rng.normal(size=synapses)).astype(np.float32)
    return Synapses(indptr=indptr, target=target, weight=weight, order=np.arange(0))


def _level(net: ModelNetwork, shape: NDArray[Any], rate_hz: float, nothing: Events) -> float:
    """Find the size of the current at which the neurons reach their mean rate, by bisection."""
    none = np.zeros(0, np.float32)

    def rate(level: float) -> float:
        trial = net.run(none, nothing, recording=Recording(), current=level * shape)
        return len(trial.emitted.source) / (net.n * trial.n_steps * net.dt_ms * 1e-3)

    high = 1e-3
    while rate(high) < rate_hz:
        high *= 2
        if high > 1e9:
            raise ConfigError(f"no current makes the neurons fire at {rate_hz:g} Hz; ask for a lower rate")
    low = high / 2
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if rate(middle) >= rate_hz else (middle, high)
    return high
