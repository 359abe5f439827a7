"""Configuration of the ingest stage: where a recording lies, how to read it, which units to keep."""

from typing import Literal

from pydantic import Field

from fitrec.config.base import Section


class RecordingSource(Section):
    """One recording."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Name of the recording; used in paths.")
    dataset: str | None = Field(
        None, description="Data set of data_manifests/ that holds the file; paths are then relative to the data set's folder."
    )
    path: str | dict[str, str] = Field(
        description="File to read, relative to the config file or the data set; for condition rates a mapping condition -> file."
    )
    truth: str | None = Field(
        None,
        description="True rates of a simulated recording, from 'fitrec simulate --truth'; the report compares the fit with them.",
    )


class NwbOptions(Section):
    """How to read an NWB file."""

    trials: str | None = Field(
        None,
        description="Name of the trial or interval table (nwbfile.trials or a table in nwbfile.intervals). When left out: "
        "'trials', or else the table that begins first, which the log then names.",
    )


class ArrayOptions(Section):
    """How to read arrays from .npz, .npy, .h5 or .jld files."""

    kind: Literal["counts", "rates"] = Field(
        "counts", description="'counts': spikes per bin on single trials; 'rates': trial-averaged rates in Hz per condition."
    )
    key: str | None = Field(None, description="Name of the array in the file; may be left out when the file holds only one.")
    axes: list[Literal["trial", "condition", "unit", "time"]] = Field(
        ["trial", "unit", "time"], description="Axes of the array in order; with 'condition' the trials are numbered within it."
    )
    packed_bits: bool = Field(False, description="The time axis holds bits packed by numpy.packbits (most significant first).")
    n_time: int | None = Field(
        None, ge=1, description="Number of time bins; needed for packed bits, otherwise it cuts the array."
    )
    bin_size_s: float | None = Field(None, gt=0, description="Bin width of the stored array in seconds.")
    t_start_s: float = Field(0.0, description="Start of the first bin relative to the alignment event in seconds.")
    condition_key: str | None = Field(None, description="Array with the names of the conditions (axes with 'condition').")
    n_trials_key: str | None = Field(
        None,
        description="Array (unit x condition) with the number of trials each unit was recorded in; trials above it are missing.",
    )
    unit_id_key: str | None = Field(None, description="Array with the unit ids; without it units are numbered from 0.")
    unit_columns: dict[str, str] = Field(
        {}, description="Unit table column -> array in the file, for example {area: brain_area}."
    )
    trial_columns: dict[str, str] = Field({}, description="Trial table column -> array in the file.")


class UnitFilters(Section):
    """Which units to keep; every unit left out is listed with the reason."""

    min_rate_hz: float = Field(0.0, ge=0, description="Smallest mean rate over all trials (or the whole recording), in Hz.")
    min_presence: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Smallest fraction of trials (or of 100 equal parts of the recording) with at least one spike.",
    )
    areas: list[str] | None = Field(None, description="Brain areas to keep; all when left out.")
    columns: dict[str, list[str | int | float | bool]] = Field(
        {}, description="Unit table column -> values to keep, for example {quality: [good]}."
    )
    max_units: int | None = Field(None, ge=1, description="Keep at most this many units, those with the highest rates.")


class Resample(Section):
    """A surrogate population, for tests of scale: units drawn with replacement, as exact copies."""

    n_units: int = Field(ge=1, description="Number of units to draw.")
    seed: int = Field(1, ge=0, description="Seed of the draw.")


class IngestConfig(Section):
    """The ingest stage."""

    format: Literal["auto", "nwb", "arrays", "matclust"] = Field(
        "auto", description="File format; 'auto' tells NWB from arrays by the content. 'matclust': clusters sorted with MatClust."
    )
    nwb: NwbOptions = NwbOptions()
    arrays: ArrayOptions = ArrayOptions()
    units: UnitFilters = UnitFilters()
    resample: Resample | None = Field(
        None, description="Draw a surrogate population of any size, for tests of scale, from the units kept."
    )
    spikes_outside_intervals: Literal["fail", "drop"] = Field(
        "fail", description="Spikes outside a unit's obs_intervals: 'fail' names the first, 'drop' removes and counts them."
    )
