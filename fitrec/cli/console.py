"""Tables on a terminal, tab-separated lines otherwise; a line of progress on a terminal, nothing otherwise."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from fitrec.cli import logs

if TYPE_CHECKING:
    from fitrec.stages.train_progress import Status


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    Console().print(drawn)


@contextmanager
def progress() -> Iterator["Callable[[Status], None] | None"]:
    """Yield a function that shows a status below the log lines, or None if stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (BarColumn(bar_width=12), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        logs.use_current_stderr()  # rich has taken its place and prints lines above the bar
        task = shown.add_task("", total=1.0)
        try:
            yield lambda status: shown.update(task, completed=status.done, description=status.text)
        finally:
            shown.stop()
            logs.use_current_stderr()
