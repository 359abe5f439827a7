"""Names of fits, and the hashes that decide what is redone."""

from typing import Any

import pytest

from fitrec.config.fits import RESERVED, find_recording, list_fits
from fitrec.config.hashing import fit_hash, fit_hashes, recording_hashes
from fitrec.config.run import RunConfig
from fitrec.errors import ConfigError


def config(**changes: Any) -> RunConfig:
    return RunConfig.model_validate({"run": "r", "recordings": [{"name": "a", "path": "/d/a.nwb"}], **changes})


TWO = [{"name": "a", "path": "/d/a.nwb"}, {"name": "b", "path": "/d/b.nwb"}]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["r"]),
        ({"recordings": TWO}, ["a", "b"]),
        ({"seeds": [3, 5]}, ["seed3", "seed5"]),
        ({"rules": ["ridge", "e-prop"]}, ["a-ridge", "a-e-prop"]),
        ({"rules": ["rls"]}, ["r"]),
        (
            {"recordings": TWO, "seeds": [1, 2], "rules": ["rls", "ridge"]},
            [f"{name}-seed{seed}-{rule}" for name in "ab" for seed in (1, 2) for rule in ("rls", "ridge")],
        ),
        ({"recordings": TWO, "seeds": [1, 2]}, ["a-seed1", "a-seed2", "b-seed1", "b-seed2"]),
    ],
)
def test_names(changes: dict[str, Any], names: list[str]) -> None:
    fits = list_fits(config(**changes))
    assert [fit.name for fit in fits] == names
    assert all(len(fit.config.recordings) == len(fit.config.seeds) == len(fit.config.all_rules) == 1 for fit in fits)
    if "rules" in changes:
        assert {fit.config.train.rule for fit in fits} == set(changes["rules"])


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be called"):
        list_fits(config(run=name))


def test_find_recording() -> None:
    assert find_recording(config(), None).name == "a"
    assert find_recording(config(recordings=TWO), "b").name == "b"
    with pytest.raises(ConfigError, match="choose one with --recording: a, b"):
        find_recording(config(recordings=TWO), None)
    with pytest.raises(ConfigError, match="no recording 'c'; it holds a, b"):
        find_recording(config(recordings=TWO), "c")


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        ({"recordings": [{"name": "a", "path": "/d/other.nwb"}]}, {"ingest"}),
        ({"ingest": {"units": {"min_rate_hz": 1}}}, {"ingest"}),
        ({"targets": {"bin_size_s": 0.01}}, {"targets"}),
        ({"targets": {"drive": {"sigma": 0.5}}}, {"targets"}),
        ({"network": {"neuron": {"tau_m_ms": 20}}}, {"build"}),
        ({"seeds": [2]}, {"build"}),
        ({"train": {"rule": "rls"}}, {"train"}),
        ({"train": {"checkpoint_every_s": 1}}, set()),
        ({"evaluate": {"trials": 3}}, {"evaluate"}),
        ({"report": {"examples": 3}}, {"report"}),
        ({"run": "other"}, set()),
    ],
)
def test_a_change_touches_the_hash_of_its_stage_only(changes: dict[str, Any], stages: set[str]) -> None:
    def hashes(run: RunConfig) -> dict[str, str]:
        fit = list_fits(run)[0]
        return {**recording_hashes(run, fit.recording), **fit_hashes(fit)}

    before, after = hashes(config()), hashes(config(**changes))
    assert {stage for stage in before if before[stage] != after[stage]} == stages
    assert (fit_hash(list_fits(config())[0]) != fit_hash(list_fits(config(**changes))[0])) == bool(stages - {"report"})


def test_targets_depend_on_the_neuron_only_when_drives_are_asked_for() -> None:
    drive = {"targets": {"drive": {"sigma": 0.5}}}
    before, after = config(**drive), config(**drive, network={"neuron": {"tau_m_ms": 20}})
    assert recording_hashes(before, before.recordings[0])["targets"] != recording_hashes(after, after.recordings[0])["targets"]


def test_hash_of_a_fit_does_not_depend_on_where_the_file_lies() -> None:
    here = list_fits(config())[0]
    there = list_fits(config(recordings=[{"name": "z", "path": "/elsewhere/a.nwb"}]))[0]
    assert fit_hash(here) == fit_hash(there)
