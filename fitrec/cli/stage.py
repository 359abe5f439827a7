"""What every stage command does before its stage: look at inputs and output, start the log, or only say what would be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from fitrec.cli import logs
from fitrec.errors import MissingFileError, StoreError

if TYPE_CHECKING:
    from fitrec.config.base import Section


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where a stage writes and how: the options --out, --overwrite, --log and --dry-run."""

    path: Path
    overwrite: bool
    log: Path | None
    dry_run: bool

    def ready(self, stage: str, inputs: Sequence[Path], section: "Section", **facts: object) -> bool:
        """Check that the inputs exist and the output does not; return whether the stage should run.

        A dry run prints the call and its settings instead. Otherwise the log starts, with `facts` (device, seed) in its head.
        """
        for path in inputs:
            if not path.exists():
                raise MissingFileError(f"{path} does not exist; '{stage}' reads it.")
        if self.path.exists() and not self.overwrite:
            raise StoreError(f"{self.path} exists already; choose another --out or give --overwrite.")
        settings = yaml.safe_dump(section.model_dump(mode="json"), sort_keys=False).rstrip()
        if self.dry_run:
            click.echo(f"{stage}: {', '.join(map(str, inputs))} -> {self.path}")
            for name, value in facts.items():
                click.echo(f"{name}: {value}")
            click.echo(settings)
            return False
        logs.start(self.log, {**facts, "settings": "\n" + settings})
        return True
