"""``fitrec targets``."""

from pathlib import Path

import click

from fitrec.cli import keys, options
from fitrec.cli.stage import Output
from fitrec.config.network import NetworkConfig
from fitrec.config.run import RunConfig
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
@options.output
@keys.of_run(TargetsConfig, "targets")
def command(recording: Path, output: Output, run: RunConfig | None, section: TargetsConfig) -> None:
    """Bin, smooth and split a RECORDING (recording.zarr) and write targets.zarr.

    The neuron model behind drives (--drive-method simulated) is that of the configuration, or the default one.
    """
    if output.ready("targets", [recording], section):
        from fitrec.stages import targets

        network = run.network if run else NetworkConfig()
        targets.run(recording, output.path, section, network=network, overwrite=output.overwrite)
