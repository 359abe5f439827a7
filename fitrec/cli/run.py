"""``fitrec run``."""

from pathlib import Path

import click

from fitrec.cli import logs, options
from fitrec.cli.device import check_device, resolve_device, resolve_threads
from fitrec.config.fits import list_fits
from fitrec.config.load import load

EXAMPLES = """\b
EXAMPLES
  fitrec run fit.yaml --out results/my_fit
  fitrec run fit.yaml --out results/my_fit --seed 3 --threads 2
  fitrec run fit.yaml --out results/my_fit --dry-run
  fitrec run fit.yaml --out results/my_fit -- --forcerun evaluate
"""


@click.command(epilog=EXAMPLES)
@click.argument("config", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="Folder of the run; the same one again redoes only what changed.")
@click.option("--seed", type=click.IntRange(min=0), help="Take this seed instead of those of the configuration.")
@options.threads
@options.device
@click.option(
    "--profile", default="local", show_default=True, metavar="NAME", help="Snakemake profile: local, slurm, or a folder of yours."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, write nothing.")
@click.argument("snakemake_args", nargs=-1, type=click.UNPROCESSED, metavar="[-- SNAKEMAKE_ARGS...]")
def command(
    config: Path,
    out: Path,
    seed: int | None,
    threads: int | None,
    device: str,
    profile: str,
    dry_run: bool,
    snakemake_args: tuple[str, ...],
) -> int:
    """Run the whole pipeline of CONFIG: one fit with an evaluation and a report for every recording, seed and rule."""
    from fitrec.checks.registry import refuse_critical
    from fitrec.cli import workflow

    # Jobs of a cluster find out on their own machines what auto means and whether there is a GPU.
    device = resolve_device(device) if profile == "local" else check_device(device)
    threads = resolve_threads(threads)
    run = load(config)
    if seed is not None:
        run = run.with_seed(seed)
    fits = list_fits(run)
    refuse_critical(run)
    arguments = workflow.snakemake_command(
        config, out, profile=profile, threads=threads, device=device, seed=seed, dry_run=dry_run, further=snakemake_args
    )
    if dry_run:
        return workflow.dry_run(arguments, out)
    with workflow.exclusive(out) as lock:
        logs.start(out / "logs" / "run.log", {"device": device, "threads": threads, "seeds": run.seeds})
        status = workflow.drive(arguments, out, lock)
    if status == 0 and not snakemake_args:
        workflow.print_results(out, [fit.name for fit in fits])
    return status
