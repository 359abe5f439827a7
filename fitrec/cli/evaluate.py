"""``fitrec evaluate``."""

from pathlib import Path

import click

from fitrec.cli import keys, options
from fitrec.cli.device import resolve_device, resolve_threads
from fitrec.cli.stage import Output
from fitrec.config.evaluate import EvaluateConfig
from fitrec.config.fits import Fit, truth_path
from fitrec.config.hashing import config_hash, fit_hash

EXAMPLES = """\b
EXAMPLES
  fitrec evaluate network.zarr targets.zarr fit --out evaluation
  fitrec evaluate network.zarr targets.zarr fit --out evaluation --trials 20 --name quick
"""


@click.command(epilog=EXAMPLES)
@click.argument("network", type=options.PATH)
@click.argument("targets", type=options.PATH)
@click.argument("trained", metavar="FIT", type=options.PATH)
@options.output
@keys.of_fit(EvaluateConfig, "evaluate")
@click.option(
    "--recording", type=options.PATH, help="recording.zarr; its spike times give the recorded CV of inter-spike intervals."
)
@click.option(
    "--truth", type=options.PATH, help="True rates of a simulated recording.  [default: those that the configuration names]"
)
@click.option("--name", help="Name of the fit in summary.json.  [default: that of the configuration, or of the folder]")
@options.threads
@options.device
def command(
    network: Path,
    targets: Path,
    trained: Path,
    output: Output,
    fit: Fit | None,
    section: EvaluateConfig,
    recording: Path | None,
    truth: Path | None,
    name: str | None,
    threads: int | None,
    device: str,
) -> None:
    """Evaluate the trained weights of FIT (the folder 'fit') with frozen weights and write summary.json and metrics.csv."""
    device, threads = resolve_device(device), resolve_threads(threads)
    if truth is None and fit is not None:
        truth = truth_path(fit.recording)
    inputs = [path for path in (network, targets, trained, recording, truth) if path is not None]
    if output.ready("evaluate", inputs, section, device=device, threads=threads):
        from fitrec.stages import evaluate

        evaluate.run(
            network,
            targets,
            trained,
            output.path,
            section,
            run_name=name or (fit.name if fit else trained.resolve().parent.name),
            config_hash=fit_hash(fit) if fit else config_hash(section),
            recording=recording,
            truth=truth,
            device=device,
            threads=threads,
            overwrite=output.overwrite,
        )
