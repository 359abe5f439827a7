# The run's configuration, and the functions that the rules look things up with.
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from fitrec.config.fits import (
    compared_fits,
    list_fits,
    source_files,
    truth_path,
    write_configs,
)
from fitrec.config.hashing import fit_hash, fit_hashes, recording_hashes, training_hash
from fitrec.config.load import load
from fitrec.errors import FitrecError
from fitrec.stages import VERSIONS

# The jobs find the fitrec of the Python that runs Snakemake, whether or not its environment is activated.
shell.prefix(f'PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"; ')


def load_run():
    """The configuration of --configfile; `--config seed=3` takes the place of its seeds."""
    if len(workflow.configfiles) != 1:
        raise WorkflowError(
            "Name one configuration: snakemake --configfile CONFIG --directory DIR --cores N"
        )
    try:
        run = load(Path(workflow.configfiles[0]))
        return run.with_seed(config["seed"]) if "seed" in config else run
    except FitrecError as error:
        raise WorkflowError(str(error)) from None


RUN = load_run()
RECORDINGS = {recording.name: recording for recording in RUN.recordings}
FITS = {fit.name: fit for fit in list_fits(RUN)}
COMPARED = [fit.name for fit in compared_fits(RUN)]
DEVICE = config.get("device", "auto")
# On a cluster there is no number of cores, and workflow.cores would raise an error.
THREADS = int(config.get("threads") or workflow.resource_settings.cores or 1)


def recording_files(wildcards):
    """The user's files of a recording."""
    return [str(path) for path in source_files(RECORDINGS[wildcards.recording])]


def recording_hash(stage):
    """A params function: what the result of a recording's stage depends on besides its input files."""

    def lookup(wildcards):
        return recording_hashes(RUN, RECORDINGS[wildcards.recording])[stage]

    return lookup


def stage_hash(stage):
    """A params function: what the result of a fit's stage depends on besides its input files."""

    def lookup(wildcards):
        return fit_hashes(FITS[wildcards.fit])[stage]

    return lookup


def whole_hash(wildcards):
    """The hash that identifies a fit; it stands in summary.json."""
    return fit_hash(FITS[wildcards.fit])


def checkpoints_of(wildcards):
    """Where a fit's checkpoints lie."""
    return f"checkpoints/{wildcards.fit}/{training_hash(FITS[wildcards.fit])}"


def recording_of(wildcards):
    """The recording that a fit belongs to."""
    return f"recordings/{FITS[wildcards.fit].recording.name}/recording.zarr/zarr.json"


def truth_of(wildcards):
    """The true rates of that recording, if it was simulated."""
    path = truth_path(FITS[wildcards.fit].recording)
    return [] if path is None else [f"{path}/zarr.json"]


def targets_of(wildcards):
    """The targets of that recording."""
    return f"recordings/{FITS[wildcards.fit].recording.name}/targets.zarr/zarr.json"
