"""Configuration of the targets stage: alignment, bins, conditions, smoothing, splits, drive."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fitrec.config.base import Section


class Smoothing(Section):
    """Kernel applied to PSTHs; the model's PSTHs get the same one."""

    kernel: Literal["none", "gaussian", "boxcar"] = Field("gaussian", description="Shape of the kernel.")
    width_s: float = Field(
        0.025,
        ge=0,
        description="Standard deviation (gaussian) or full width (boxcar) in seconds; truncated and renormalised at edges.",
    )


class ConditionRule(Section):
    """One condition: the trials for which all clauses hold."""

    name: str = Field(min_length=1, description="Name of the condition.")
    where: list[str] = Field(
        description="Clauses '<column> <op> <column or value>' with op ==, !=, <, <=, >, >=, in or startswith; all must hold."
    )


class Continuous(Section):
    """Fit the recording's course in time, without trials: some recorded units drive the network, which follows the others."""

    segment_s: float = Field(4.0, gt=0, description="Length of the segments that the recording is cut into, in seconds.")
    start_s: float | None = Field(None, description="Where the first segment begins, in seconds; null: first spike or trial.")
    stop_s: float | None = Field(None, description="Where the last one ends at the latest; null: last spike or trial.")
    input_fraction: float = Field(
        0.5, gt=0, lt=1, description="Fraction of the units, drawn with split.seed, that drive the network and are not fitted."
    )
    input_where: list[str] | None = Field(
        None,
        min_length=1,
        description="Clauses '<column> <op> <value>' on the units table, as for conditions, that choose the input units instead.",
    )
    test_blocks: int = Field(
        8, ge=1, description="Stretches of held-out time, one at random in each of so many equal parts of the recording."
    )


class Split(Section):
    """Frozen split of trials, or of time, and of units."""

    test_fraction: float = Field(
        0.5, ge=0, lt=1, description="Fraction of the trials of each condition, or of the segments, held out for testing."
    )
    held_out_units: float = Field(0.0, ge=0, lt=1, description="Fraction of the units that get no target in training.")
    seed: int = Field(1, ge=0, description="Seed of the split.")


class DriveOptions(Section):
    """Conversion of rates to the synaptic drive of an isolated neuron with white noise."""

    method: Literal["simulated", "siegert"] = Field(
        "simulated",
        description="'simulated': f-I curve of the simulated neuron model; 'siegert': closed form for continuous time.",
    )
    sigma: float = Field(gt=0, description="Noise amplitude of the Siegert formula, in units of the threshold.")
    rate_floor_hz: float = Field(0.1, gt=0, description="Rates below it are raised to it before the inversion.")


class TargetsConfig(Section):
    """The targets stage."""

    align_to: str = Field("start_time", description="Trial column that defines time 0 (spike times only).")
    window_s: tuple[float, float] | None = Field(
        None, description="Window around the event in seconds, half-open; all stored bins when left out (needed for spike times)."
    )
    bin_size_s: float | None = Field(None, gt=0, description="Bin width in seconds; that of the source when left out.")
    condition_by: list[str] | None = Field(None, description="Trial columns; each combination of their values is one condition.")
    conditions: list[ConditionRule] | None = Field(
        None,
        description="Explicit conditions; trials that fit none are left out. Without rules or columns all trials are one.",
    )
    continuous: Continuous | None = Field(None, description="Fit time itself, in place of conditions aligned to events.")
    smoothing: Smoothing = Smoothing()
    already_smoothed: bool = Field(
        False, description="The rates of the source came with this smoothing: apply it to the model only (condition rates)."
    )
    modes: Annotated[int, Field(ge=1)] | Literal["auto"] | None = Field(
        None,
        description="Fit the principal components of the population's training PSTHs instead of the PSTHs themselves: the number "
        "of leading ones, or 'auto' to keep each as far as it recurs within the training trials. Helps where trials are few.",
    )
    split: Split = Split()
    drive: DriveOptions | None = Field(
        None, description="Also store the drive of an isolated neuron; the fit itself calibrates its own."
    )

    @model_validator(mode="after")
    def _conditions_and_window(self) -> "TargetsConfig":
        if self.conditions is not None and self.condition_by is not None:
            raise ValueError("give either conditions or condition_by, not both")
        names = [rule.name for rule in self.conditions or []]
        if len(set(names)) != len(names):
            raise ValueError(f"names of conditions must differ, got {names}")
        if self.window_s is not None and not self.window_s[0] < self.window_s[1]:
            raise ValueError(f"window_s must rise, got {list(self.window_s)}")
        return self

    @model_validator(mode="after")
    def _continuous_alone(self) -> "TargetsConfig":
        others = ("window_s", "condition_by", "conditions", "modes", "drive")
        given = [name for name in others if getattr(self, name) is not None] + ["already_smoothed"] * self.already_smoothed
        if self.continuous is not None and given:
            raise ValueError(f"continuous fits have no {' and no '.join(given)}; leave them out, or leave out continuous")
        return self
