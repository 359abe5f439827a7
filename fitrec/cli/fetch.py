"""``fitrec fetch``."""

from pathlib import Path

import click

from fitrec.cli import console, options

EXAMPLES = """\b
EXAMPLES
  fitrec fetch
  fitrec fetch alm_kim2023
  fitrec fetch alm_kim2023 --out data
"""


@click.command(epilog=EXAMPLES)
@click.argument("dataset", required=False)
@click.option("--out", type=options.PATH, help="Copy it into this folder, which FITREC_DATA may then name.")
@options.overwrite
def command(dataset: str | None, out: Path | None, overwrite: bool) -> None:
    """Verify DATASET against its manifest (sizes, SHA-256), and copy it from the local mirror with --out.

    A data set that is not on this machine is reported with the place to obtain it from. The mirror is the folder that FITREC_DATA
    names. Without DATASET the known ones are listed.
    """
    from fitrec.datasets import load_manifest, names, verify

    if dataset is None:
        manifests = [load_manifest(name) for name in names()]
        console.table("Data sets", ["name", "what", "licence"], [[m.name, m.title, m.licence] for m in manifests])
        return
    if out is None:
        click.echo(f"{verify(dataset)} is whole: every file has the size and SHA-256 of the manifest.")
        return
    from fitrec.stages import fetch

    click.echo(f"Copied to {fetch.run(dataset, out, overwrite)}.")
