"""The group of commands; each is a module of this package, imported when it is called for."""

import importlib
from difflib import get_close_matches

import click

import fitrec

# In the order of a user's work. The texts stand here so that the list of commands needs none of their modules.
COMMANDS = {
    "init": "Write a short commented configuration.",
    "check": "Check a configuration against the actual data, without running it.",
    "fetch": "Get a public data set and verify it.",
    "run": "Run the whole pipeline: from recordings to reports.",
    "ingest": "Read a recording and select units.",
    "targets": "Bin, smooth and split a recording.",
    "build": "Build the untrained network.",
    "train": "Train the network on the targets.",
    "evaluate": "Evaluate the trained network with frozen weights.",
    "report": "Write the report page of a fit.",
    "compare": "Put fits of the same recordings side by side.",
    "simulate": "Make a recording from a network whose rates are known.",
    "model": "Show a neuron model and its derivatives, or check them.",
    "task": "Run a published task in its published set-up.",
    "bench": "Measure speed with the settings of published programs.",
}


class LazyGroup(click.Group):
    """Imports the module of a command when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands in the order of a user's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command."""
        if name not in COMMANDS:
            return None
        command = importlib.import_module(f"fitrec.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the one that was probably meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" The commands are {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(fitrec.__version__, prog_name="fitrec")
def cli() -> None:
    """Fit spiking networks to neural recordings.

    Start with 'fitrec init', look with 'fitrec check CONFIG', then 'fitrec run CONFIG --out DIR'.
    """
