"""Options that several commands share."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from fitrec.cli.stage import Output

Command = TypeVar("Command", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)

out = click.option("--out", type=PATH, required=True, help="Where the result is written.")
config = click.option("--config", type=PATH, help="Configuration file; the options below win over it.")
recording = click.option("--recording", metavar="NAME", help="Recording of the configuration, if it holds several.")
fit = click.option("--fit", "fit_name", metavar="NAME", help="Fit of the configuration, if it holds several.")
overwrite = click.option("--overwrite", is_flag=True, help="Replace an existing result.")
log = click.option("--log", type=PATH, help="Also write a log file with versions, settings and every message.")
dry_run = click.option("--dry-run", is_flag=True, help="Check the arguments, print what would be done, write nothing.")
threads = click.option("--threads", type=click.IntRange(min=1), help="Number of threads.  [default: all cores]")
device = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:n]", help="Where to compute.")


def output(command: Command) -> Command:
    """Give a command --out, --overwrite, --log and --dry-run; it gets them as `output`."""

    @wraps(command)
    def packed(*, out: Path, overwrite: bool, log: Path | None, dry_run: bool, **given: Any) -> Any:
        return command(output=Output(path=out, overwrite=overwrite, log=log, dry_run=dry_run), **given)

    return out(overwrite(log(dry_run(packed))))  # type: ignore[return-value] # the same command with other arguments
