"""Hashes of what a stage's result depends on: they tell Snakemake what to redo, and identify a fit."""

import hashlib
import json
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from fitrec.config.fits import Fit
from fitrec.config.ingest import RecordingSource
from fitrec.config.run import RunConfig


def config_hash(*parts: Any) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON of models and plain values."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def recording_hashes(config: RunConfig, recording: RecordingSource) -> dict[str, str]:
    """Hash per stage that a recording's fits share: the sections that the stage itself reads, not those of earlier stages."""
    # The targets stage reads the neuron model only to convert rates to drives.
    network = config.network
    neuron = [network.neuron.model_dump(), network.dt_ms, network.integration] if config.targets.drive else []
    return {
        "ingest": config_hash(recording.model_dump(mode="json", exclude={"truth"}), config.ingest),
        "targets": config_hash(config.targets, neuron),
    }


def fit_hashes(fit: Fit) -> dict[str, str]:
    """Hash per stage of a fit: the sections that the stage itself reads, not those of earlier stages."""
    config = fit.config
    return {
        "build": config_hash(_network(config), fit.seed),
        "train": config_hash(_rule(config)),
        "evaluate": config_hash(config.evaluate),
        "report": config_hash(config.report),
    }


def fit_hash(fit: Fit) -> str:
    """Hash of everything the figures of a fit depend on: all sections but the report, the recording and the seed."""
    return config_hash(training_hash(fit), fit.config.evaluate)


def training_hash(fit: Fit) -> str:
    """Hash of everything the trained weights depend on; checkpoints lie under it, so that none of another training is resumed.

    Of the recording only the file's name counts, so that the hash is the same wherever the file lies; what is in the file is
    told by the SHA-256 in the provenance.
    """
    config = fit.config
    path = fit.recording.path
    files = {key: PurePath(value).name for key, value in path.items()} if isinstance(path, dict) else PurePath(path).name
    source = [fit.recording.dataset, files]
    return config_hash(source, fit.seed, config.ingest, config.targets, _network(config), _rule(config))


def _network(config: RunConfig) -> dict[str, Any]:
    """Return the network section without the place of a model file, whose text stands beside it."""
    return config.network.model_dump(mode="json", exclude={"model": {"file"}})


def _rule(config: RunConfig) -> dict[str, Any]:
    """Return the train section without what changes no result."""
    return config.train.model_dump(mode="json", exclude={"checkpoint_every_s"})
