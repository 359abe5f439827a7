"""The loader: `extends`, paths, and one sentence for every mistake."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fitrec.config.load import load
from fitrec.errors import ConfigError, MissingFileError

MINIMAL = {"run": "r", "recordings": [{"name": "a", "path": "a.nwb"}]}


def write(folder: Path, content: Any, name: str = "c.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def message(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert path.name in text
    return text


def test_minimal_config_and_absolute_path(tmp_path: Path) -> None:
    config = load(write(tmp_path, MINIMAL))
    assert config.recordings[0].path == str(tmp_path / "a.nwb")
    assert config.train.rule == "ridge"


def test_paths_of_a_data_set_stay_relative(tmp_path: Path) -> None:
    raw = {**MINIMAL, "recordings": [{"name": "a", "dataset": "d", "path": {"left": "l.jld", "right": "r.jld"}}]}
    assert load(write(tmp_path, raw)).recordings[0].path == {"left": "l.jld", "right": "r.jld"}


def test_extends_merges_deeply_and_anchors_paths_at_their_own_file(tmp_path: Path) -> None:
    write(tmp_path, {**MINIMAL, "train": {"rule": "rls", "rls": {"loops": 7, "penalty": 0.1}}}, "base/base.yaml")
    path = write(tmp_path, {"extends": "base/base.yaml", "run": "over", "train": {"rls": {"loops": 9}}})
    config = load(path)
    assert (config.run, config.train.rule, config.train.rls.loops, config.train.rls.penalty) == ("over", "rls", 9, 0.1)
    assert config.recordings[0].path == str(tmp_path / "base" / "a.nwb")


def test_extends_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, {"extends": "c.yaml"}, "b.yaml")
    assert "circle" in message(write(tmp_path, {"extends": "b.yaml"}))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"trian": {}}, "unknown key 'trian'; did you mean 'train'"),
        ({"train": {"rigde": {}}}, "unknown key 'train.rigde'; did you mean 'train.ridge'"),
        ({"train": {"n_exc": 3}}, "unknown key 'train.n_exc'; it belongs at 'network.balanced.n_exc'"),
        ({"report": {"colour": 3}}, "unknown key 'report.colour'; the keys there are examples, title"),
        ({"recordings": [{"name": "a", "pth": "x"}]}, "unknown key 'recordings[0].pth'; did you mean 'recordings[0].path'"),
        (
            {"targets": {"drive": {"sigma": 1, "methode": 1}}},
            "unknown key 'targets.drive.methode'; did you mean 'targets.drive.method'",
        ),
        ({"recordings": [{"name": "a"}]}, "the key 'recordings[0].path' is missing"),
        ({"recordings": [{"name": "a", "path": 3}]}, "recordings[0].path is 3, but must be text or a mapping of keys"),
        ({"recordings": []}, "recordings is [], but must be a list of at least 1"),
        ({"recordings": [{"name": "a b", "path": "x"}]}, "recordings[0].name is 'a b', but must be a name of letters"),
        ({"train": {"rule": "rigde"}}, "or 'bptt'; did you mean 'ridge'"),
        ({"train": {"ridge": {"trials": 0}}}, "train.ridge.trials is 0, but must be at least 2"),
        ({"train": {"ridge": {"trials": 1.5}}}, "train.ridge.trials is 1.5, but must be a whole number"),
        ({"train": {"ridge": {"penalty": 0}}}, "train.ridge.penalty is 0, but must be greater than 0"),
        ({"train": {"ridge": {"penalty": "x"}}}, "train.ridge.penalty is 'x', but must be a number"),
        ({"train": {"ridge": {"penalty": float("inf")}}}, "train.ridge.penalty is inf, but must be a finite number"),
        ({"train": None}, "train is empty, but must be a mapping of keys"),
        ({"targets": {"split": {"test_fraction": 1}}}, "targets.split.test_fraction is 1, but must be less than 1"),
        ({"targets": {"window_s": [1, 0]}}, "targets: window_s must rise, got [1.0, 0.0]"),
        ({"targets": {"window_s": 3}}, "targets.window_s is 3, but must be a list"),
        (
            {"train": {"rls": {"flush": "half", "p_storage": "packed"}}},
            "train.rls: flush is half, but p_storage is packed; only a full P has two equal halves: set flush: auto",
        ),
        ({"seeds": [1, 1]}, "seeds: seeds must be different"),
        ({"network": {"dt_ms": "fast", "settle_ms": -1}}, "(and 1 more mistake)"),
    ],
)
def test_every_mistake_is_one_sentence(tmp_path: Path, change: dict[str, Any], wanted: str) -> None:
    assert wanted in message(write(tmp_path, {**MINIMAL, **change}))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("run: r\nrecordings: [a", "line 2"),
        ("run: r\nrun: s\n", "line 2, column 1: key 'run' is given twice"),
        ("- a\n", "holds a list"),
        ("", "holds nothing"),
        ("just words", "holds the single value 'just words'"),
        ("a: !!python/object:os.system {}", "line 1"),
    ],
)
def test_yaml_mistakes_name_the_line(tmp_path: Path, text: str, wanted: str) -> None:
    assert wanted in message(write(tmp_path, text))


def test_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\x89HDF\r\n\x1a\n\xff\xfe")
    assert "not a text file" in message(path)
