"""The commands of ``fitrec task`` that train networks of compiled neurons."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fitrec.cli import options
from fitrec.cli.console import progress
from fitrec.cli.device import resolve_device, resolve_threads
from fitrec.tasks import names

_SHARED = (
    click.option("--rule", type=click.Choice(names.GRADIENT_RULES), default="local-adjoint", show_default=True),
    click.option("--readout-only", is_flag=True, help="Leave the synapses as they are, for comparison."),
    click.option("--optimizer", type=click.Choice(names.OPTIMIZERS), default="adam", show_default=True),
    click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="[default: that of the task, for Adam]"),
    click.option(
        "--trace-ms",
        type=click.FloatRange(min=0, min_open=True),
        help="Time constant of the traces of pp-prop.  [default: tau_m]",
    ),
    click.option("--precision", type=click.Choice(names.PRECISIONS), default="float32", show_default=True),
    options.threads,
    options.device,
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True),
    click.option("--json", "json_file", type=options.PATH, help="Write the figures into this file."),
)


def _shared(of: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_SHARED):
        of = option(of)
    return of


@click.command("ei-decision")
@_shared
@click.option("--model", type=click.Choice(names.EI_MODELS), default="gif_coba", show_default=True, help="Neuron model.")
@click.option("--iterations", type=click.IntRange(min=1), default=300, show_default=True, help="Most batches to train with.")
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=128, show_default=True, help="Trials per batch, always new ones."
)
@click.option(
    "--stop-at",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="Stop when the running mean of the accuracy reaches this.",
)
@click.option("--neurons", type=click.IntRange(min=10), default=800, show_default=True, help="A fifth of them is inhibitory.")
@click.option("--dale", type=click.Choice(names.DALE), default="clip", show_default=True, help="How synapses keep their signs.")
def ei_decision(**given: Any) -> None:
    """Evidence accumulation by 800 neurons with conductances, excitatory and inhibitory (Wang et al. 2026).

    Seven cues come from the left or the right, and after a delay of 1 s the network tells which side had more.
    """
    from fitrec.tasks.ei_decision import Request, run

    _run(run, Request, given)


@click.command("nmnist")
@_shared
@click.option(
    "--data", type=options.PATH, help="Folder of N-MNIST, with Train/ and Test/.  [default: the 300 files of nmnist_small]"
)
@click.option("--model", type=click.Choice(names.NMNIST_MODELS), default="alif", show_default=True, help="Neuron model.")
@click.option(
    "--iterations", type=click.IntRange(min=1), default=30, show_default=True, help="Passes through the training samples."
)
@click.option("--batch-size", type=click.IntRange(min=1), default=10, show_default=True, help="Samples per update.")
@click.option("--neurons", type=click.IntRange(min=1), default=150, show_default=True)
@click.option("--surrogate", type=click.Choice(names.SURROGATES), help="[default: the model's own]")
@click.option("--shift", type=click.IntRange(0, 33), help="Pixels, at most, that a training sample is moved by in each pass.")
@click.option("--feedback", type=click.Choice(names.FEEDBACKS), default="symmetric", show_default=True)
@click.option("--c-reg", type=click.FloatRange(min=0), help="Strength of the firing-rate regularisation, per Hz^2.")
@click.option("--target-rate-hz", type=click.FloatRange(min=0), help="Rate it regularises towards.")
@click.option(
    "--validate",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Test with the last of the training samples, this many, and leave the test samples alone: for choosing settings.",
)
def nmnist(data: Path | None, **given: Any) -> None:
    """Handwritten digits from the events of a camera (Orchard et al. 2015), learned by a recurrent network.

    The test samples are classified once, after the last pass.
    """
    from fitrec.datasets import locate
    from fitrec.tasks.nmnist import Request, run

    folder = locate("nmnist_small") if data is None else data
    _run(lambda *arguments: run(folder, *arguments), Request, given)


def _run(run: Callable[..., dict[str, Any]], request: type, given: dict[str, Any]) -> None:
    from fitrec.kernels.cuda.device import open_device

    json_file, gpu = given.pop("json_file"), open_device(resolve_device(given.pop("device")))
    wanted = request(**{key: value for key, value in given.items() if value is not None})
    report(
        lambda follow: run(wanted, follow, gpu),
        given["iterations"],
        json_file,
        threads=resolve_threads(given["threads"]),
        device="cpu" if gpu is None else gpu.name,
    )


def report(
    run: Callable[[Callable[[int, float], None]], dict[str, Any]],
    iterations: int,
    json_file: Path | None,
    *,
    threads: int,
    device: str = "cpu",
) -> None:
    """Run a task, show its progress, print its figures and write them."""
    from fitrec.bench.report import circumstances
    from fitrec.stages.train_progress import Status

    with progress() as show:

        def follow(iteration: int, loss: float) -> None:
            if show is not None:
                show(Status(done=iteration / iterations, text=f"iteration {iteration} of {iterations}, loss {loss:.6g}"))

        figures = run(follow)
    whole = {**figures, **circumstances(device=device, threads=threads)}
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
    if json_file is not None:
        from fitrec.atomic import write_json

        write_json(json_file, whole)


COMMANDS = (ei_decision, nmnist)
