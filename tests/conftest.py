"""Fixtures that all tests share."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from fitrec.datasets import load_manifest, locate
from fitrec.errors import MissingFileError

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("fitrec", deadline=None)
settings.load_profile("fitrec")


@pytest.fixture(scope="session", autouse=True)
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put the code of compiled neuron models into a folder of this run, unless ``FITREC_CACHE`` names one."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get("FITREC_CACHE"):
            patch.setenv("FITREC_CACHE", str(tmp_path_factory.mktemp("models")))
        yield


@pytest.fixture(scope="session")
def dataset() -> Callable[[str], Path]:
    """Folder of a public data set; the test is skipped where no mirror holds it."""

    def find(name: str) -> Path:
        load_manifest(name)  # a mistyped name is an error, not a reason to skip
        try:
            return locate(name)
        except MissingFileError as error:
            pytest.skip(str(error))

    return find


@pytest.fixture
def write_nwb(tmp_path: Path) -> Callable[..., Path]:
    """Write a small NWB file; trials of 1 s start at 1, 3, 5, ... s."""
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries  # takes over a second

    def write(
        spike_times: Sequence[Any] | None,
        *,
        unit_columns: Mapping[str, Sequence[Any]] | None = None,
        obs_intervals: Sequence[Any] | None = None,
        electrode: bool = False,
        n_trials: int = 6,
        trial_columns: Mapping[str, Sequence[Any]] | None = None,
        table: str = "trials",
    ) -> Path:
        nwb = NWBFile("synthetic", "test", datetime(2026, 1, 1, tzinfo=UTC))
        nwb.add_acquisition(TimeSeries(name="nothing", data=np.zeros(3), rate=1.0, unit="V"))
        if electrode:
            group = nwb.create_electrode_group("probe", "d", "CA1", device=nwb.create_device("probe"))
            nwb.add_electrode(group=group, location="CA3")
        for name in unit_columns or {}:
            nwb.add_unit_column(name, name)
        for unit, times in enumerate(spike_times or []):
            extra: dict[str, Any] = {name: values[unit] for name, values in (unit_columns or {}).items()}
            if obs_intervals is not None:
                extra["obs_intervals"] = np.array(obs_intervals[unit], float)
            if electrode:
                extra["electrodes"] = [0] if unit else []
            nwb.add_unit(**({} if times is None else {"spike_times": np.array(times, float)}), **extra)
        if n_trials:
            if table == "trials":
                intervals = nwb
                add, add_column = intervals.add_trial, intervals.add_trial_column
            else:
                created = nwb.create_time_intervals(table, "trials")
                add, add_column = created.add_row, created.add_column
            for name in trial_columns or {}:
                add_column(name, name)
            for trial in range(n_trials):
                values = {name: column[trial] for name, column in (trial_columns or {}).items()}
                add(start_time=1.0 + 2 * trial, stop_time=2.0 + 2 * trial, **values)
        path = tmp_path / "synthetic.nwb"
        with NWBHDF5IO(str(path), "w") as io:
            io.write(nwb)
        return path

    return write
