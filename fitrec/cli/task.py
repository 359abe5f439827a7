"""``fitrec task``: one command per published task; those of e-prop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fitrec.cli import gradient_tasks, options
from fitrec.cli.bench import gradient_quality
from fitrec.cli.device import resolve_device
from fitrec.cli.gradient_tasks import report
from fitrec.tasks import names

EXAMPLES = """\b
EXAMPLES
  fitrec task eprop-regression --json sine.json
  fitrec task eprop-regression --rule e-prop-plus --model eprop_iaf --optimizer adam
  fitrec task eprop-regression --rule e-prop-plus --steps 1000 --iterations 200
  fitrec task eprop-regression --pattern lemniscate --iterations 1000
  fitrec task eprop-classification --rule e-prop --batch-size 32 --iterations 200
  fitrec task eprop-classification --surrogate arctan --feedback symmetric
  fitrec task eprop-classification --batch-size 32 --device cuda
  fitrec task ei-decision --device cuda --json decision.json
  fitrec task nmnist --data path/to/N-MNIST
"""
_OPTIONS = (
    click.option("--rule", type=click.Choice(names.RULES), help="Learning rule.  [default: that of the model, or e-prop]"),
    click.option("--model", type=click.Choice(names.MODELS), help="Neuron model.  [default: the rule's, without adaptation]"),
    click.option("--optimizer", type=click.Choice(names.OPTIMIZERS), help="[default: sgd in regression, adam in classification]"),
    click.option("--surrogate", type=click.Choice(names.SURROGATES), default="piecewise_linear", show_default=True),
    click.option("--feedback", type=click.Choice(names.FEEDBACKS), default="random", show_default=True),
    click.option("--iterations", type=click.IntRange(min=1), default=5, show_default=True, help="Number of iterations."),
    click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True, help="Sequences per iteration."),
    click.option("--precision", type=click.Choice(names.PRECISIONS), default="float64", show_default=True),
    click.option("--learning-rate", type=click.FloatRange(min=0), help="[default: as published]"),
    click.option(
        "--c-reg", type=click.FloatRange(min=0), help="Strength of the firing-rate regularisation.  [default: as published]"
    ),
    click.option("--target-rate-hz", type=click.FloatRange(min=0), help="Rate it regularises towards.  [default: as published]"),
    click.option(
        "--cutoff-steps",
        type=click.IntRange(min=1),
        help="Steps that a trace outlasts a spike; e-prop-plus only.  [default: 100]",
    ),
    options.device,
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="The published figures have 1."),
    click.option("--json", "json_file", type=options.PATH, help="Write the figures into this file."),
)


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Run a published task: those of e-prop with the same draws, order and losses, others in their published set-up."""


def _shared(of: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        of = option(of)
    return of


@command.command("eprop-regression")
@_shared
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    help="Steps of a sequence of sine waves.  [default: 1000 with e-prop, 100 with e-prop-plus]",
)
@click.option("--pattern", type=click.Choice(names.PATTERNS), default="sine-waves", show_default=True)
@click.option(
    "--points", type=options.PATH, help="What to write by hand: a text, in each line two numbers, the step to the next point."
)
def eprop_regression(**given: Any) -> None:
    """Sine waves: 100 neurons learn to generate a sum of sines from frozen noise.

    Or 200 adaptive neurons learn to draw in two dimensions: a lemniscate, or what stands in --points (e-prop only).
    """
    _run("regression", **given)


@command.command("eprop-classification")
@_shared
def eprop_classification(**given: Any) -> None:
    """Evidence accumulation: 100 neurons, half of them adaptive, tell which of two cues came more often.

    Of --model only the family counts: the first 50 neurons are its model without adaptation, the others the adaptive one.
    """
    _run("classification", **given)


def _run(task: str, *, json_file: Path | None, device: str, **given: Any) -> None:
    from fitrec.kernels.cuda.device import open_device
    from fitrec.tasks.eprop import Request, run

    gpu = open_device(resolve_device(device))
    report(
        lambda follow: run(task, Request(**given), follow, gpu),
        given["iterations"],
        json_file,
        threads=1,
        device="cpu" if gpu is None else gpu.name,
    )


for _task in (*gradient_tasks.COMMANDS, gradient_quality):
    command.add_command(_task)
