from dataclasses import replace

import numpy as np
import pytest

from fitrec.neurons import verify as module
from fitrec.neurons.derive import derive
from fitrec.neurons.evaluate import evaluate
from fitrec.neurons.expression import Name, Place
from fitrec.neurons.load import library_model, library_names, parse_model, preset_names, with_surrogate
from fitrec.neurons.model import SURROGATES, Model
from fitrec.neurons.observation import observe_calcium
from fitrec.neurons.stand_in import antiderivative
from fitrec.neurons.surrogate import surrogate_expression
from fitrec.neurons.verify import differentiable_parameters, largest_eigenvalue, verify

LIBRARY = [(name, preset) for name in library_names() for preset in (None, *preset_names(library_model(name).source))]


@pytest.mark.parametrize(("name", "preset"), LIBRARY)
def test_derivatives_of_the_library_are_right(name: str, preset: str | None) -> None:
    findings = verify(observe_calcium(library_model(name, preset), 200.0, 30.0), dt_ms=0.5)
    assert [f.text for f in findings if not f.ok] == []
    assert len(findings) == 4


@pytest.mark.parametrize("kind", SURROGATES)
def test_every_surrogate_is_the_derivative_of_its_antiderivative(kind: str) -> None:
    assert all(f.ok for f in verify(with_surrogate(library_model("alif"), kind), dt_ms=1.0))
    u = np.array([-3.0, -1.2, -0.4, 0.3, 0.9, 2.5])
    surrogate = replace(library_model("gif").surrogate, kind=kind)
    psi = evaluate(surrogate_expression(surrogate, Name("u", Place(0, 0))), {"u": u})
    difference = (antiderivative(kind, u + 1e-6, 0.3, 1.0) - antiderivative(kind, u - 1e-6, 0.3, 1.0)) / 2e-6
    np.testing.assert_allclose(difference, psi, atol=1e-9)


# What is changed in the text before it is differentiated, and in which finding that must show.
WRONG = {
    "decay": ("exp(-dt / tau_m) * v +", "exp(-dt / (2 * tau_m)) * v +", "states"),
    "input": ("+ I", "+ 2 * I", "ports"),
    "threshold": ("v_th + beta * a", "v_th - beta * a", "states"),
    "surrogate": ("width: v_th - v_reset", "width: 2 * (v_th - v_reset)", "states"),
    "reset": ("v = v_reset", "v = v - v_reset", "states"),
    "hold": ("hold: [v]", "hold: [a]", "states"),
    "parameter": ("v = v_reset", "v = 2 * v_reset", "parameters"),
    "detached": ("* a + z", "* a + detach(z)", "states"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_derivative_is_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, where = WRONG[mistake]
    model = library_model("lif_psc_delta_adapt")
    wrong = parse_model(model.source.replace(old, new), "wrong")
    assert wrong != model

    def derive_wrongly(given: Model, trainable: tuple[str, ...] = ()) -> object:
        return derive(replace(given, **{k: getattr(wrong, k) for k in ("update", "threshold", "reset", "refractory")}), trainable)

    real = module.surrogate_expression
    monkeypatch.setattr(module, "derive", derive_wrongly)
    monkeypatch.setattr(module, "surrogate_expression", lambda _, u: real(wrong.surrogate, u))
    assert any(not f.ok and f"by {where}" in f.text for f in verify(model, dt_ms=1.0))


UNSTABLE = """\
name: unstable
parameters: {tau: 0.4 ms, v_th: 1 mV}
states: {v: 0.1 mV}
ports: {I: mV}
update: v = v - dt / tau * v + I
threshold: v >= v_th
surrogate: {height: 0.3, width: 1 mV}
"""


def test_an_unstable_step_is_reported() -> None:
    model = parse_model(UNSTABLE, "unstable")
    assert largest_eigenvalue(model, 1.0) == pytest.approx(1.5)
    assert [f.ok for f in verify(model, 1.0)] == [True, True, True, False]
    assert "unstable" in verify(model, 1.0)[-1].text
    assert all(f.ok for f in verify(model, 0.1))


def test_parameters_that_a_gradient_can_reach() -> None:
    assert differentiable_parameters(library_model("lif")) == ("tau_m", "tau_static", "tau_plastic", "v_th", "v_reset")


def test_a_port_without_gradient_is_named() -> None:
    text = library_model("lif").source.replace("+ static *", "+ detach(static) *")
    findings = verify(parse_model(text, "mine"), 0.1)
    assert all(f.ok for f in findings)
    assert "all are 0 by static: synapses that end there cannot be trained" in findings[1].text
