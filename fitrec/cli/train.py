"""``fitrec train``."""

from pathlib import Path
from typing import Any

import click

from fitrec.cli import console, options
from fitrec.cli.device import resolve_device, resolve_threads
from fitrec.cli.stage import ready
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
@options.out
@options.config
@options.fit
@options.section(TrainConfig)
@click.option("--checkpoints", type=options.PATH, help="Folder for checkpoints; none are written without it.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint, if there is one.")
@options.threads
@options.device
@options.overwrite
@options.log
@options.dry_run
def command(
    network: Path,
    targets: Path,
    out: Path,
    config: Path | None,
    fit_name: str | None,
    checkpoints: Path | None,
    resume: bool,
    threads: int | None,
    device: str,
    overwrite: bool,
    log: Path | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Train NETWORK (network.zarr) on TARGETS (targets.zarr); write weights, learning curve and provenance into a folder."""
    if resume and checkpoints is None:
        raise click.UsageError("--resume needs --checkpoints.")
    device, threads = resolve_device(device), resolve_threads(threads)
    fit = options.choose_fit(options.load_config(config), fit_name)
    section = options.read_section(TrainConfig, fit.config.train if fit else None, given)
    if ready(
        "train",
        inputs=[network, targets],
        out=out,
        section=section,
        overwrite=overwrite,
        log=log,
        dry_run=dry_run,
        device=device,
        threads=threads,
    ):
        from fitrec.stages import train

        with console.progress() as show:
            train.run(
                network,
                targets,
                out,
                section,
                checkpoints=checkpoints,
                resume=resume,
                threads=threads,
                device=device,
                overwrite=overwrite,
                config_hash=training_hash(fit) if fit else config_hash(section),
                show=show,
            )
    elif dry_run:
        from fitrec.stages import train_memory

        click.echo(train_memory.dry_run(network, targets, section, threads))
