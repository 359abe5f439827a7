"""Decisions by evidence accumulation: a sparse network of excitatory and inhibitory neurons with conductances (pp_prop.md 3)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import ceil, exp, log
from time import perf_counter, process_time
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.learn.gradient.constraints import Dale, Limits
from fitrec.learn.gradient.losses import CrossEntropy, one_hot
from fitrec.learn.gradient.optimisers import Settings
from fitrec.learn.gradient.readout import Readout, make_readout
from fitrec.learn.gradient.rules import Signals
from fitrec.learn.gradient.schedules import Schedule
from fitrec.neurons.compile import compile_model
from fitrec.neurons.load import library_model
from fitrec.neurons.observation import observe
from fitrec.simulate.model_network import ModelNetwork, Recording, events
from fitrec.simulate.synapses import Synapses, make_synapses
from fitrec.tasks.batches import Batch, RuleName, Trainer
from fitrec.tasks.evidence import INPUTS, RECALL_MS, STEPS, evidence
from fitrec.tasks.host_trials import Judged, Prepared
from fitrec.tasks.standardise import standardise, standardise_backward

EXCITATORY = 0.8  # of the neurons
DENSITY = 0.1
SIGMA_INPUT = 0.2  # of the weights' normal distributions, whose magnitudes are taken
# Published for 640 excitatory and 160 inhibitory neurons; otherwise inversely as the square root of their numbers.
SIGMA_EXC, SIGMA_INH, NEURONS = (2 / 640) ** 0.5, (8 / 160) ** 0.5, 800
TAU_READOUT_MS = 10.0
_OBSERVED = "distance"
_INITIAL = 22  # of the random streams of numpy that are seeded with (seed, stream, ...)
_WEIGHTS = 23


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for."""

    rule: RuleName = "local-adjoint"
    model: str = "gif_coba"
    optimizer: Literal["sgd", "adam"] = "adam"
    iterations: int = 300
    batch_size: int = 128
    stop_at: float = 0.9  # running mean of the accuracy
    neurons: int = NEURONS
    dale: Dale = "clip"
    readout_only: bool = False
    learning_rate: float = 1e-3
    trace_ms: float = 200.0
    precision: str = "float32"
    threads: int | None = None
    seed: int = 1


def run(request: Request, progress: Callable[[int, float], None] | None = None, device: Device | None = None) -> dict[str, Any]:
    """Train until the accuracy is reached, or the iterations are used up.

    Every batch has new trials, and its accuracy is that before it is learned from.

    Parameters
    ----------
    request
    progress : optional
        Called with the number of each iteration, from 1, and its loss.
    device : Device, optional
        By default the CPU; it changes no bit.

    Returns
    -------
    dict
        `loss` (nat, mean over the recall period) and `accuracy`, one number per iteration; `running_accuracy`, its exponential
        mean (0.8 of the old one); `reached`: iteration, seconds and seconds of all processors together (compilation included)
        at which that first was `stop_at`, or null; `rate_hz` of
        excitatory and inhibitory neurons per iteration; `sign_changes`: synapses whose sign has ever differed from the first
        one; the request; `seconds`.

    Raises
    ------
    TrainingError
        If a gradient is not finite.

    """
    start, processor = perf_counter(), process_time()
    trainer = make_trainer(request, device)
    excitatory = round(EXCITATORY * request.neurons)
    signs = np.signbit(trainer.weights)
    changed = np.zeros(signs.shape, np.bool_)
    figures: dict[str, list[Any]] = {key: [] for key in ("loss", "accuracy", "running_accuracy", "gradient_norm", "rate_hz")}
    reached = None
    running = 0.5
    for iteration in range(1, request.iterations + 1):
        first = (iteration - 1) * request.batch_size
        batch = trainer.learn(range(first, first + request.batch_size), lambda number: prepare(trainer, number, request.seed))
        changed |= np.signbit(trainer.weights) != signs
        running = 0.8 * running + 0.2 * batch.accuracy
        _append(figures, batch, running, excitatory)
        if progress is not None:
            progress(iteration, batch.loss)
        if running >= request.stop_at:
            reached = {
                "iteration": iteration,
                "seconds": perf_counter() - start,
                "processor_seconds": process_time() - processor,
            }
            break
    return {
        "task": "ei-decision",
        **asdict(request),
        **figures,
        "reached": reached,
        "sign_changes": int(changed.sum()),
        "synapses": trainer.network.plastic.n,
        "seconds": perf_counter() - start,
    }


def _append(figures: dict[str, list[Any]], batch: Batch, running: float, excitatory: int) -> None:
    rates = {"E": float(batch.rate_hz[:excitatory].mean()), "I": float(batch.rate_hz[excitatory:].mean())}
    for key, value in (
        ("loss", batch.loss),
        ("accuracy", batch.accuracy),
        ("running_accuracy", running),
        ("gradient_norm", batch.gradient_norm),
        ("rate_hz", rates),
    ):
        figures[key].append(value)


def make_trainer(request: Request, device: Device | None = None) -> Trainer:
    """Return the untrained network with all that it learns by."""
    dtype = np.dtype(request.precision)
    # Before a spike resets the voltage; the threshold carries no derivative.
    model = observe(library_model(request.model), _OBSERVED, "", "(v - detach(theta)) / detach(theta)")
    synapses = draw_synapses(request.neurons, dtype, request.seed)
    network = ModelNetwork(
        compile_model(model, spike_signal=request.rule == "bptt"),
        n=request.neurons,
        n_inputs=INPUTS,
        dt_ms=1.0,
        plastic=synapses,
        dtype=dtype,
        seed=request.seed,
    )
    random = np.random.default_rng((request.seed, _WEIGHTS, 1))
    w_out = random.normal(0, (1 / request.neurons) ** 0.5, (request.neurons, 2)).astype(dtype)
    return Trainer(
        network,
        make_readout(w_out, kappa=exp(-1 / TAU_READOUT_MS)),
        rule=request.rule,
        trace_ms=request.trace_ms,
        limits=Limits(dale=request.dale, w_min=0.0),
        settings=Settings(
            kind=request.optimizer,
            learning_rate=request.learning_rate,
            clip_norm=1.0,
            schedule=Schedule(kind="step", every=30, factor=0.9),
        ),
        readout_only=request.readout_only,
        threads=request.threads,
        device=device,
    )


def draw_synapses(n: int, dtype: np.dtype[Any], seed: int) -> Synapses:
    """Each pair of a source and a neuron is connected with probability 0.1; a weight has a normal distribution's magnitude.

    Excitatory neurons and inputs end at the port ``exc``, inhibitory neurons at ``inh``.
    """
    random = np.random.default_rng((seed, _WEIGHTS, 0))
    excitatory = round(EXCITATORY * n)
    scale = (NEURONS / n) ** 0.5
    sigma = np.repeat([SIGMA_EXC * scale, SIGMA_INH * scale, SIGMA_INPUT], [excitatory, n - excitatory, INPUTS])
    source, neuron = np.nonzero(random.random((n + INPUTS, n)) < DENSITY)
    weight = np.abs(random.normal(size=source.size)) * sigma[source]
    inhibitory = (source >= excitatory) & (source < n)
    return make_synapses(n, INPUTS, source, neuron, weight, inhibitory, dtype)


def prepare(trainer: Trainer, number: int, seed: int) -> Prepared:
    """Return trial `number`."""
    network = trainer.network
    drawn = evidence(number, seed)
    voltage = np.random.default_rng((seed, _INITIAL, number)).uniform(0, 1, network.n)

    return Prepared(
        inputs=events(drawn.spikes, network.n),
        initial={"v": voltage},
        number=number,
        recording=Recording(rows=(_OBSERVED,)),
        judge=lambda trial: judge(trainer.readout, trial.sampled[:, 0], drawn.label),
    )


def judge(readout: Readout, distance: NDArray[Any], label: int) -> Judged:
    """Compare the decision, and find the learning signals.

    The readout is silent until so many steps before the recall period that it would have forgotten them, to rounding.

    Parameters
    ----------
    readout
    distance : (time, neuron)
        Of the voltage from the threshold, relative to it.
    label : int

    """
    memory = ceil(log(np.finfo(distance.dtype).eps) / log(readout.kappa))
    tail = slice(-(RECALL_MS + memory), None)
    x, deviation = standardise(distance[tail])
    output = readout.respond(x)
    loss, error = CrossEntropy()(output[-RECALL_MS:], one_hot(label, output.shape[1], RECALL_MS))
    errors = np.zeros_like(output)
    errors[-RECALL_MS:] = RECALL_MS * error  # the published gradient is a sum over time
    back = readout.backward(x, errors)
    signal = np.zeros((STEPS, 1, distance.shape[1]), distance.dtype)
    signal[tail, 0] = standardise_backward(back.signal, x, deviation)
    decision = int(output[-RECALL_MS:].sum(axis=0).argmax())
    return Judged(loss, decision == label, Signals(rows=(_OBSERVED,), states=signal), back.gradient)
