"""The benchmark of the learning step."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fitrec.bench.rls import run
from fitrec.cli.bench import command
from fitrec.errors import ConfigError

SMALL: dict[str, Any] = {
    "neurons": 40,
    "inputs": 30,
    "rate_hz": 8.0,
    "updates": 60,
    "every_ms": 10.0,
    "rank": None,
    "storage": "full",
    "threads": 1,
}


def test_figures_of_the_command(tmp_path: Path) -> None:
    path = tmp_path / "rls.json"
    arguments = ["rls", "--neurons", "40", "--inputs", "30", "--rate-hz", "5", "--updates", "20", "--rank", "4", "--threads", "1"]
    result = CliRunner().invoke(command, [*arguments, "--json", str(path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures = json.loads(path.read_text())
    assert (figures["benchmark"], figures["device"], figures["threads"]) == ("rls", "cpu", 1)
    assert (figures["neurons"], figures["inputs"], figures["rank"]) == (40, 30, 4)
    forms = ("two_pass", "one_pass", "event_driven")
    assert all(figures[f"{form}_ms"] > 0 and figures["percent_of_bandwidth"][form] > 0 for form in forms)
    moved = [figures["gigabytes_moved"][form] for form in forms]
    assert moved == sorted(moved, reverse=True)
    assert set(figures["relative_error_float64"]) == {"one_pass", "event_driven"}


@pytest.mark.parametrize(
    ("storage", "flush", "bound"),
    [("full", "whole", 3e-6), ("full", "half", 3e-6), ("packed", "whole", 3e-6), ("int16", "whole", 3e-3)],
)
def test_the_forms_that_are_timed_learn_the_same(storage: str, flush: str, bound: float) -> None:
    figures = run(**{**SMALL, "storage": storage, "flush": flush})
    assert (figures["storage"], figures["flush"]) == (storage, flush)
    assert 0 < figures["relative_difference"] < bound
    assert 0 < figures["relative_error_float64"]["one_pass"] < 3e-6
    assert 0 < figures["relative_error_float64"]["event_driven"] < bound


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"flush": "half", "storage": "packed"}, r"--flush is half, but --storage is packed; .*: give --flush auto"),
        ({"rank": 61}, r"--updates is 60, but P is only updated after 61; give at least 61"),
        ({"neurons": 10**9}, r"1000000000 neurons of 30 inputs need .* GB of memory, but only .* fewer --neurons or --inputs"),
    ],
)
def test_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        run(**{**SMALL, **changes})


@pytest.mark.parametrize("benchmark", ["simulate", "loop", "ridge", "rls"])
def test_without_a_gpu_the_sentence_says_what_was_looked_for(benchmark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fitrec.cli.device._driver", lambda: "absent")
    result = CliRunner().invoke(command, [benchmark, "--device", "cuda"])
    assert isinstance(result.exception, ConfigError)
    assert "--device cuda: looked for an NVIDIA driver (libcuda.so.1: absent) and for CuPy" in str(result.exception)
