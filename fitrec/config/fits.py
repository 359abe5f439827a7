"""The fits a configuration stands for: every recording with every seed and rule is one fit with a folder of its own."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import yaml

from fitrec.config.ingest import RecordingSource
from fitrec.config.run import RunConfig
from fitrec.errors import ConfigError

# Names in the folder of a run that are not fits.
RESERVED = ("recordings", "checkpoints", "logs", "benchmarks", "config.yaml", "comparison.csv", "comparison.html")


@dataclass(frozen=True)
class Fit:
    """One fit: its folder's name, its configuration (one recording, one seed, one rule)."""

    name: str
    config: RunConfig

    @property
    def recording(self) -> RecordingSource:
        """The recording that is fitted."""
        return self.config.recordings[0]

    @property
    def seed(self) -> int:
        """The seed of wiring, noise and initial states."""
        return self.config.seeds[0]


def list_fits(config: RunConfig) -> list[Fit]:
    """List the fits in order: recordings, within each the seeds, within each the rules."""
    fits = []
    for recording, seed, rule in product(config.recordings, config.seeds, config.all_rules):
        name = _name(config, recording, seed, rule)
        if name in RESERVED:
            raise ConfigError(f"A fit cannot be called '{name}': {', '.join(RESERVED)} have a meaning in the folder of a run.")
        fits.append(Fit(name, config.with_rule(rule).model_copy(update={"recordings": [recording], "seeds": [seed]})))
    return fits


def compared_fits(config: RunConfig) -> list[Fit]:
    """List the fits of recordings that have more than one."""
    return list_fits(config) if len(config.seeds) * len(config.all_rules) > 1 else []


def _name(config: RunConfig, recording: RecordingSource, seed: int, rule: str) -> str:
    parts = []
    if len(config.recordings) > 1 or len(config.all_rules) > 1:
        parts.append(recording.name)
    if len(config.seeds) > 1:
        parts.append(f"seed{seed}")
    if len(config.all_rules) > 1:
        parts.append(rule)
    return "-".join(parts) or config.run


def find_recording(config: RunConfig, name: str | None) -> RecordingSource:
    """Return the recording of that name; the name may be left out when there is only one."""
    names = [recording.name for recording in config.recordings]
    if name is None and len(names) > 1:
        raise ConfigError(f"The configuration holds {len(names)} recordings; choose one with --recording: {', '.join(names)}.")
    if name is not None and name not in names:
        raise ConfigError(f"The configuration holds no recording '{name}'; it holds {', '.join(names)}.")
    return config.recordings[0 if name is None else names.index(name)]


def write_configs(config: RunConfig, folder: Path) -> None:
    """Write the run's configuration, defaults filled in and paths absolute, and beside each fit the fit's own."""
    write_config(config, folder / "config.yaml")
    for fit in list_fits(config):
        write_config(fit.config, folder / fit.name / "config.yaml")


def write_config(config: RunConfig, path: Path) -> None:
    """Write a configuration that `load` reads back as the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True), encoding="utf-8")
    temporary.replace(path)


def source_path(source: RecordingSource) -> Path | dict[str, Path]:
    """Where the file of a recording lies (or the file of each condition)."""
    folder = _folder(source)
    if isinstance(source.path, dict):
        return {condition: folder / path for condition, path in source.path.items()}
    return folder / source.path


def truth_path(source: RecordingSource) -> Path | None:
    """Where the true rates of a simulated recording lie, if it has any."""
    return None if source.truth is None else _folder(source) / source.truth


def _folder(source: RecordingSource) -> Path:
    if source.dataset is None:
        return Path()
    from fitrec.datasets import locate  # most configurations need no data set

    return locate(source.dataset)


def source_files(source: RecordingSource) -> list[Path]:
    """List the files of a recording."""
    path = source_path(source)
    return list(path.values()) if isinstance(path, dict) else [path]
