"""Configuration of the evaluate and report stages."""

from typing import Literal

from pydantic import Field

from fitrec.config.base import Section


class EvaluateConfig(Section):
    """The evaluate stage."""

    trials: int = Field(100, ge=2, description="Simulated trials per condition, with fresh noise and initial states.")
    correlation: Literal["concatenated", "per_condition"] = Field(
        "concatenated",
        description="PSTH correlation over the conditions joined in time, or the mean of the correlations within each condition.",
    )
    extra_smoothing_s: list[float] = Field(
        [],
        description="Further widths of the model's smoothing kernel for which the correlation is reported, in seconds.",
    )
    raster_trials: int = Field(10, ge=1, description="Trials per condition whose spikes are stored for rasters.")
    ceiling_splits: int = Field(50, ge=1, description="Random halvings of the test trials behind the ceiling.")
    reliable_above: float = Field(
        0.5,
        ge=-1,
        le=1,
        description="The summary's r over ceiling is the median of the units whose train and test PSTHs correlate above this.",
    )
    pairs: int = Field(2000, ge=0, description="Unit pairs, drawn at random, whose noise correlations are compared.")
    baselines: bool = Field(True, description="Also evaluate the untrained network and the recording's own baselines.")


class ReportConfig(Section):
    """The report stage."""

    examples: int = Field(4, ge=1, description="Units shown in each of best, median and worst of the PSTH gallery.")
    title: str | None = Field(None, description="Title of the page; the fit's name when left out.")
