"""``fitrec bench``: one command per benchmark."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fitrec.cli import options
from fitrec.cli.device import resolve_device, resolve_threads

if TYPE_CHECKING:
    from fitrec.kernels.cuda.device import Device

EXAMPLES = """\b
EXAMPLES
  fitrec bench simulate --json simulate.json
  fitrec bench simulate --neurons 10000 --out-degree 1024 --rate-hz 5 --threads 1
  fitrec bench loop --preset sinusoid-10k --threads 2 --json loop.json
  fitrec bench loop --preset million --neurons 20000
  fitrec bench rls --neurons 800 --inputs 400 --rate-hz 5 --updates 96 --json rls.json
  fitrec bench gradient --neurons 10000 --synapses 1000000 --rate-hz 7 --json gradient.json
  fitrec bench gradient --rule pp-prop --preset dense-1000 --threads 1
  fitrec bench gradient-quality --json quality.json
  fitrec bench ridge --neurons 66002 --inputs 128 --samples 3000 --json ridge.json
"""

# Stated here so that the help needs no numerics; a test holds it against fitrec.bench.presets.
PRESETS = ("sinusoid-10k", "default-4096", "neuropixels-66k", "million")
GRADIENT_RULES = ("local-adjoint", "pp-prop", "d-rtrl", "e-prop", "e-prop-plus", "bptt")
GRADIENT_PRESETS = ("dense-1000", "sparse-10000")
_json = click.option("--json", "json_file", type=options.PATH, help="Write the figures into this file.")


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Measure speed with the settings of published programs, one command per benchmark."""


@command.command()
@click.option("--neurons", type=click.IntRange(min=2), default=10_000, show_default=True, help="Number of neurons.")
@click.option("--out-degree", type=click.IntRange(min=0), default=1024, show_default=True, help="Static synapses per neuron.")
@click.option("--rate-hz", type=float, default=5.0, show_default=True, help="Rate of every neuron.")
@click.option("--steps", type=click.IntRange(min=1), default=2000, show_default=True, help="Steps of 0.1 ms in a repetition.")
@options.threads
@options.device
@_json
def simulate(threads: int | None, device: str, json_file: Path | None, **given: Any) -> None:
    """Time the time loop alone, beside a version in C: nanoseconds per neuron and step, and per synaptic event."""
    threads, gpu = resolve_threads(threads), _gpu(device)
    from fitrec.bench.simulate import run

    _finish("simulate", run(threads=threads, device=gpu, **given), json_file, device=gpu, threads=threads)


@command.command()
@click.option("--preset", type=click.Choice(list(PRESETS)), default="sinusoid-10k", show_default=True, help="Whose settings.")
@click.option(
    "--neurons", type=click.IntRange(min=20), help="Fewer neurons, and fewer synapses where these do not allow as many."
)
@click.option("--loops", type=click.IntRange(min=1), default=5, show_default=True, help="Loops; the time is their median.")
@click.option(
    "--p-storage", type=click.Choice(["full", "packed", "int16"]), default="full", show_default=True, help="How P is kept."
)
@options.threads
@options.device
@_json
def loop(
    preset: str, neurons: int | None, loops: int, p_storage: str, threads: int | None, device: str, json_file: Path | None
) -> None:
    """Time training loops of RLS: sinusoids or PSTH-like targets for every neuron of a published network."""
    threads, gpu = resolve_threads(threads), _gpu(device)
    from fitrec.bench.loop import run

    figures = run(preset=preset, neurons=neurons, loops=loops, threads=threads, p_storage=p_storage, device=gpu)
    _finish("loop", figures, json_file, device=gpu, threads=threads)


@command.command()
@click.option("--neurons", type=click.IntRange(min=1), default=10_000, show_default=True, help="Number of neurons.")
@click.option(
    "--synapses", type=click.IntRange(min=0), default=1_000_000, show_default=True, help="Plastic recurrent synapses, in all."
)
@click.option("--rate-hz", type=float, default=7.0, show_default=True, help="Mean rate of the neurons.")
@click.option("--steps", type=click.IntRange(min=10), default=1000, show_default=True, help="Steps of 1 ms between two updates.")
@click.option("--every", type=click.IntRange(min=1), default=10, show_default=True, help="Steps between learning signals.")
@click.option("--rule", type=click.Choice(GRADIENT_RULES), default="local-adjoint", show_default=True)
@click.option("--model", default="lif_psc_exp", show_default=True, help="Neuron model of the library.")
@click.option(
    "--preset",
    type=click.Choice(GRADIENT_PRESETS),
    help="A network that Wang et al. 2026's program was timed on, instead.",
)
@options.threads
@options.device
@_json
def gradient(threads: int | None, device: str, json_file: Path | None, **given: Any) -> None:
    """Time the gradient of a network of compiled neurons, beside the simulation it belongs to."""
    from fitrec.bench import gradient_device
    from fitrec.bench.gradient import Asked, run

    threads, gpu, asked = resolve_threads(threads), _gpu(device), Asked(**given)
    found = run(asked, threads) if gpu is None else gradient_device.run(gpu, asked)
    _finish("gradient", found, json_file, device=gpu, threads=threads)


@command.command("gradient-quality")
@options.device
@_json
def gradient_quality(device: str, json_file: Path | None) -> None:
    """Compare each gradient rule with backpropagation through time, on the networks of Wang et al. 2026."""
    from fitrec.bench.gradient_quality import run

    gpu = _gpu(device)
    _finish("gradient-quality", run(gpu), json_file, device=gpu, threads=1)


@command.command()
@click.option("--neurons", type=click.IntRange(min=8), default=66_002, show_default=True, help="Number of neurons.")
@click.option("--inputs", type=click.IntRange(min=2), default=128, show_default=True, help="Plastic inputs per neuron.")
@click.option("--samples", type=click.IntRange(min=1), default=3000, show_default=True, help="Samples, in trials of 150.")
@click.option("--solved", type=click.IntRange(min=1), help="Neurons to solve; all without it.")
@click.option("--rate-hz", type=float, default=5.0, show_default=True, help="Rate of the Poisson neurons.")
@click.option("--gram", type=click.Choice(["auto", "shared", "gathered"]), default="auto", show_default=True)
@click.option(
    "--trace-bits", type=click.Choice(["16", "32"]), default="16", show_default=True, help="Precision of gathered traces."
)
@click.option("--memory-gb", type=float, default=8.0, show_default=True, help="Memory for the statistics.")
@options.threads
@options.device
@_json
def ridge(json_file: Path | None, device: str, threads: int | None, trace_bits: str, **given: Any) -> None:
    """Time the regressions of batch ridge: one of each neuron on the traces of its inputs."""
    threads, gpu = resolve_threads(threads), _gpu(device)
    from fitrec.bench.ridge import run

    figures = run(trace_bits=int(trace_bits), threads=threads, device=gpu, **given)
    _finish("ridge", figures, json_file, device=gpu, threads=threads)


@command.command()
@click.option("--neurons", type=click.IntRange(min=1), default=2000, show_default=True, help="Number of learning neurons.")
@click.option("--inputs", type=click.IntRange(min=1), default=400, show_default=True, help="Plastic inputs per neuron.")
@click.option("--rate-hz", type=float, default=5.0, show_default=True, help="Rate of the Poisson inputs.")
@click.option("--updates", type=click.IntRange(min=1), default=96, show_default=True, help="Learning steps.")
@click.option("--every-ms", type=float, default=10.0, show_default=True, help="Time between learning steps in ms.")
@click.option("--rank", type=click.IntRange(min=1), help="Updates of P held back; chosen from the inputs without it.")
@click.option("--storage", type=click.Choice(["full", "packed", "int16"]), default="full", show_default=True, help="Form of P.")
@click.option(
    "--flush",
    type=click.Choice(["auto", "whole", "half"]),
    default="auto",
    show_default=True,
    help="How updates are applied to a full P: to all of it or, from 512 inputs on, to one half.",
)
@options.threads
@options.device
@_json
def rls(device: str, threads: int | None, json_file: Path | None, **given: Any) -> None:
    """Time one learning step of recursive least squares: dense in two passes, in one, and driven by spikes."""
    threads, gpu = resolve_threads(threads), _gpu(device)
    if gpu is None:
        from fitrec.bench.rls import run

        _finish("rls", run(threads=threads, **given), json_file, device=None, threads=threads)
        return
    from fitrec.bench import rls_device

    _finish("rls", rls_device.run(gpu, **given), json_file, device=gpu, threads=threads)


def _gpu(device: str) -> "Device | None":
    """Open the GPU that was asked for; None for the CPU."""
    name = resolve_device(device)
    if name == "cpu":
        return None
    from fitrec.kernels.cuda.device import open_device

    return open_device(name)


def _finish(name: str, figures: Mapping[str, Any], json_file: Path | None, *, device: "Device | None", threads: int) -> None:
    """Print the figures with their circumstances, and write them if a file was named."""
    from fitrec.bench.report import report

    whole = report(name, figures, device="cpu" if device is None else device.name, threads=threads)
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
    if json_file is not None:
        from fitrec.atomic import write_json

        write_json(json_file, whole)
