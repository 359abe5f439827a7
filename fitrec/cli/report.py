"""``fitrec report``."""

from pathlib import Path
from typing import Any

import click

from fitrec.cli import options
from fitrec.cli.stage import ready
from fitrec.config.evaluate import ReportConfig

EXAMPLES = """\b
EXAMPLES
  fitrec report results/demo --out report
  fitrec report results/demo --out report --examples 8 --title "Mouse 1, ALM"
"""


@click.command(epilog=EXAMPLES)
@click.argument("fit_folder", metavar="FIT_DIR", type=options.PATH)
@options.out
@options.config
@options.section(ReportConfig)
@click.option("--targets", type=options.PATH, help="targets.zarr.  [default: the one that was evaluated]")
@click.option("--recording", type=options.PATH, help="recording.zarr.  [default: the one beside the targets]")
@options.overwrite
@options.log
@options.dry_run
def command(
    fit_folder: Path,
    out: Path,
    config: Path | None,
    targets: Path | None,
    recording: Path | None,
    overwrite: bool,
    log: Path | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Write the report page of the fit in FIT_DIR (the folder with network.zarr, fit and evaluation)."""
    run = options.load_config(config)
    section = options.read_section(ReportConfig, run.report if run else None, given)
    inputs = [path for path in (fit_folder, targets, recording) if path is not None]
    if ready("report", inputs=inputs, out=out, section=section, overwrite=overwrite, log=log, dry_run=dry_run):
        from fitrec.stages import report

        report.run(fit_folder, out, section, targets=targets, recording=recording, overwrite=overwrite)
