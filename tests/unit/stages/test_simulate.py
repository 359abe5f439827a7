"""`fitrec simulate`: what it writes is what our reader reads, and the truth belongs to it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from fitrec import store
from fitrec.cli.simulate import command
from fitrec.config.simulate import SimulateConfig
from fitrec.errors import NetworkError, RecordingError, StoreError
from fitrec.evaluate.truth import Truth, true_rates
from fitrec.networks.ground_truth import AREAS
from fitrec.recordings.nwb import read_nwb
from fitrec.recordings.recording import Recording
from fitrec.recordings.select import select_units
from fitrec.stages import simulate

SMALL: dict[str, Any] = {
    "units": 6, "stimuli": 2, "trials_per_stimulus": 4, "truth_trials": 8, "before_s": 0.1, "after_s": 0.4, "gap_s": 0.2,
    "n_exc": 60, "n_inh": 20, "k": 12, "n_inputs": 20,
}  # fmt: skip


def read(path: Path) -> Recording:
    return read_nwb(path, name="simulated", trials="trials", spikes_outside_intervals="fail")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Recording]:
    folder = tmp_path_factory.mktemp("simulate")
    nwb, truth = folder / "recording.nwb", folder / "truth.zarr"
    return nwb, truth, simulate.run(nwb, SimulateConfig(**SMALL), seed=3, truth=truth, threads=1)


def test_what_was_written_is_read_back(made: tuple[Path, Path, Recording]) -> None:
    nwb, _, written = made
    found = read(nwb)
    assert written.spike_times_s is not None
    assert found.spike_times_s is not None
    np.testing.assert_array_equal(found.spike_times_s, written.spike_times_s)
    np.testing.assert_array_equal(found.spike_indptr, written.spike_indptr)
    for column in ("unit_id", "location", "quality"):
        assert found.units[column].tolist() == written.units[column].tolist()
    pd.testing.assert_frame_equal(found.trials, written.trials)
    assert set(found.units["area"]) <= set(AREAS)
    assert found.trials["stimulus"].value_counts().to_dict() == {"A": 4, "B": 4}
    assert found.observed is None  # every unit was observed in every trial
    np.testing.assert_allclose(found.units["observed_s"], 8 * 0.5)
    assert written.spike_times_s.size > 6 * 8 * 0.5  # at least 1 Hz


def test_bad_units_are_left_out_for_their_reasons(made: tuple[Path, Path, Recording]) -> None:
    nwb, truth, _ = made
    chosen = select_units(read(nwb), min_rate_hz=0.5, min_presence=0.1, columns={"quality": ["good"]})
    assert set(chosen.units["unit_id"]) <= set(store.load(truth, Truth).unit_id)
    assert set(chosen.excluded["reason"]) >= {"silent", "label"}
    assert chosen.excluded["reason"].value_counts()["label"] == 3


def test_truth_agrees_with_the_recording(made: tuple[Path, Path, Recording]) -> None:
    _, path, written = made
    truth = store.load(path, Truth)
    assert truth.counts.shape == (2, 500, 6)
    assert (truth.trials, truth.t_start_s) == (8, -0.1)
    assert written.spike_indptr is not None
    true_hz = truth.counts.sum(axis=(0, 1)) / (2 * 8 * 0.5)
    recorded_hz = np.diff(written.spike_indptr)[:6] / (8 * 0.5)
    # Sixteen trials beside eight of the same neurons: the difference is the noise of the counts.
    assert np.all(np.abs(true_hz - recorded_hz) < 4 * np.sqrt(true_hz / (8 * 0.5)) + 1)


def test_same_seed_same_spikes_for_any_number_of_threads(made: tuple[Path, Path, Recording], tmp_path: Path) -> None:
    config = SimulateConfig(**SMALL)
    again = simulate.run(tmp_path / "again.nwb", config, seed=3, threads=2)
    np.testing.assert_array_equal(again.spike_times_s, made[2].spike_times_s)
    other = simulate.run(tmp_path / "other.nwb", config, seed=4)
    assert not np.array_equal(other.spike_times_s, made[2].spike_times_s)


def test_refusals_leave_nothing_behind(made: tuple[Path, Path, Recording], tmp_path: Path) -> None:
    out = tmp_path / "recording.nwb"
    with pytest.raises(NetworkError, match="of 60 excitatory neurons fire at least 100 Hz, but 6 units"):
        simulate.run(out, SimulateConfig(**SMALL, min_rate_hz=100.0), seed=3)
    with pytest.raises(StoreError, match="exists already"):
        simulate.run(out, SimulateConfig(**SMALL), seed=3, truth=made[1])
    assert list(tmp_path.iterdir()) == []


def test_command(tmp_path: Path) -> None:
    options = [part for key, value in SMALL.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    arguments = ["--out", str(tmp_path / "r.nwb"), "--truth", str(tmp_path / "t.zarr"), "--no-bad-units", *options]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert len(read(tmp_path / "r.nwb").units) == 6
    with pytest.raises(StoreError, match="exists already"):
        CliRunner().invoke(command, ["--out", str(tmp_path / "new.nwb"), *arguments[2:]], catch_exceptions=False)


def known() -> Truth:
    counts = np.arange(2 * 6 * 2, dtype=np.uint32).reshape(2, 6, 2)
    return Truth(unit_id=np.array([5, 9]), condition_names=["A", "B"], counts=counts, trials=10, bin_size_s=0.01, t_start_s=-0.02)


def test_truth_in_the_bins_conditions_and_units_of_a_fit() -> None:
    rate_hz = true_rates(known(), np.array([9, 7]), ["B", "A"], np.array([-0.02, 0.0, 0.02]))
    assert rate_hz.shape == (2, 2, 2)
    np.testing.assert_allclose(rate_hz[0, :, 0], [(13 + 15) / 0.2, (17 + 19) / 0.2])
    np.testing.assert_allclose(rate_hz[1, 0, 0], (1 + 3) / 0.2)
    assert np.isnan(rate_hz[:, :, 1]).all()  # a bad unit


@pytest.mark.parametrize(
    ("conditions", "edges_s", "wanted"),
    [
        (["A", "x"], [0.0, 0.02], "nothing of condition 'x', only of A, B"),
        (["A"], [0.0, 0.015], "in bins of 0.01 s from -0.02 to 0.04 s"),
        (["A"], [0.0, 0.1], "targets' bins from 0 to 0.1 s"),
        (["A"], [-0.1, 0.0], "choose such a window"),
    ],
)
def test_truth_of_something_else(conditions: list[str], edges_s: list[float], wanted: str) -> None:
    with pytest.raises(RecordingError, match=wanted):
        true_rates(known(), np.array([5]), conditions, np.array(edges_s))
