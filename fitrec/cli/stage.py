"""What every stage command does before its stage: look at inputs and output, start the log, or only say what would be done."""

from collections.abc import Sequence
from pathlib import Path

import click
import yaml

from fitrec.cli import logs
from fitrec.config.base import Section
from fitrec.errors import MissingFileError, StoreError


def ready(
    stage: str,
    *,
    inputs: Sequence[Path],
    out: Path,
    section: Section,
    overwrite: bool,
    log: Path | None,
    dry_run: bool,
    **facts: object,
) -> bool:
    """Check that the inputs exist and the output does not; return whether the stage should run.

    A dry run prints the call and its settings instead. Otherwise the log starts, with `facts` (device, seed, ...) in its head.
    """
    for path in inputs:
        if not path.exists():
            raise MissingFileError(f"{path} does not exist; '{stage}' reads it.")
    if out.exists() and not overwrite:
        raise StoreError(f"{out} exists already; choose another --out or give --overwrite.")
    settings = yaml.safe_dump(section.model_dump(mode="json"), sort_keys=False).rstrip()
    if dry_run:
        click.echo(f"{stage}: {', '.join(map(str, inputs))} -> {out}")
        for name, value in facts.items():
            click.echo(f"{name}: {value}")
        click.echo(settings)
        return False
    logs.start(log, {**facts, "settings": "\n" + settings})
    return True
