"""Runs a published e-prop task and returns its figures."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ConfigError, TrainingError
from fitrec.kernels.cuda.device import Device
from fitrec.learn.eprop.learners import Response, Sequence
from fitrec.tasks import draws, patterns, settings
from fitrec.tasks.names import DEFAULT_MODELS, FAMILIES, MODELS, rule_of
from fitrec.tasks.network import build


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for; None: as published."""

    rule: str | None = None
    model: str | None = None
    optimizer: str | None = None
    surrogate: str = "piecewise_linear"
    feedback: str = "random"
    iterations: int = 5
    batch_size: int = 1
    steps: int | None = None  # of the sequence, sine waves only
    pattern: str = "sine-waves"  # regression only
    points: Path | None = None  # of handwriting
    precision: str = "float64"
    learning_rate: float | None = None
    c_reg: float | None = None
    target_rate_hz: float | None = None
    cutoff_steps: int | None = None
    seed: int = 1


def run(
    task: str, request: Request, progress: Callable[[int, float], None] | None = None, device: Device | None = None
) -> dict[str, Any]:
    """Run `task`, "regression" or "classification".

    Parameters
    ----------
    task, request
    progress : optional
        Called with the number of each iteration, from 1, and its loss.
    device : Device, optional
        Where the network runs; no figure depends on it. None: on the processor.

    Returns
    -------
    dict
        `loss`, one number per iteration; `error`, the fraction of wrong sequences per iteration (classification); `rate_hz`
        per iteration; the request with the defaults filled in; `parameters`; `seconds`.

    Raises
    ------
    ConfigError
        If model and rule do not belong together, or an option belongs to the other rule or task.
    TrainingError
        If the loss is no longer finite.
    DeviceError
        If the device has not enough memory.

    """
    request = _completed(task, request)
    coordinates = _coordinates(request)
    assert request.model is not None and request.rule is not None and request.optimizer is not None  # noqa: PT018
    chosen = _settings(task, request, coordinates)
    if coordinates is not None:
        drawn = draws.pattern(coordinates, seed=request.seed)
    elif task == "classification":
        drawn = draws.classification(seed=request.seed)
    else:
        drawn = draws.regression(chosen.steps, first_inputs=request.rule == "e-prop-plus", seed=request.seed)
    learner = build(
        chosen,
        drawn,
        rule=request.rule,
        adaptive=settings.adaptive_neurons(task, request.model, drawn.weights.w_rec.shape[0]),
        optimizer=request.optimizer,
        surrogate=request.surrogate,
        feedback=request.feedback,
        precision=request.precision,
        device=device,
    )
    losses: list[float] = []
    errors: list[float] = []
    rates: list[float] = []
    start = perf_counter()
    following = drawn.batch(request.batch_size)
    for iteration in range(1, request.iterations + 1):
        sequences, following = following, drawn.batch(request.batch_size)
        responses = learner.learn(sequences, following[0])
        losses.append(_loss(chosen, sequences, responses))
        if not np.isfinite(losses[-1]):
            raise TrainingError(
                f"The loss of iteration {iteration} is {losses[-1]}, with learning rate {chosen.learning_rate:g}; "
                "use a smaller --learning-rate."
            )
        errors.append(_error(chosen, sequences, responses))
        rates.append(float(1000 * np.mean([response.spikes.mean() for response in responses])))
        if progress is not None:
            progress(iteration, losses[-1])
    return {
        "task": f"eprop-{task}",
        **{key: value for key, value in asdict(request).items() if key not in asdict(chosen) and key != "points"},
        "loss": losses,
        **({"error": errors} if task == "classification" else {}),
        "rate_hz": rates,
        "parameters": asdict(chosen),
        "seconds": perf_counter() - start,
    }


def _completed(task: str, request: Request) -> Request:
    """Fill in what belongs to the task and the model, and refuse what does not."""
    drawing = request.pattern != "sine-waves"
    default = FAMILIES[DEFAULT_MODELS["e-prop"]] if drawing and request.rule != "e-prop-plus" else None
    model = request.model or default or DEFAULT_MODELS[request.rule or "e-prop"]
    rule = request.rule or rule_of(model)
    if rule != rule_of(model):
        fitting = ", ".join(name for name in MODELS if rule_of(name) == rule)
        raise ConfigError(
            f"--model {model} has the dynamics of --rule {rule_of(model)}, not of --rule {rule}; "
            f"the models of {rule} are {fitting}."
        )
    if task == "classification" and request.steps is not None:
        raise ConfigError(
            f"--steps {request.steps}: the sequences of eprop-classification always have {draws.EVIDENCE_STEPS} steps."
        )
    if rule == "e-prop" and request.cutoff_steps is not None:
        raise ConfigError(f"--cutoff-steps {request.cutoff_steps}: --rule e-prop has no cutoff; use it with --rule e-prop-plus.")
    if drawing and rule != "e-prop":
        raise ConfigError(
            f"--pattern {request.pattern} is a task of --rule e-prop, but --rule is {rule}; it knows sine-waves only."
        )
    if drawing and request.steps is not None:
        raise ConfigError(f"--steps {request.steps}: --pattern {request.pattern} has steps of its own; leave --steps out.")
    optimizer = request.optimizer or ("adam" if drawing or task == "classification" else "sgd")
    return replace(request, model=model, rule=rule, optimizer=optimizer)


def _coordinates(request: Request) -> NDArray[np.float64] | None:
    """Return what is to be drawn, (time, 2), or None."""
    if request.pattern == "handwriting":
        if request.points is None:
            raise ConfigError(
                "--pattern handwriting draws what stands in a file of your own: name it by --points, a text with two numbers in "
                "each line, the steps from point to point"
            )
        return patterns.handwriting(request.points)
    if request.points is not None:
        raise ConfigError(f"--points belongs to --pattern handwriting, but --pattern is {request.pattern}; leave it out.")
    return patterns.lemniscate() if request.pattern == "lemniscate" else None


def _settings(task: str, request: Request, coordinates: NDArray[np.float64] | None) -> settings.Settings:
    assert request.model is not None and request.optimizer is not None  # noqa: PT018
    if coordinates is not None:
        published = settings.pattern(len(coordinates))
    elif task == "classification":
        published = settings.classification(request.model)
    else:
        published = settings.regression(request.model, request.optimizer, request.steps)
    wanted = {key: getattr(request, key) for key in ("learning_rate", "c_reg", "target_rate_hz", "cutoff_steps")}
    return replace(published, **{key: value for key, value in wanted.items() if value is not None})


def _loss(chosen: settings.Settings, sequences: list[Sequence], responses: list[Response]) -> float:
    """MSE: half the squared error, summed over time, mean over outputs; CE: mean over time. Mean over the sequences."""
    losses = []
    for sequence, response in zip(sequences, responses, strict=True):
        output, target = (array[-chosen.window :].astype(np.float64) for array in (response.output, sequence.targets))
        if chosen.loss == "cross_entropy":
            with np.errstate(divide="ignore", invalid="ignore"):
                losses.append(-np.sum(target * np.log(output), where=target > 0) / chosen.window)
        else:
            losses.append(0.5 * np.sum((output - target) ** 2) / output.shape[1])
    return float(np.mean(losses))


def _error(chosen: settings.Settings, sequences: list[Sequence], responses: list[Response]) -> float:
    """Fraction of the sequences in which the output that is largest on average is not the target's."""
    wrong = [
        response.output[-chosen.window :].mean(axis=0).argmax() != sequence.targets[-1].argmax()
        for sequence, response in zip(sequences, responses, strict=True)
    ]
    return float(np.mean(wrong))
