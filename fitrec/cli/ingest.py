"""``fitrec ingest``."""

from pathlib import Path

import click

from fitrec.cli import keys, options
from fitrec.cli.stage import Output
from fitrec.config.fits import find_recording, source_path
from fitrec.config.ingest import IngestConfig
from fitrec.config.run import RunConfig

EXAMPLES = """\b
EXAMPLES
  fitrec ingest session.nwb --out recording.zarr
  fitrec ingest session.nwb --nwb-trials encoding_table --units-min-rate-hz 0.5 --out recording.zarr
  fitrec ingest counts.npz --arrays-key spikes --arrays-bin-size-s 0.01 --out recording.zarr
  fitrec ingest left=left.jld right=right.jld --arrays-kind rates --arrays-bin-size-s 0.02 --out recording.zarr
  fitrec ingest --config fit.yaml --recording mouse1 --out recording.zarr
"""


@click.command(epilog=EXAMPLES)
@click.argument("files", nargs=-1, metavar="[FILE | CONDITION=FILE...]")
@options.output
@options.recording
@keys.of_run(IngestConfig, "ingest")
def command(files: tuple[str, ...], output: Output, recording: str | None, run: RunConfig | None, section: IngestConfig) -> None:
    """Read a recording, select units and write recording.zarr.

    Takes one file, or one file per condition for trial-averaged rates, or a recording of a configuration.
    """
    if files:
        source = _parse(files)
        name = recording or Path(files[-1].partition("=")[2] or files[-1]).stem
    elif run is not None:
        chosen = find_recording(run, recording)
        source, name = source_path(chosen), chosen.name
    else:
        raise click.UsageError("Give a file, or --config.")
    if output.ready("ingest", list(source.values()) if isinstance(source, dict) else [source], section):
        from fitrec.stages import ingest

        ingest.run(source, output.path, section, name=name, overwrite=output.overwrite)


def _parse(files: tuple[str, ...]) -> Path | dict[str, Path]:
    """One path, or a mapping of conditions when the arguments are written CONDITION=FILE."""
    if len(files) == 1 and ("=" not in files[0] or Path(files[0]).exists()):
        return Path(files[0])
    pairs = [file.partition("=") for file in files]
    if not all(separator for _, separator, _ in pairs):
        raise click.UsageError("Several files must be written CONDITION=FILE, one per condition.")
    if len({condition for condition, _, _ in pairs}) < len(pairs):
        raise click.UsageError("Each condition may be given once.")
    return {condition: Path(path) for condition, _, path in pairs}
