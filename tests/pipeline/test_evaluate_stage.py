"""The evaluate stage on a made-up fit: files, contract, figures, and what it refuses."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fitrec import store
from fitrec.config.evaluate import EvaluateConfig
from fitrec.errors import MissingFileError, NetworkError, StoreError, TargetsError
from fitrec.evaluate.activity import Activity
from fitrec.networks.network import Network
from fitrec.stages import evaluate
from fitrec.targets.targets import Targets
from tests.pipeline.synthetic_fit import FitFiles, network, recorded, stand_in_simulator, true_world, write_fit

SUMMARY_KEYS = [
    "run",
    "config_hash",
    "device",
    "rule",
    "n_neurons",
    "n_units",
    "n_trained",
    "train_seconds",
    "loops",
    "psth_r_train",
    "psth_r_test",
    "ceiling_r",
    "r_over_ceiling",
    "rate_hz",
    "baselines",
    "peak_memory_mb",
]
N_UNITS, N_CONDITIONS = 40, 3
CONFIG = EvaluateConfig(trials=60, raster_trials=10, ceiling_splits=20, extra_smoothing_s=[0.1])


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FitFiles:
    world = true_world(N_UNITS, N_CONDITIONS)
    initial = network(recorded(world, 2, 0)[1]).plastic_weight
    monkeypatch.setattr("fitrec.evaluate.simulated.Simulator", lambda net, device: None)
    monkeypatch.setattr("fitrec.simulate.trials.run_trials", stand_in_simulator(world, initial))
    return write_fit(tmp_path, world)


def run(files: FitFiles, out: Path, config: EvaluateConfig = CONFIG, **options: object) -> dict:
    return evaluate.run(
        files.network,
        files.targets,
        files.fit,
        out,
        config,
        run_name="demo",
        config_hash="abc",
        recording=files.recording,
        **options,
    )


def test_writes_what_the_contract_says(files: FitFiles, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    result = run(files, out)
    assert json.loads((out / "summary.json").read_text()) == result
    assert list(result) == SUMMARY_KEYS
    assert result["n_units"] == N_UNITS
    assert result["n_trained"] == 36
    assert result["rule"] == "ridge"
    assert result["train_seconds"] == 15.2
    assert result["rate_hz"]["I"] == pytest.approx(9, rel=0.05)
    assert result["baselines"]["evaluation_trials"] == 60

    metrics = pd.read_csv(out / "metrics.csv")
    assert len(metrics) == N_UNITS
    assert result["psth_r_test"]["median"] == pytest.approx(metrics["r_test"].median())
    reliable = metrics["split_half_r"] > 0.5
    assert result["r_over_ceiling"]["median"] == pytest.approx((metrics["r_test"] / metrics["ceiling_r"])[reliable].median())
    # The stand-in is good, the untrained network is not, and nothing beats a perfect model by more than sampling noise.
    assert result["psth_r_test"]["median"] > 0.6 > 0.3 > abs(result["baselines"]["untrained_r"]["median"])
    assert result["r_over_ceiling"]["median"] < 1.02
    assert metrics["cv_isi_recorded"].median() == pytest.approx(metrics["cv_isi_model"].median(), abs=0.15)
    assert metrics["fano_recorded"].median() == pytest.approx(1, abs=0.1)
    assert metrics["fano_model"].median() == pytest.approx(1, abs=0.15)


def test_areas_are_scored_by_their_mean_rates(files: FitFiles, tmp_path: Path) -> None:
    run(files, tmp_path / "evaluation")
    detail = json.loads((tmp_path / "evaluation" / "detail.json").read_text())
    targets = store.load(files.targets, Targets)
    metrics = pd.read_csv(tmp_path / "evaluation" / "metrics.csv", keep_default_na=False)
    area, with_neuron = targets.units["area"].to_numpy(), (metrics["neuron"] != "").to_numpy()
    model_hz = store.load(tmp_path / "evaluation" / "activity.zarr", Activity).psth_hz.astype(np.float64)
    assert [found["area"] for found in detail["areas"]] == sorted(set(area[with_neuron]))
    for found in detail["areas"]:
        here = with_neuron & (area == found["area"])
        assert found["units"] == here.sum()
        assert found["rate_recorded_hz"] == pytest.approx(targets.rate_hz[..., here].mean())
        assert targets.rate_test_hz is not None
        for name, recorded_hz in (("r_train", targets.rate_hz), ("r_test", targets.rate_test_hz)):
            means = (x[..., here].mean(axis=2).ravel() for x in (model_hz, recorded_hz))
            assert found[name] == pytest.approx(np.corrcoef(*means)[0, 1], rel=1e-5)
        assert found["r_test"] > found["untrained_r_test"]


def test_every_unit_without_a_figure_has_a_reason(files: FitFiles, tmp_path: Path) -> None:
    run(files, tmp_path / "evaluation")
    metrics = pd.read_csv(tmp_path / "evaluation" / "metrics.csv", keep_default_na=False)
    without = metrics[metrics["r_test"] == ""]
    assert len(without) == 4  # the held-out units, the silent one among them
    assert (without["note"] != "").all()
    detail = json.loads((tmp_path / "evaluation" / "detail.json").read_text())
    assert detail["units"]["notes"]["no neuron stands for it"] == 4
    assert detail["measures"]["r_test"]["n"] == 36
    assert not Path(detail["targets"]).is_absolute()
    assert (tmp_path / "evaluation" / detail["targets"]).resolve() == files.targets.resolve()


def test_activity_agrees_with_the_metrics(files: FitFiles, tmp_path: Path) -> None:
    run(files, tmp_path / "evaluation")
    activity = store.load(tmp_path / "evaluation" / "activity.zarr", Activity)
    targets = store.load(files.targets, Targets)
    assert activity.psth_hz.shape == targets.rate_hz.shape
    assert np.isnan(activity.psth_hz).all(axis=(0, 1)).sum() == 4
    assert activity.raster_time_s.min() >= np.float32(targets.bin_edges_s[0])
    assert activity.raster_time_s.max() < targets.bin_edges_s[-1]
    assert activity.raster_trial.max() == 9
    assert not targets.units["held_out"].to_numpy()[activity.raster_unit].any()
    assert len(activity.pair_r_model) == len(activity.pair_r_recorded) == 36 * 35 // 2
    assert abs(np.nanmean(activity.pair_r_model)) < 0.02


def test_batches_do_not_change_the_result(files: FitFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    from fitrec.simulate import trials

    inner = trials.run_trials

    def counting(*args: object, **kwargs: object) -> object:
        activity = inner(*args, **kwargs)
        calls.append(len(activity.counts))
        assert len(activity.spike_indptr) - 1 == kwargs["record_spikes"]
        return activity

    monkeypatch.setattr(trials, "run_trials", counting)
    monkeypatch.setattr("fitrec.evaluate.simulated._BATCH_BYTES", 7 * (2 * 60 * 36 + 8 * 250))
    result = run(files, tmp_path / "evaluation")
    assert set(calls) == {7, 60 % 7, 20 % 7}  # the untrained network runs 20
    assert result["psth_r_test"]["median"] > 0.6


def test_rates_only_recordings_have_no_test_values(files: FitFiles, tmp_path: Path) -> None:
    targets = store.load(files.targets, Targets)
    bare = dataclasses.replace(targets, counts=None, rate_test_hz=None, trial_condition=None, trial_is_test=None, trial_id=None)
    store.save(files.targets, bare, {}, overwrite=True)
    result = evaluate.run(files.network, files.targets, files.fit, tmp_path / "e", CONFIG, run_name="demo", config_hash="abc")
    assert result["psth_r_test"] is None
    assert result["ceiling_r"] is None
    assert result["r_over_ceiling"] is None
    assert result["baselines"]["train_psth_r"] is None
    assert 0.5 < result["psth_r_train"]["median"] < result["baselines"]["poisson_ceiling_r"]["median"] + 0.02
    assert list(result) == SUMMARY_KEYS


def test_per_condition_and_no_baselines(files: FitFiles, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"correlation": "per_condition", "baselines": False})
    result = run(files, tmp_path / "e", config)
    metrics = pd.read_csv(tmp_path / "e" / "metrics.csv")
    assert result["psth_r_test"]["mean"] == pytest.approx(metrics["r_test_per_condition"].mean())
    assert result["baselines"]["untrained_r"] is None


def test_refuses_to_replace_an_evaluation(files: FitFiles, tmp_path: Path) -> None:
    run(files, tmp_path / "e")
    with pytest.raises(StoreError, match="exists already"):
        run(files, tmp_path / "e")
    run(files, tmp_path / "e", overwrite=True)


def test_refuses_what_does_not_belong_together(files: FitFiles, tmp_path: Path) -> None:
    net = store.load(files.network, Network)
    wrong = {
        "window is 600 ms": {"window_steps": 600},
        "conditions are": {"condition_names": ["a", "b", "c"]},
        "stands for unit": {"trained_unit": net.trained_unit + 30},
        "the weights have shape": {"plastic_pre": net.plastic_pre[:, :5]},
    }
    for message, change in wrong.items():
        store.save(files.network, dataclasses.replace(net, **change), {}, overwrite=True)
        with pytest.raises(NetworkError, match=message):
            run(files, tmp_path / "e")
    (files.fit / "provenance.json").unlink()
    with pytest.raises(MissingFileError, match="train the network first"):
        run(files, tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_refuses_targets_that_changed_after_the_fit_began(files: FitFiles, tmp_path: Path) -> None:
    provenance = json.loads((files.fit / "provenance.json").read_text())
    provenance["inputs"] = {"targets": store.content_sha256(files.targets)}
    (files.fit / "provenance.json").write_text(json.dumps(provenance))
    goal = store.load(files.targets, Targets)
    store.save(files.targets, dataclasses.replace(goal, rate_hz=goal.rate_hz + 0.1), {}, overwrite=True)
    with pytest.raises(TargetsError, match="changed after the fit began"):
        run(files, tmp_path / "e")
    assert not (tmp_path / "e").exists()
