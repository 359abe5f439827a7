"""``fitrec compare``."""

from pathlib import Path

import click

from fitrec.cli import options
from fitrec.cli.stage import Output
from fitrec.config.base import Section

EXAMPLES = """\b
EXAMPLES
  fitrec compare results/rec-ridge results/rec-local-adjoint --out comparison.csv
"""


@click.command(epilog=EXAMPLES)
@click.argument("fit_folders", metavar="FIT_DIR...", type=options.PATH, nargs=-1, required=True)
@options.output
def command(fit_folders: tuple[Path, ...], output: Output) -> None:
    """Write the figures of the evaluated fits in the folders FIT_DIR to a table (--out, CSV), and a page beside it (.html)."""
    if output.ready("compare", fit_folders, Section()):
        from fitrec.stages import compare

        compare.run(list(fit_folders), output.path, overwrite=output.overwrite)
