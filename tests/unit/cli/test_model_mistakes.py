"""Mistakes about neuron models and gradient rules, as `fitrec check` and `fitrec run` tell them: one sentence, exit status 2."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fitrec.cli.check import command as check
from fitrec.cli.failures import exit_status
from fitrec.cli.run import command as run
from tests.pipeline.test_gradient_run import MODEL, NETWORK, TRAIN
from tests.pipeline.tiny import write_config


def write(folder: Path, model: str = MODEL, network: dict[str, Any] | None = None, **gradient: Any) -> Path:
    (folder / "my_neuron.yaml").write_text(model)
    train: dict[str, Any] = {**TRAIN, **{k: gradient.pop(k) for k in ("rule",) if k in gradient}}
    train["gradient"] = {**TRAIN["gradient"], **gradient}
    return write_config(folder, network={**NETWORK, **(network or {})}, train=train)


def sentence(config: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run; return the one line of complaint. Nothing has been written."""
    out = config.parent / "out"
    status = exit_status(lambda: run.main([str(config), "--out", str(out)], standalone_mode=False))
    errors = capsys.readouterr().err.splitlines()
    assert status == 2
    assert len(errors) == 1, errors
    assert not out.exists()
    return errors[0]


def findings(config: Path) -> list[dict[str, str]]:
    result = CliRunner().invoke(check, [str(config), "--json"], standalone_mode=False)
    assert result.exception is None, result.output
    found: list[dict[str, str]] = json.loads(result.stdout)
    assert result.return_value == (2 if any(f["level"] == "CRITICAL" for f in found) else 0)
    return found


MISTAKES = {
    "undefined symbol": (
        MODEL.replace("drive + static", "drive + statik"),
        r"line 10, column \d+: undefined symbol 'statik'; did you mean 'static'\?$",
    ),
    "unit mismatch": (MODEL.replace("v_th + beta * a", "v_th + tau_a"), r"line 12, column \d+: .*mV.*ms"),
    "no derivative": (
        MODEL.replace("  a = exp(-dt / tau_a) * a + z", "  a = max(a, 0) + z"),
        r"line 11, column \d+: .*max.*detach",
    ),
    "not YAML": (MODEL.replace("states: {v", "states: {{v"), r"line \d+, column \d+: this is no valid YAML"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_the_text_have_file_line_and_symbol(mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, pattern = MISTAKES[mistake]
    config = write(tmp_path, model)
    text = sentence(config, capsys)
    assert text.startswith(f"Error: Recording rec: {tmp_path / 'my_neuron.yaml'}, line ")
    assert re.search(pattern, text), text
    (finding,) = [f for f in findings(config) if f["level"] == "CRITICAL"]
    assert finding["check"] == "neuron_model"
    assert re.search(pattern, finding["message"])


def test_a_model_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path)
    (tmp_path / "my_neuron.yaml").unlink()
    assert f"the model file {tmp_path / 'my_neuron.yaml'} cannot be read" in sentence(config, capsys)


def test_ports_and_parameters_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, network={"model": {**NETWORK["model"], "port_plastic": "slow"}})
    assert "there is no port 'slow'; there are static, plastic" in sentence(config, capsys)
    config = write(tmp_path, network={"model": {**NETWORK["model"], "parameters": {"tau_n": 3.0}}})
    assert "no parameter 'tau_n'; did you mean" in sentence(config, capsys)


def test_an_unstable_step_is_told(tmp_path: Path) -> None:
    model = MODEL.replace("v = exp(-dt / tau_m) * v", "v = (1 - dt / tau_m) * v").replace("tau_m: 10 ms", "tau_m: 0.2 ms")
    (finding,) = [f for f in findings(write(tmp_path, model)) if f["check"] == "stable_step"]
    assert finding["level"] == "BEST_PRACTICE_VIOLATION"
    assert "largest |eigenvalue| of D at the initial state, dt = 0.5 ms: 1.5; above 1 the step is unstable" in finding["message"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("static + plastic)", "static + detach(plastic))"),
        ("drive + static + plastic)\n", "drive + static)\n  b = 0.9 * b + plastic / v_th\n"),  # b is not in the threshold
    ],
)
def test_a_plastic_projection_without_a_path_to_the_loss(
    old: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = MODEL.replace(old, new).replace("a: 0}", "a: 0, b: 0}" if "b =" in new else "a: 0}")
    text = sentence(write(tmp_path, model), capsys)
    assert "the weights of the plastic projection 'exc' cannot be learned: they end at the port 'plastic'" in text
    assert "static would do" in text
    # Frozen they may be.
    config = write(tmp_path, model, frozen=["exc", "inh", "feed_forward"])
    assert [f["check"] for f in findings(config) if f["level"] == "CRITICAL"] == []


def test_least_squares_and_procedural_wiring_do_not_go_with_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "train.rule is ridge, which learns the drive" in sentence(write(tmp_path, rule="ridge"), capsys)
    procedural = {"balanced": {**NETWORK["balanced"], "connectivity": "procedural"}}
    assert "procedural, which network.model cannot use; set it to stored" in sentence(write(tmp_path, network=procedural), capsys)
    procedural["model"] = None  # type: ignore[assignment]
    text = sentence(write(tmp_path, network=procedural), capsys)
    assert "procedural, which train.rule: local-adjoint cannot use" in text


def test_checks_of_the_balanced_state_leave_other_neurons_alone(tmp_path: Path) -> None:
    silent = {"balanced": {**NETWORK["balanced"], "drive_exc": 0.0, "drive_inh": 0.0}}
    checks = {f["check"] for f in findings(write(tmp_path, network=silent))}
    assert not checks & {"something_drives", "balanced_state", "window_against_time_constants"}


def test_parameters_that_cannot_be_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = sentence(write(tmp_path, trainable={"t_ref": {}}), capsys)
    assert "names 't_ref', by which the step of the model 'my_neuron' has no derivative; it has by tau_m, " in text
    text = sentence(write(tmp_path, rule="pp-prop", trainable={"tau_m": {}}), capsys)
    assert "names tau_m, but pp-prop has no gradient for them; use local-adjoint or e-prop or bptt" in text
    text = sentence(write(tmp_path, network={"model": None}, trainable={"sigma": {}}), capsys)
    assert "names 'sigma', by which the step of the model 'lif' has no derivative" in text


def test_a_window_longer_than_memory_allows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = sentence(write(tmp_path, window_ms=900.0, memory_gb=0.001), capsys)
    assert re.search(
        r"train.gradient.window_ms is 900, but 0.001 GB \(memory_gb\) hold the steps of at most \d+ ms; shorten", text
    )
