"""``fitrec bench``: one command per benchmark."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from fitrec.cli import options

EXAMPLES = """\b
EXAMPLES
  fitrec bench simulate --json simulate.json
  fitrec bench simulate --neurons 10000 --out-degree 1024 --rate-hz 5
"""

_json = click.option("--json", "json_file", type=options.PATH, help="Write the figures into this file.")


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Measure speed with the settings of published programs, one command per benchmark."""


@command.command()
@click.option("--neurons", type=click.IntRange(min=2), default=10_000, show_default=True, help="Number of neurons.")
@click.option("--out-degree", type=click.IntRange(min=0), default=1024, show_default=True, help="Static synapses per neuron.")
@click.option("--rate-hz", type=float, default=5.0, show_default=True, help="Rate of every neuron.")
@click.option("--steps", type=click.IntRange(min=1), default=5000, show_default=True, help="Steps of 0.1 ms in a repetition.")
@_json
def simulate(neurons: int, out_degree: int, rate_hz: float, steps: int, json_file: Path | None) -> None:
    """Time the time loop alone: nanoseconds per neuron and step, and per synaptic event."""
    from fitrec.bench.simulate import run

    figures = run(neurons=neurons, out_degree=out_degree, rate_hz=rate_hz, steps=steps)
    _finish("simulate", figures, json_file, device="cpu", threads=1)


def _finish(name: str, figures: Mapping[str, Any], json_file: Path | None, *, device: str, threads: int) -> None:
    """Print the figures with their circumstances, and write them if a file was named."""
    from fitrec.bench.report import report

    whole = report(name, figures, device=device, threads=threads)
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
    if json_file is not None:
        from fitrec.store import write_json

        write_json(json_file, whole)
