"""One option per key of a section, laid over the configuration."""

from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from fitrec.cli import keys
from fitrec.config.ingest import IngestConfig
from fitrec.config.run import RunConfig
from fitrec.config.targets import TargetsConfig
from fitrec.config.train import TrainConfig
from fitrec.errors import ConfigError


def parse(model: type[Any], base: Any, *arguments: str) -> Any:
    @click.command()
    @keys.section(model)
    def command(**given: Any) -> None:
        found.append(keys.read_section(model, base, given))

    found: list[Any] = []
    result = CliRunner().invoke(command, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return found[0]


def test_no_option_leaves_the_defaults() -> None:
    assert parse(TargetsConfig, None) == TargetsConfig()


def test_every_kind_of_value() -> None:
    config = parse(
        TargetsConfig, None, "--window-s", "-0.5", "1", "--bin-size-s", "0.02", "--align-to", "go",
        "--smoothing-kernel", "boxcar", "--conditions", "[{name: left, where: [choice == -1]}]",
        "--already-smoothed", "--drive-sigma", "0.5",
    )  # fmt: skip
    assert config.window_s == (-0.5, 1.0)
    assert config.align_to == "go"
    assert config.smoothing.kernel == "boxcar"
    assert config.conditions[0].where == ["choice == -1"]
    assert config.already_smoothed
    assert config.drive.sigma == 0.5


def test_repeated_options_and_mappings() -> None:
    assert parse(TargetsConfig, None, "--condition-by", "a", "--condition-by", "b").condition_by == ["a", "b"]
    config = parse(IngestConfig, None, "--units-columns", "{quality: [good]}", "--units-areas", "ALM", "--arrays-axes", "unit")
    assert config.units.columns == {"quality": ["good"]}
    assert config.units.areas == ["ALM"]
    assert config.arrays.axes == ["unit"]


def test_options_win_over_the_configuration_key_by_key() -> None:
    base = TrainConfig.model_validate({"rule": "rls", "rls": {"loops": 7, "penalty": 0.3}})
    config = parse(TrainConfig, base, "--rls-loops", "9")
    assert (config.rule, config.rls.loops, config.rls.penalty) == ("rls", 9, 0.3)


def test_values_out_of_range_are_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"options: split.test_fraction is 1.5, but must be less than 1"):
        parse(TargetsConfig, None, "--split-test-fraction", "1.5")


def test_choose_fit() -> None:
    raw = yaml.safe_load("{run: r, recordings: [{name: a, path: /a}], seeds: [1, 2]}")
    run = RunConfig.model_validate(raw)
    chosen = keys.choose_fit(run, "seed2")
    assert chosen is not None
    assert chosen.seed == 2
    with pytest.raises(ConfigError, match="choose one with --fit: seed1, seed2"):
        keys.choose_fit(run, None)
    with pytest.raises(ConfigError, match="no fit 'x'; it holds seed1, seed2"):
        keys.choose_fit(run, "x")
    with pytest.raises(ConfigError, match="give --config"):
        keys.choose_fit(None, "x")
    assert keys.choose_fit(None, None) is None


def test_load_config_is_optional(tmp_path: Path) -> None:
    assert keys.load_config(None) is None
