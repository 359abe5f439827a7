"""``fitrec train``."""

from pathlib import Path

import click

from fitrec.cli import console, keys, options
from fitrec.cli.device import resolve_device, resolve_threads
from fitrec.cli.stage import Output
from fitrec.config.fits import Fit
from fitrec.config.hashing import config_hash, training_hash
from fitrec.config.train import TrainConfig

EXAMPLES = """\b
EXAMPLES
  fitrec train network.zarr targets.zarr --out fit
  fitrec train network.zarr targets.zarr --out fit --rule rls --rls-loops 50
  fitrec train network.zarr targets.zarr --out fit --checkpoints checkpoints --resume
"""


@click.command(epilog=EXAMPLES)
@click.argument("network", type=options.PATH)
@click.argument("targets", type=options.PATH)
@options.output
@keys.of_fit(TrainConfig, "train")
@click.option("--checkpoints", type=options.PATH, help="Folder for checkpoints; none are written without it.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint, if there is one.")
@options.threads
@options.device
def command(
    network: Path,
    targets: Path,
    output: Output,
    fit: Fit | None,
    section: TrainConfig,
    checkpoints: Path | None,
    resume: bool,
    threads: int | None,
    device: str,
) -> None:
    """Train NETWORK (network.zarr) on TARGETS (targets.zarr); write weights, learning curve and provenance into a folder."""
    if resume and checkpoints is None:
        raise click.UsageError("--resume needs --checkpoints.")
    device, threads = resolve_device(device), resolve_threads(threads)
    if output.ready("train", [network, targets], section, device=device, threads=threads):
        from fitrec.stages import train

        with console.progress() as show:
            train.run(
                network,
                targets,
                output.path,
                section,
                checkpoints=checkpoints,
                resume=resume,
                threads=threads,
                device=device,
                overwrite=output.overwrite,
                config_hash=training_hash(fit) if fit else config_hash(section),
                show=show,
            )
    else:
        from fitrec.kernels.cuda.device import open_device
        from fitrec.stages import train_memory

        click.echo(train_memory.dry_run(network, targets, section, threads, open_device(device)))
