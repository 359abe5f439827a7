"""``fitrec check``."""

import json
from pathlib import Path

import click

from fitrec.cli import options
from fitrec.config.fits import list_fits
from fitrec.config.load import load
from fitrec.errors import ConfigError, as_sentence

EXAMPLES = """\b
EXAMPLES
  fitrec check fit.yaml
  fitrec check fit.yaml --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("config", type=options.PATH)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(config: Path, as_json: bool) -> int:
    """Check CONFIG against the actual data, without running it.

    Findings come in three levels. CRITICAL: the run would fail. BEST_PRACTICE_VIOLATION: it would run, but its result would
    mislead or disappoint. SUGGESTION: something to consider. The exit status is 2 if any finding is critical.
    """
    try:
        run = load(config)
        fits = list_fits(run)
    except ConfigError as error:
        if as_json:
            click.echo(json.dumps([{"level": "CRITICAL", "check": "config", "recording": None, "message": str(error)}], indent=2))
        raise
    from fitrec.checks.registry import LEVELS, run_checks

    findings = run_checks(run)
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for level in LEVELS:
            here = [finding for finding in findings if finding.level == level]
            if here:
                click.secho(level, bold=True)
                for finding in here:
                    click.echo(f"  {finding.recording}: {as_sentence(finding.message)} [{finding.check}]")
        found = "Nothing to complain about" if not findings else f"Findings: {len(findings)}"
        click.echo(f"{found}. Fits: {', '.join(fit.name for fit in fits)}.")
    return 2 if any(finding.level == "CRITICAL" for finding in findings) else 0
