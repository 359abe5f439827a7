"""The whole configuration of a run, and the single fits it stands for."""

from pydantic import Field, field_validator

from fitrec.config.base import Section
from fitrec.config.evaluate import EvaluateConfig, ReportConfig
from fitrec.config.ingest import IngestConfig, RecordingSource
from fitrec.config.network import NetworkConfig
from fitrec.config.targets import TargetsConfig
from fitrec.config.train import RuleName, TrainConfig

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class RunConfig(Section):
    """One run: every recording with every seed and rule is one fit."""

    run: str = Field(pattern=NAME, description="Name of the run.")
    recordings: list[RecordingSource] = Field(min_length=1, description="The recordings; each is fitted on its own.")
    seeds: list[int] = Field([1], min_length=1, description="Seeds of wiring, noise and initial states; one fit each.")
    rules: list[RuleName] = Field(
        [], description="Learning rules to compare, one fit each, in place of train.rule. None: train.rule alone."
    )
    ingest: IngestConfig = IngestConfig()
    targets: TargetsConfig = TargetsConfig()
    network: NetworkConfig = NetworkConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    report: ReportConfig = ReportConfig()

    def with_seed(self, seed: int) -> "RunConfig":
        """Return the same run with this seed alone."""
        return self.model_copy(update={"seeds": [seed]})

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError(f"seeds must be different non-negative integers, got {seeds}")
        return seeds

    def with_rule(self, rule: RuleName) -> "RunConfig":
        """Return the same run with this rule alone."""
        return self.model_copy(update={"rules": [], "train": self.train.model_copy(update={"rule": rule})})

    @property
    def all_rules(self) -> list[RuleName]:
        """The learning rules of the fits."""
        return self.rules or [self.train.rule]

    @field_validator("rules")
    @classmethod
    def _rules_differ(cls, rules: list[RuleName]) -> list[RuleName]:
        if len(set(rules)) != len(rules):
            raise ValueError(f"rules must differ, got {rules}")
        return rules

    @field_validator("recordings")
    @classmethod
    def _names_differ(cls, recordings: list[RecordingSource]) -> list[RecordingSource]:
        names = [r.name for r in recordings]
        if len(set(names)) != len(names):
            raise ValueError(f"recording names must differ, got {names}")
        return recordings
