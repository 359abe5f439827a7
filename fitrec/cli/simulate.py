"""``fitrec simulate``."""

from pathlib import Path
from typing import Any

import click

from fitrec.cli import keys, options
from fitrec.cli.device import resolve_device, resolve_threads
from fitrec.cli.stage import Output
from fitrec.config.simulate import SimulateConfig
from fitrec.errors import StoreError

EXAMPLES = """\b
EXAMPLES
  fitrec simulate --out recording.nwb
  fitrec simulate --out recording.nwb --truth truth.zarr --units 40 --trials-per-stimulus 60 --seed 3
"""


@click.command(epilog=EXAMPLES)
@options.output
@click.option(
    "--truth", type=options.PATH, help="Also write the true rates, from many more trials, for 'fitrec evaluate --truth'."
)
@keys.section(SimulateConfig)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of everything random.")
@options.threads
@options.device
def command(output: Output, truth: Path | None, seed: int, threads: int | None, device: str, **given: Any) -> None:
    """Make a recording: a spiking network whose rates are known responds to stimuli and is written as an NWB file.

    The units table has spike times, observation intervals, location and quality, and a few bad units as every recording has; the
    trials table has a column 'stimulus', which begins with the trial.
    """
    section = keys.read_section(SimulateConfig, None, given)
    if truth is not None and truth.exists() and not output.overwrite:
        raise StoreError(f"{truth} exists already; choose another --truth or give --overwrite.")
    device, threads = resolve_device(device), resolve_threads(threads)
    if output.ready("simulate", [], section, seed=seed, device=device, threads=threads):
        from fitrec.stages import simulate

        simulate.run(output.path, section, seed=seed, truth=truth, threads=threads, device=device, overwrite=output.overwrite)
