"""``fitrec model``: a neuron model's equations, derivatives and code, and whether they are right."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fitrec.neurons.model import Model

EXAMPLES = """\b
EXAMPLES
  fitrec model show lif
  fitrec model show lif_psc_exp --preset shiu --code none
  fitrec model show my_model.yaml --dt-ms 0.1
  fitrec model check my_model.yaml
"""
_preset = click.option("--preset", metavar="NAME", help="Set of values in the model's text, such as shiu in lif_psc_exp.")
_dt = click.option(
    "--dt-ms", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, help="Step of the simulation."
)


# From the files' names, so that the help needs no numerics.
_LIBRARY = sorted(path.stem for path in (Path(__file__).parents[1] / "neurons" / "library").glob("*.yaml"))
_HELP = f"""Look at a neuron model: one of the library, or a YAML file of your own (docs/models.md).

The library: {", ".join(_LIBRARY)}.
"""


@click.group(epilog=EXAMPLES, help=_HELP)
def command() -> None:
    """Look at a neuron model."""


@command.command("show")
@click.argument("model", metavar="FILE|NAME")
@_preset
@_dt
@click.option("--code", type=click.Choice(["numba", "cuda", "none"]), default="numba", show_default=True, help="Generated code.")
def show(model: str, preset: str | None, dt_ms: float, code: str) -> None:
    """Print parameters, states, ports, the step, its derivatives D and df/dI, the constants and the generated code."""
    from fitrec.neurons.blocks import make_blocks
    from fitrec.neurons.describe import Description
    from fitrec.neurons.evaluate import evaluate
    from fitrec.neurons.expression import as_text
    from fitrec.neurons.load import preset_names
    from fitrec.neurons.print_cuda import cuda_functions, noise_state
    from fitrec.neurons.print_numba import numba_functions
    from fitrec.neurons.verify import stability

    shown = _load(model, preset)
    blocks = make_blocks(shown, spike_signal=True)
    description = Description(shown, blocks)
    values = {p.name: p.value for p in shown.parameters} | {"dt": dt_ms}
    click.echo(f"{shown.name}: {shown.description}" if shown.description else shown.name)
    _section("parameters (value in base units)", [(p.name, f"{p.value:g}", _base(p.unit)) for p in shown.parameters])
    if presets := preset_names(shown.source):
        _section("presets (--preset)", [(name,) for name in presets])
    _section("states (value at the beginning)", [(s.name, f"{s.initial:g}", _base(s.unit)) for s in shown.states])
    _section("ports", [(p.name, _base(p.unit), f"align_pre, tau = {p.tau}" if p.tau else "align_post") for p in shown.ports])
    _section("currents", [(c.name, _base(c.unit)) for c in shown.currents])
    _section("step (a prime marks a new value, z_last is the spike of the step before)", [(x,) for x in description.step()])
    _section("D: new states and z by old ones, 0 where not listed", [(x,) for x in description.jacobian("state")])
    _section("df/dI: new states and z by the ports", [(x,) for x in description.jacobian("port")])
    _section("where", [(x,) for x in description.parts()])
    _section("entries that vary with time (all others are constants)", [(", ".join(description.varying()),)])
    _section(
        f"constants, worked out once (dt = {dt_ms:g} ms)",
        [(k, f"{float(evaluate(e, values)):.9g}", as_text(e)) for k, e in description.constants()],
    )
    _section("stability", [(stability(shown, dt_ms).text,)])
    if code == "numba":
        click.echo("\nnumba code\n" + numba_functions(shown.name, blocks))
    if code == "cuda":
        click.echo("\nCUDA code\n" + cuda_functions(shown.name, blocks, noise_state=noise_state(shown)))


@command.command("check")
@click.argument("model", metavar="FILE|NAME")
@_preset
@_dt
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the states that are tried.")
def check(model: str, preset: str | None, dt_ms: float, seed: int) -> int:
    """Compare the derivatives of a model with finite differences, and see whether its step is stable.

    The spike is replaced by the antiderivative of its surrogate for that. The exit status is 2 if anything is wrong.
    """
    from fitrec.neurons.blocks import make_blocks
    from fitrec.neurons.verify import verify

    checked = _load(model, preset)
    click.echo(f"ok     {checked.name}: symbols and units agree")
    blocks = make_blocks(checked)
    click.echo(f"ok     code: {len(blocks.step.instructions)} operations per step, {blocks.kept} values kept for the gradient")
    findings = verify(checked, dt_ms, seed)
    for finding in findings:
        click.echo(f"{'ok    ' if finding.ok else 'WRONG '} {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 2


def _load(given: str, preset: str | None) -> "Model":
    """Read a model of the library, or from a file."""
    from fitrec.errors import ModelError
    from fitrec.neurons.load import library_model, library_names, load_model

    if given in library_names():
        return library_model(given, preset)
    if Path(given).suffix in (".yaml", ".yml") or Path(given).exists():
        return load_model(Path(given), preset)
    try:
        return library_model(given, preset)
    except ModelError as error:
        raise ModelError(f"'{given}' is no file, and {error.message}") from None


def _base(unit: str) -> str:
    from fitrec.neurons.expression import Place
    from fitrec.neurons.units import parse_unit

    return str(parse_unit(unit, Place(0, 0)).dimension)


def _section(title: str, rows: list[tuple[str, ...]]) -> None:
    if not rows:
        return
    click.echo(f"\n{title}")
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
