"""``fitrec model``: what it shows, and what it finds wrong."""

from pathlib import Path

import pytest

from fitrec.cli.failures import exit_status
from fitrec.cli.model import command
from fitrec.neurons.load import library_model, library_names, preset_names


def model(*arguments: str) -> int:
    return exit_status(lambda: command.main(list(arguments), prog_name="fitrec model", standalone_mode=False))


@pytest.mark.parametrize("name", library_names())
def test_every_model_can_be_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert model("show", name) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("states", "D: new states", "df/dI", "constants", "def step(", "def adjoint("))
    assert "__" not in text.split("numba code")[0]  # no name of the compiler's
    for preset in preset_names(library_model(name).source):
        assert f"\n  {preset}\n" in text.split("presets (--preset)")[1].split("states")[0]
        assert model("show", name, "--preset", preset, "--code", "none") == 0
        assert capsys.readouterr().out.split("parameters")[1] != text.split("parameters")[1]


def test_cuda_code_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert model("show", "coba", "--code", "cuda") == 0
    text = capsys.readouterr().out.split("CUDA code")[1]
    assert all(word in text for word in ("bool step(", "void adjoint(", "void trace1(", "float exponential("))


def test_what_is_shown_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert model("show", "lif_psc_delta_adapt", "--code", "none", "--dt-ms", "2") == 0
    text = capsys.readouterr().out
    for line in (
        "  tau_a    200  ms",
        "  I  mV  align_post",
        "  v' = exp(-dt / tau_m) * v + (1 - exp(-dt / tau_m)) * drive + I",
        "  v'' = v where refractory, else v'",
        "  u = v'' - (v_th + beta * a')",
        "  v = v_reset, where z = 1",
        "  da/dz_last = 1",
        "  dz/dv = psi * exp(-dt / tau_m)",
        "  dz/dI = psi",
        "0.904837418",
    ):
        assert line in text
    assert "def step" not in text


def test_check_passes_a_good_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert model("check", "alif") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("ok ") for line in lines)


UNSTABLE = """\
name: unstable
parameters: {tau: 0.4 ms, v_th: 1 mV}
states: {v: 0.1 mV}
ports: {I: mV}
update: v = v - dt / tau * v + I
threshold: v >= v_th
surrogate: {height: 0.3, width: 1 mV}
"""


def test_an_unstable_step_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "unstable.yaml"
    file.write_text(UNSTABLE)
    assert model("check", str(file)) == 2
    assert "WRONG  largest |eigenvalue| of D at the initial state, dt = 1 ms: 1.5; above 1" in capsys.readouterr().out
    assert model("check", str(file), "--dt-ms", "0.1") == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("+ I", "+ J", "line 5, column 32: undefined symbol 'J'"),
        ("+ I", "+ dt / tau * I / tau", "line 5, column 13: both sides of '+'"),
        ("+ I", "+ abs(I)", "line 5, column 32: abs of I"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(UNSTABLE.replace(old, new))
    for command_name in ("show", "check"):
        assert model(command_name, str(file)) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert f"{file}, {said}" in printed.err


def test_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert model("show", "lif_psc_ex") == 2
    assert "did you mean 'lif_psc_exp'" in capsys.readouterr().err
    assert model("show", str(tmp_path / "none.yaml")) == 2
    assert "there is no model file" in capsys.readouterr().err
    assert model("show", "lif_psc_exp", "--preset", "shi") == 2
    assert "did you mean 'shiu'" in capsys.readouterr().err
