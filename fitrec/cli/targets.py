"""``fitrec targets``."""

from pathlib import Path
from typing import Any

import click

from fitrec.cli import options
from fitrec.cli.stage import ready
from fitrec.config.network import NetworkConfig
from fitrec.config.targets import TargetsConfig

EXAMPLES = """\b
EXAMPLES
  fitrec targets recording.zarr --out targets.zarr --window-s -0.5 1.0 --bin-size-s 0.02 \\
      --align-to start_time --condition-by stimulus
  fitrec targets recording.zarr --config fit.yaml --out targets.zarr
  fitrec targets recording.zarr --out targets.zarr --conditions '[{name: left, where: ["choice == -1"]}]'
"""


@click.command(epilog=EXAMPLES)
@click.argument("recording", type=options.PATH)
@options.out
@options.config
@options.section(TargetsConfig)
@options.overwrite
@options.log
@options.dry_run
def command(
    recording: Path, out: Path, config: Path | None, overwrite: bool, log: Path | None, dry_run: bool, **given: Any
) -> None:
    """Bin, smooth and split a RECORDING (recording.zarr) and write targets.zarr.

    The neuron model behind drives (--drive-method simulated) is that of the configuration, or the default one.
    """
    run = options.load_config(config)
    section = options.read_section(TargetsConfig, run.targets if run else None, given)
    if ready("targets", inputs=[recording], out=out, section=section, overwrite=overwrite, log=log, dry_run=dry_run):
        from fitrec.stages import targets

        targets.run(recording, out, section, network=run.network if run else NetworkConfig(), overwrite=overwrite)
