"""``fitrec build``."""

from pathlib import Path

import click

from fitrec.cli import keys, options
from fitrec.cli.device import resolve_device, resolve_threads
from fitrec.cli.stage import Output
from fitrec.config.fits import Fit
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
@options.output
@keys.of_fit(NetworkConfig, "network")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of wiring, noise and initial states.  [default: 1]")
@options.threads
@options.device
def command(
    targets: Path,
    output: Output,
    fit: Fit | None,
    section: NetworkConfig,
    seed: int | None,
    threads: int | None,
    device: str,
) -> None:
    """Build the untrained network for TARGETS (targets.zarr) and write network.zarr."""
    if seed is None:
        seed = fit.seed if fit else 1
    device, threads = resolve_device(device), resolve_threads(threads)
    if output.ready("build", [targets], section, seed=seed, device=device, threads=threads):
        from fitrec.stages import build

        build.run(
            targets,
            output.path,
            section,
            seed=seed,
            threads=threads,
            device=device,
            config_hash=config_hash(section, seed),
            overwrite=output.overwrite,
        )
