"""``fitrec init``."""

from pathlib import Path

import click

from fitrec.errors import StoreError
from fitrec.resources import root

EXAMPLES = """\b
EXAMPLES
  fitrec init
  fitrec init my_fit
"""


@click.command(epilog=EXAMPLES)
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path())
def command(folder: Path) -> None:
    """Write a short commented configuration, fit.yaml, into DIR (the current folder when left out)."""
    path = folder / "fit.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write((root() / "config" / "template.yaml").read_text(encoding="utf-8"))
    except FileExistsError:
        found = path if path.exists() else folder
        raise StoreError(f"{found} exists already; choose another folder.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from None
    click.echo(f"Wrote {path}. Name your recording in it, then: fitrec check {path}")
