"""N-MNIST: handwritten digits from the events of a camera, told apart by spiking neurons (Orchard et al. 2015)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import exp, sqrt
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, NamedTuple

import numpy as np

from fitrec.errors import ConfigError
from fitrec.kernels.cpu.model_state import Events
from fitrec.kernels.cuda.device import Device
from fitrec.learn.gradient.constraints import FREE
from fitrec.learn.gradient.losses import CrossEntropy, FiringRate, one_hot
from fitrec.learn.gradient.optimisers import Settings
from fitrec.learn.gradient.readout import Readout, make_readout
from fitrec.learn.gradient.rules import Signals
from fitrec.neurons.compile import compile_model
from fitrec.neurons.load import library_model, with_surrogate
from fitrec.simulate.model_network import ModelNetwork, Trial
from fitrec.simulate.synapses import Synapses, make_synapses
from fitrec.tasks.batches import RuleName, Trainer
from fitrec.tasks.host_trials import Judged, Prepared
from fitrec.tasks.nmnist_files import INPUTS, Sample, find_samples, move, read_events

CLASSES = 10
STEPS = 300  # of 1 ms; the longest recording takes 336 ms
TAU_READOUT_MS = 20.0
# Standard deviations of the initial weights, in units of the threshold: of an input's, and of the sum of all recurrent ones.
SIGMA_INPUT, SIGMA_RECURRENT = 0.05, 0.5
_WEIGHTS, _ORDER = 24, 25  # random streams


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for."""

    rule: RuleName = "local-adjoint"
    model: str = "alif"
    optimizer: Literal["sgd", "adam"] = "adam"
    surrogate: str | None = None  # the model's own
    iterations: int = 30  # passes through the training samples
    batch_size: int = 10
    neurons: int = 150
    recurrent_density: float = 0.1
    feedback: Literal["symmetric", "random", "adaptive"] = "symmetric"
    readout_only: bool = False
    learning_rate: float = 2e-3
    shift: int = 2  # pixels, at most, by which training samples are moved anew in each pass
    c_reg: float = 1e-4  # per Hz^2
    target_rate_hz: float = 10.0
    trace_ms: float = 20.0
    validate: int = 0
    precision: str = "float32"
    threads: int | None = None
    seed: int = 1


class _Shown(NamedTuple):
    """A sample, moved by whole pixels."""

    sample: Sample
    right: int = 0
    down: int = 0


def run(
    folder: Path, request: Request, progress: Callable[[int, float], None] | None = None, device: Device | None = None
) -> dict[str, Any]:
    """Learn the training samples; then classify the test samples, once.

    Parameters
    ----------
    folder : Path
        See `find_samples`.
    request
        With `validate` = n the last n training samples are not learned, but take the place of the test samples, which are not
        looked at: for choosing settings.
    progress : optional
        Called with the number of each iteration, from 1, and its loss.
    device : Device, optional
        By default the CPU; it changes no bit.

    Returns
    -------
    dict
        `loss` (nat, mean over time) and `train_accuracy`, one number per iteration, of each sample before it was learned from in
        it; `test_accuracy` and `test_loss` with the final weights; `n_train`, `n_test`; `rate_hz` per iteration; the request;
        `seconds`.

    Raises
    ------
    MissingFileError, RecordingError
        If the samples cannot be read.
    ConfigError
        If `validate` leaves no training samples.
    TrainingError
        If a gradient is not finite.

    """
    start = perf_counter()
    samples = find_samples(folder)
    train, test = list(samples.train), list(samples.test)
    if request.validate >= len(train):
        raise ConfigError(f"--validate {request.validate} leaves none of the {len(train)} training samples; ask for fewer")
    if request.validate:
        train, test = train[: -request.validate], train[-request.validate :]
    trainer = _trainer(request, device)

    def prepare(shown: _Shown) -> Prepared:
        return _prepare(trainer, shown, request)

    figures: dict[str, list[float]] = {key: [] for key in ("loss", "train_accuracy", "rate_hz")}
    for iteration in range(1, request.iterations + 1):
        random = np.random.default_rng((request.seed, _ORDER, iteration))
        order = random.permutation(len(train))
        moves = random.integers(-request.shift, request.shift + 1, (len(train), 2))
        batches = []
        for first in range(0, len(train), request.batch_size):
            chosen = [_Shown(train[k], *moves[k].tolist()) for k in order[first : first + request.batch_size]]
            batches.append((len(chosen), trainer.learn(chosen, prepare)))
        for key, name in (("loss", "loss"), ("train_accuracy", "accuracy"), ("rate_hz", "rate_hz")):
            figures[key].append(sum(size * float(np.mean(getattr(batch, name))) for size, batch in batches) / len(train))
        if progress is not None:
            progress(iteration, figures["loss"][-1])
    tested = trainer.test([_Shown(sample) for sample in test], prepare)
    return {
        "task": "nmnist",
        **asdict(request),
        **figures,
        "test_accuracy": tested.accuracy,
        "test_loss": tested.loss,
        "n_train": len(train),
        "n_test": len(test),
        "synapses": trainer.network.plastic.n,
        "seconds": perf_counter() - start,
    }


def _trainer(request: Request, device: Device | None) -> Trainer:
    dtype, n = np.dtype(request.precision), request.neurons
    model = library_model(request.model)
    if request.surrogate is not None:
        model = with_surrogate(model, request.surrogate)
    threshold = next(p.value for p in model.parameters if p.name == "v_th")
    network = ModelNetwork(
        compile_model(model, spike_signal=True),
        n=n,
        n_inputs=INPUTS,
        dt_ms=1.0,
        plastic=draw_synapses(request, threshold),
        dtype=dtype,
    )
    random = np.random.default_rng((request.seed, _WEIGHTS, 1))
    w_out = random.normal(0, sqrt(1 / n), (n, CLASSES)).astype(dtype)
    readout = make_readout(
        w_out, kappa=exp(-1 / TAU_READOUT_MS), feedback=request.feedback, drawn=random.normal(0, sqrt(1 / n), (CLASSES, n))
    )
    return Trainer(
        network,
        readout,
        rule=request.rule,
        trace_ms=request.trace_ms,
        limits=FREE,
        settings=Settings(kind=request.optimizer, learning_rate=request.learning_rate, clip_norm=1.0),
        rate=threshold,
        readout_only=request.readout_only,
        threads=request.threads,
        device=device,
    )


def draw_synapses(request: Request, threshold: float) -> Synapses:
    """Every input to every neuron; each pair of different neurons with the recurrent density; normal weights of mean 0."""
    n, random = request.neurons, np.random.default_rng((request.seed, _WEIGHTS, 0))
    connected = np.ones((n + INPUTS, n), np.bool_)
    connected[:n] = random.random((n, n)) < request.recurrent_density
    np.fill_diagonal(connected, False)
    source, neuron = np.nonzero(connected)
    sigma = np.where(source < n, SIGMA_RECURRENT / sqrt(max(1.0, request.recurrent_density * n)), SIGMA_INPUT)
    weight = random.normal(size=source.size) * sigma * threshold
    return make_synapses(n, INPUTS, source, neuron, weight, dtype=np.dtype(request.precision))


def _prepare(trainer: Trainer, shown: _Shown, request: Request) -> Prepared:
    network, sample = trainer.network, shown.sample
    step, pixel = move(*read_events(sample.path, STEPS), shown.right, shown.down)
    indptr = np.searchsorted(step, np.arange(STEPS + 1)).astype(np.int64)
    inputs = Events(indptr, pixel + np.int32(network.n))
    regularisation = FiringRate(strength=request.c_reg, target_hz=request.target_rate_hz)
    return Prepared(
        inputs=inputs,
        judge=lambda trial: judge(trainer.readout, trial, sample.digit, regularisation),
    )


def judge(readout: Readout, trial: Trial, digit: int, regularisation: FiringRate) -> Judged:
    """Compare the decision, that of the output summed over time, and find the learning signals."""
    n = readout.w_out.shape[0]
    spikes = np.zeros((trial.n_steps, n), np.bool_)
    spikes[np.repeat(np.arange(trial.n_steps), np.diff(trial.emitted.indptr)), trial.emitted.source] = True
    output = readout.respond(spikes)
    loss, error = CrossEntropy()(output, one_hot(digit, CLASSES, trial.n_steps))
    back = readout.backward(spikes, error)
    _, by_spike = regularisation(spikes.sum(axis=0), trial.n_steps / 1000)
    signal = back.signal + by_spike.astype(back.signal.dtype)
    return Judged(loss, int(output.sum(axis=0).argmax()) == digit, Signals(spikes=signal), back.gradient)
