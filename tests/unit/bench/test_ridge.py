"""The benchmark of the regressions."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fitrec.bench.ridge import run
from fitrec.cli.bench import command
from fitrec.errors import ConfigError

SMALL: dict[str, Any] = {
    "neurons": 120,
    "inputs": 12,
    "samples": 500,
    "solved": None,
    "rate_hz": 5.0,
    "gram": "gathered",
    "trace_bits": 16,
    "memory_gb": 1.0,
    "threads": 1,
}


def test_figures_of_the_command(tmp_path: Path) -> None:
    path = tmp_path / "ridge.json"
    arguments = ["ridge", "--neurons", "120", "--inputs", "12", "--samples", "500", "--solved", "30", "--gram", "gathered"]
    result = CliRunner().invoke(command, [*arguments, "--json", str(path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures = json.loads(path.read_text())
    assert figures["benchmark"] == "ridge"
    assert (figures["neurons"], figures["inputs"], figures["solved"]) == (120, 12, 30)
    assert figures["samples"] == 600  # whole trials of 150
    assert figures["cpu_seconds_all"] == pytest.approx(4 * figures["cpu_seconds"])
    assert 0 < figures["percent_of_peak"] < 100
    assert figures["statistics_gb"] == pytest.approx(120 * 4 * 304e-9, rel=0.01)


@pytest.mark.parametrize(("gram", "bits", "error"), [("shared", 16, 1e-5), ("gathered", 32, 1e-5), ("gathered", 16, 3e-5)])
def test_the_weights_that_are_timed_are_right(gram: str, bits: int, error: float) -> None:
    figures = run(**{**SMALL, "gram": gram, "trace_bits": bits})
    assert figures["gram"] == gram
    assert 0 < figures["relative_error_float64"] < error


def test_more_inputs_than_there_are_neurons() -> None:
    with pytest.raises(ConfigError, match=r"--inputs is 120, but must be from 2 to 4 less than --neurons \(120\)"):
        run(**{**SMALL, "inputs": 120})
