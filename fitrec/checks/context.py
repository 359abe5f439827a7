"""What the checks of one recording look at; read once, when first asked for."""

from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fitrec.config.fits import source_files, source_path
from fitrec.config.ingest import RecordingSource
from fitrec.config.run import RunConfig
from fitrec.config.train import RuleName
from fitrec.errors import FitrecError
from fitrec.recordings.recording import Recording
from fitrec.targets.targets import Targets

if TYPE_CHECKING:
    from fitrec.neurons.model import Model


class Context:
    """One recording of a run. `files`, `recording` and `targets` are None when they cannot be had; then the error says why."""

    def __init__(self, run: RunConfig, source: RecordingSource) -> None:
        self.run = run
        self.source = source
        self.files_error: str | None = None
        self.recording_error: str | None = None
        self.targets_error: str | None = None
        self.neuron_model_error: str | None = None

    def with_rule(self, rule: RuleName) -> "Context":
        """Return the same recording, read once, in a run with another rule."""
        other = copy(self)
        other.run = self.run.with_rule(rule)
        return other

    @cached_property
    def files(self) -> list[Path] | None:
        """The files of the recording, all of which exist."""
        try:
            files = source_files(self.source)
        except FitrecError as error:
            self.files_error = str(error).rstrip(".")
            return None
        for path in files:
            if not path.is_file():
                found = "is a folder, not a file" if path.is_dir() else "does not exist"
                anchor = "configuration file" if self.source.dataset is None else "data set's folder"
                self.files_error = f"{path} {found}; paths are relative to the {anchor}"
                return None
        return files

    @cached_property
    def recording(self) -> Recording | None:
        """The recording as the ingest stage would store it."""
        from fitrec.stages.ingest import read_selected

        if self.files is None:
            return None
        try:
            return read_selected(source_path(self.source), self.run.ingest, self.source.name)
        except FitrecError as error:
            self.recording_error = str(error).rstrip(".")
            return None

    @property
    def n_trained(self) -> int:
        """Units to be fitted; 0 when the targets cannot be had."""
        return 0 if self.targets is None else int((~self.targets.units["held_out"].to_numpy(bool)).sum())

    @property
    def n_candidates(self) -> int:
        """Model neurons that may stand for units."""
        network = self.run.network
        return network.balanced.n_exc + (network.balanced.n_inh if network.assignment.population == "all" else 0)

    @cached_property
    def neuron_model(self) -> "tuple[Model, dict[str, Any]] | None":
        """The neurons' own equations with what a network would keep of them; None if it gives none, or a wrong one."""
        from fitrec.networks.neuron_model import described_model
        from fitrec.stages.build import neuron_model

        config = self.run.network.model
        if config is None:
            return None
        try:
            description = neuron_model(config, self.run.network.dt_ms)
            return described_model(description, config.source), description
        except FitrecError as error:
            self.neuron_model_error = str(error).rstrip(".")
            return None

    @property
    def equations(self) -> "Model | None":
        """The neurons' own equations, or those of the neurons that have none; None if their own are wrong."""
        from fitrec.neurons.load import library_model

        if self.run.network.model is not None:
            return None if self.neuron_model is None else self.neuron_model[0]
        return library_model("lif" if self.run.network.integration == "euler" else "lif_exact")

    @cached_property
    def targets(self) -> Targets | None:
        """The targets as the targets stage would store them, without drives, whose f-I curve takes a simulation."""
        from fitrec.stages.targets import target_options
        from fitrec.targets.build import build_targets

        if self.recording is None:
            return None
        try:
            return build_targets(self.recording, target_options(self.run.targets))
        except FitrecError as error:
            self.targets_error = str(error).rstrip(".")
            return None
