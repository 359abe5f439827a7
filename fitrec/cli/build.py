"""``fitrec build``."""

from pathlib import Path
from typing import Any

import click

from fitrec.cli import options
from fitrec.cli.device import resolve_threads
from fitrec.cli.stage import ready
from fitrec.config.hashing import config_hash
from fitrec.config.network import NetworkConfig

EXAMPLES = """\b
EXAMPLES
  fitrec build targets.zarr --out network.zarr
  fitrec build targets.zarr --out network.zarr --balanced-n-exc 500 --balanced-n-inh 500 --balanced-k 50 --seed 3
  fitrec build targets.zarr --config fit.yaml --fit seed2 --out network.zarr
"""


@click.command(epilog=EXAMPLES)
@click.argument("targets", type=options.PATH)
@options.out
@options.config
@options.fit
@options.section(NetworkConfig)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of wiring, noise and initial states.  [default: 1]")
@options.threads
@options.overwrite
@options.log
@options.dry_run
def command(
    targets: Path,
    out: Path,
    config: Path | None,
    fit_name: str | None,
    seed: int | None,
    threads: int | None,
    overwrite: bool,
    log: Path | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Build the untrained network for TARGETS (targets.zarr) and write network.zarr."""
    fit = options.choose_fit(options.load_config(config), fit_name)
    section = options.read_section(NetworkConfig, fit.config.network if fit else None, given)
    if seed is None:
        seed = fit.seed if fit else 1
    threads = resolve_threads(threads)
    if ready(
        "build",
        inputs=[targets],
        out=out,
        section=section,
        overwrite=overwrite,
        log=log,
        dry_run=dry_run,
        seed=seed,
        threads=threads,
    ):
        from fitrec.stages import build

        build.run(targets, out, section, seed=seed, threads=threads, config_hash=config_hash(section, seed), overwrite=overwrite)
