"""``fitrec report``."""

from pathlib import Path

import click

from fitrec.cli import keys, options
from fitrec.cli.stage import Output
from fitrec.config.evaluate import ReportConfig
from fitrec.config.run import RunConfig

EXAMPLES = """\b
EXAMPLES
  fitrec report results/demo --out report
  fitrec report results/demo --out report --examples 8 --title "Mouse 1, ALM"
"""


@click.command(epilog=EXAMPLES)
@click.argument("fit_folder", metavar="FIT_DIR", type=options.PATH)
@options.output
@keys.of_run(ReportConfig, "report")
@click.option("--targets", type=options.PATH, help="targets.zarr.  [default: the one that was evaluated]")
@click.option("--recording", type=options.PATH, help="recording.zarr.  [default: the one beside the targets]")
def command(
    fit_folder: Path,
    output: Output,
    run: RunConfig | None,
    section: ReportConfig,
    targets: Path | None,
    recording: Path | None,
) -> None:
    """Write the report page of the fit in FIT_DIR (the folder with network.zarr, fit and evaluation)."""
    if output.ready("report", [path for path in (fit_folder, targets, recording) if path is not None], section):
        from fitrec.stages import report

        report.run(fit_folder, output.path, section, targets=targets, recording=recording, overwrite=output.overwrite)
