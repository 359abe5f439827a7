import re
from pathlib import Path

import pytest

from fitrec.errors import MissingFileError, ModelError
from fitrec.neurons.blocks import make_blocks
from fitrec.neurons.load import (
    library_model,
    library_names,
    load_model,
    parse_model,
    preset_names,
    with_parameters,
    with_surrogate,
)

MODEL = """\
name: mine
parameters:
  tau_m: 20 ms
  tau_s: 5 ms
  tau_c: 0.4 s
  t_ref: 2 ms
  v_th: 1 mV
  sigma: 0.1 mV
states:
  v: 0 mV
  c: 0
ports:
  I: mV
  slow: {unit: mV, tau: tau_s}
currents:
  drive: mV
noise: {state: v, amplitude: sigma * sqrt(dt / tau_m)}
update: |
  # a comment
  v = exp(-dt / tau_m) * v + I + slow
  v = v + drive
threshold: v >= v_th
observe: |
  c = exp(-dt / tau_c) * c + z
reset: |
  v = v - v_th
refractory: {steps: t_ref / dt, hold: [v]}
surrogate: {kind: piecewise_linear, height: 0.3, width: 1 mV}
presets:
  slower: {tau_m: 40 ms}
"""


def test_a_model_is_read() -> None:
    model = parse_model(MODEL, "mine.yaml")
    assert [s.name for s in model.states] == ["v", "c"]
    assert {p.name: (p.unit, p.tau) for p in model.ports} == {"I": ("mV", ""), "slow": ("mV", "tau_s")}
    assert {p.name: p.value for p in model.parameters}["tau_c"] == 400
    assert [s.target for s in model.update] == ["v", "v"]
    assert not model.strict
    assert model.refractory is not None
    assert model.refractory.hold == ("v",)
    assert (model.update[0].place.line, model.update[0].place.column) == (20, 3)
    assert model.update[0].expression.place.line == 20


@pytest.mark.parametrize("name", library_names())
def test_the_library_is_sound(name: str) -> None:
    model = library_model(name)
    assert model.name == name
    assert model.description
    for preset in preset_names(model.source):
        assert library_model(name, preset) != model


def test_the_library_is_complete() -> None:
    wanted = {"lif", "lif_psc_exp", "lif_psc_delta", "lif_psc_delta_adapt", "alif", "gif", "coba"}
    eprop = {
        f"eprop_iaf{kind}" for kind in ("", "_adapt", "_psc_delta", "_psc_delta_adapt", "_bsshslm_2020", "_adapt_bsshslm_2020")
    }
    assert wanted | eprop <= set(library_names())
    assert {"shiu", "fly"} <= set(preset_names(library_model("lif_psc_exp").source))


def test_presets_change_values_and_sections() -> None:
    fly, plain = library_model("lif_psc_exp", "fly"), library_model("lif_psc_exp")
    assert {p.name: p.value for p in fly.parameters}["v_th"] == 1
    assert fly.update != plain.update
    assert fly.refractory is not None
    assert fly.refractory.hold == ("v", "g")


# What is changed in MODEL, where the mistake is then found (line, column), and what is said about it.
MISTAKES = {
    "undefined": ("+ I + slow", "+ I + slov", 20, 34, ("undefined symbol 'slov'", "'slow'")),
    "undefined_in_threshold": ("v >= v_th", "v >= v_thr", 22, 17, ("'v_thr'", "'v_th'")),
    "unit_mismatch": ("+ I + slow", "+ I + slow / dt", 20, 7, ("'+'", "mV", "mV/ms", "in ms")),
    "assigned_unit": ("v = v + drive", "v = (v + drive) * tau_m", 21, 7, ("assigned to 'v'", "mV*ms")),
    "exp_argument": ("exp(-dt / tau_m) * v", "exp(-dt) * v", 20, 11, ("argument of exp", "ms")),
    "threshold_units": ("v >= v_th", "v >= tau_m", 22, 12, ("mV", "ms")),
    "kink": ("v = v + drive", "v = max(v, 0) + drive", 21, 7, ("max of v", "detach")),
    "kink_of_a_local": ("v = v + drive", "w = v + drive\n  v = abs(w)", 22, 7, ("abs of w",)),
    "exponent": ("v = v + drive", "v = v_th * (v / v_th) ** (v / v_th) + drive", 21, 14, ("exponent must be a number",)),
    "assigned_parameter": ("v = v + drive", "v_th = v + drive", 21, 3, ("'v_th' is a parameter",)),
    "assigned_port": ("v = v + drive", "I = v + drive", 21, 3, ("'I' is a port",)),
    "assigned_dt": ("v = v + drive", "dt = v + drive", 21, 3, ("'dt' is reserved",)),
    "twice": ("  c: 0\n", "  c: 0\n  tau_m: 0 ms\n", 12, 3, ("'tau_m' is taken", "line 3")),
    "key_twice": ("  c: 0\n", "  c: 0\n  v: 0 mV\n", 12, 3, ("'v' stands twice",)),
    "reserved": ("  c: 0\n", "  c: 0\n  exp: 0\n", 12, 3, ("'exp' cannot be a name",)),
    "keyword": ("  c: 0\n", "  c: 0\n  lambda: 0\n", 12, 3, ("'lambda' cannot be a name",)),
    "unknown_key": ("threshold:", "treshold:", 22, 1, ("'treshold'", "'threshold'")),
    "unknown_function": ("exp(-dt / tau_m) * v", "tanh(v) * v", 20, 7, ("'tanh'", "exp")),
    "not_yaml": ("update: |", "update: [", 22, 10, ("YAML",)),
    "folded": ("update: |", "update: >", 18, 9, ("'|'",)),
    "unused_port": (" + slow", "", 14, 3, ("port 'slow'", "never used")),
    "unused_current": (" + drive", "", 16, 3, ("current 'drive'", "never used")),
    "unused_parameter": ("  v_th: 1 mV", "  v_th: 1 mV\n  tau_x: 1 ms", 8, 3, ("parameter 'tau_x'", "never used")),
    "unused_local": ("v = v + drive", "V = v + drive", 21, 3, ("'V'", "no state")),
    "constant_state": ("  c: 0\n", "  c: 0\n  d: 0\n", 12, 3, ("state 'd' is never assigned",)),
    "spike_in_threshold": ("v >= v_th", "v >= v_th * z", 22, 24, ("decides on z",)),
    "no_comparison": ("v >= v_th", "v - v_th", 22, 12, ("'v >= v_th'",)),
    "constant_threshold": ("v >= v_th", "v_th >= 0", 22, 12, ("no state",)),
    "hold": ("hold: [v]", "hold: [u]", 27, 21, ("hold", "'u'", "no state")),
    "hold_no_list": ("hold: [v]", "hold: v", 27, 39, ("hold", "list")),
    "steps_unit": ("steps: t_ref / dt", "steps: t_ref", 27, 21, ("refractory steps", "ms")),
    "steps_vary": ("steps: t_ref / dt", "steps: v / v_th", 27, 21, ("refractory steps", "'v'")),
    "tau_no_time": ("tau: tau_s", "tau: v_th", 14, 3, ("'slow'", "time", "mV")),
    "tau_unknown": ("tau: tau_s", "tau: tau_x", 14, 3, ("'tau_x'", "'tau_s'")),
    "tau_zero": ("tau_s: 5 ms", "tau_s: 0 ms", 14, 3, ("above 0", "tau_s")),
    "tau_m_zero": ("tau_m: 20 ms", "tau_m: 0 ms", 17, 43, ("dt / tau_m", "tau_m = 0")),
    "quantity": ("tau_m: 20 ms", "tau_m: 20 mx", 3, 13, ("'mx'",)),
    "height_unit": ("height: 0.3", "height: 0.3 ms", 28, 45, ("height", "1/mV", "ms")),
    "width_unit": ("width: 1 mV", "width: tau_m", 28, 57, ("width", "mV", "ms")),
    "width_zero": ("width: 1 mV", "width: 0 mV", 28, 57, ("width", "above 0")),
    "surrogate": ("piecewise_linear", "pieciewise_linear", 28, 19, ("'piecewise_linear'",)),
    "noise_unit": ("sigma * sqrt(dt / tau_m)", "sigma * sqrt(dt)", 17, 30, ("noise", "mV")),
    "noise_state": ("noise: {state: v", "noise: {state: w", 17, 30, ("noise", "'w'")),
    "preset": ("slower: {tau_m", "slower: {tau_n", 30, 12, ("'tau_n'", "'tau_m'")),
    "preset_unit": ("{tau_m: 40 ms}", "{tau_m: 40 mV}", 30, 19, ("tau_m", "mV")),
    "statement": ("v = v + drive", "v += drive", 21, 3, ("'name = expression'",)),
    "syntax": ("v = v + drive", "v = v + * drive", 21, 11, ("cannot be read",)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place(mistake: str) -> None:
    old, new, line, column, said = MISTAKES[mistake]
    assert old in MODEL
    with pytest.raises(ModelError) as caught:
        parse_model(MODEL.replace(old, new, 1), "mine.yaml", preset="slower" if "preset" in mistake else None)
    assert str(caught.value).startswith(f"mine.yaml, line {line}, column {column}: ")
    assert all(part in caught.value.message for part in said), caught.value.message


@pytest.mark.parametrize("key", ["name", "states", "ports", "update", "threshold", "surrogate"])
def test_a_missing_key_is_named(key: str) -> None:
    lines = MODEL.splitlines(keepends=True)
    first = next(i for i, text in enumerate(lines) if text.startswith(f"{key}:"))
    last = next(i for i, text in enumerate(lines) if i > first and not text.startswith(" "))
    with pytest.raises(ModelError, match=f"'{key}' is missing"):
        parse_model("".join(lines[:first] + lines[last:]), "mine.yaml")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text", "name: &a {b: *a}\n", "name: \x07\n", "a: b: c\n"])
def test_what_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        parse_model(text, "mine.yaml")


def test_a_function_with_a_kink_may_stand_in_detach_and_among_parameters() -> None:
    text = MODEL.replace("v = v + drive", "v = v + detach(max(v, 0) - v) + drive * max(1, tau_m / tau_s)")
    assert len(parse_model(text, "mine.yaml").update) == 2


def test_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nothing\.yaml"):
        load_model(tmp_path / "nothing.yaml")
    (tmp_path / "m.yaml").write_text(MODEL)
    assert load_model(tmp_path / "m.yaml", "slower").parameters[0].value == 40
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="UTF-8"):
        load_model(tmp_path / "binary.yaml")


def test_library_names_are_suggested() -> None:
    with pytest.raises(ModelError, match="'lif_psc_exp'"):
        library_model("lif_psc_ex")
    with pytest.raises(ModelError, match="'shiu'"):
        library_model("lif_psc_exp", "shi")


def test_parameters_may_be_given_with_units_or_in_base_units() -> None:
    model = with_parameters(library_model("lif"), {"tau_m": "0.02 s", "v_th": 2})
    values = {p.name: p.value for p in model.parameters}
    assert (values["tau_m"], values["v_th"]) == (20, 2)
    for wrong in ({"tau_m": "20 mV"}, {"tau_n": 3}, {"tau_m": 0}, {"v_th": float("nan")}):
        with pytest.raises(ModelError):
            with_parameters(model, wrong)


def test_another_surrogate() -> None:
    assert with_surrogate(library_model("lif"), "arctan").surrogate.kind == "arctan"
    with pytest.raises(ModelError, match="arctan"):
        with_surrogate(library_model("lif"), "arctn")


def test_names_that_the_compiler_uses_itself_are_free() -> None:
    renamed = MODEL
    for old, new in {"v": "wait", "c": "last", "I": "spiking", "slow": "blocked", "drive": "psi", "tau_m": "width"}.items():
        renamed = re.sub(rf"\b{old}\b", new, renamed)
    ours, plain = (make_blocks(parse_model(text, "mine")) for text in (renamed, MODEL))
    assert (ours.step, ours.recorded_step, ours.adjoint) == (plain.step, plain.recorded_step, plain.adjoint)
