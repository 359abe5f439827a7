"""The ingest stage: a user's file becomes `recording.zarr`."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fitrec import store
from fitrec.config.hashing import config_hash
from fitrec.config.ingest import IngestConfig
from fitrec.recordings.arrays import ArrayLayout
from fitrec.recordings.read import read
from fitrec.recordings.recording import Recording
from fitrec.recordings.select import resample_units, select_units, summary

_log = logging.getLogger(__name__)


def run(source: Path | Mapping[str, Path], out: Path, config: IngestConfig, *, name: str, overwrite: bool = False) -> Recording:
    """Read a recording, select its units and store it.

    Parameters
    ----------
    source : Path or mapping of condition to Path
        The recording's file; for condition rates also one file per condition.
    out : Path
        The store to write.
    config : IngestConfig
        How to read it, which units to keep.
    name : str
        Name of the recording.
    overwrite : bool
        Replace an existing store.

    Raises
    ------
    RecordingError, StoreError
        If the recording cannot be read or used, or the store cannot be written.

    """
    store.require_absent(out, overwrite)
    recording = read_selected(source, config, name)
    if isinstance(source, Path):
        sha256 = store.file_sha256(source)
    else:
        sha256 = store.json_sha256({condition: store.file_sha256(path) for condition, path in source.items()})
    recording = replace(recording, source=recording.source | {"sha256": sha256})
    attrs = {
        "config_hash": config_hash(name, config),
        "source_sha256": sha256,
        "bin_size_s": recording.bin_size_s,
        "t_start_s": recording.t_start_s,
    }
    store.save(out, recording, attrs, overwrite)
    if config.resample is None:
        n_all = recording.n_units + len(recording.excluded)
        _log.info("%s: kept %d of %d units, %s", name, recording.n_units, n_all, _trials(recording))
    else:
        _log.info("%s: a surrogate of %d units drawn with replacement, %s", name, recording.n_units, _trials(recording))
    if len(recording.excluded):
        _log.info("%s: %s", name, summary(recording.excluded))
    return recording


def read_selected(source: Path | Mapping[str, Path], config: IngestConfig, name: str) -> Recording:
    """Read a recording and select its units, without storing anything."""
    everything = read(
        source,
        name=name,
        file_format=config.format,
        nwb_trials=config.nwb.trials,
        layout=ArrayLayout(**config.arrays.model_dump()),
        spikes_outside_intervals=config.spikes_outside_intervals,
    )
    selected = select_units(everything, **config.units.model_dump())
    return selected if config.resample is None else resample_units(selected, config.resample.n_units, config.resample.seed)


def _trials(recording: Recording) -> str:
    return f"{len(recording.condition_names)} conditions" if recording.kind == "rates" else f"{len(recording.trials)} trials"
