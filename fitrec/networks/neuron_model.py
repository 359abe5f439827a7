"""What a network keeps of a neuron model given by equations."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fitrec.errors import ModelError
from fitrec.neurons.evaluate import evaluate
from fitrec.neurons.expression import names
from fitrec.neurons.load import LIBRARY, library_model, parse_model, with_parameters
from fitrec.neurons.model import DT, Model
from fitrec.neurons.source import suggestion

KINDS = ("static_exc", "static_inh", "plastic_exc", "plastic_inh")


def describe_model(
    *,
    name: str | None,
    text: str | None,
    preset: str | None,
    parameters: dict[str, Any],
    port_exc: str | None,
    port_inh: str | None,
    port_static: str | None,
    port_plastic: str | None,
    drive: str | None,
    scattered: str | None,
    scatter: float | None,
    dt_ms: float,
    source: str,
) -> dict[str, Any]:
    """Return ``Network.model``: the model's text and how a network's projections enter it, everything chosen.

    `source` names the model in messages.

    Raises
    ------
    ModelError
        If there is no such model, port, current, state or parameter, or it is not clear which port is meant.

    """
    if name is not None:
        library_model(name)  # says so if there is none
        text = (LIBRARY / f"{name}.yaml").read_text(encoding="utf-8")
    assert text is not None
    given = {"text": text, "preset": preset or "", "parameters": dict(parameters)}
    model = described_model(given, source)
    ports = {
        f"{kind}_{population}": _port(model, together, kind, own, population)
        for kind, together in (("static", port_static), ("plastic", port_plastic))
        for population, own in (("exc", port_exc), ("inh", port_inh))
    }
    currents = [c.name for c in model.currents]
    if drive is not None and drive not in currents:
        raise ModelError(f"there is no current {drive!r}{suggestion(drive, currents)}", source=model.name)
    state, states = scattered or _first_state(model), [s.name for s in model.states]
    if state not in states:
        raise ModelError(f"there is no state {state!r} to begin at random{suggestion(state, states)}", source=model.name)
    return {
        **given,
        "ports": ports,
        "drive": drive or (currents[0] if currents else ""),
        "scattered": state,
        "scatter": _distance(model, dt_ms) if scatter is None else scatter,
    }


def described_model(description: Mapping[str, Any], source: str) -> Model:
    """Return the model that ``Network.model`` describes; `source` names it in messages.

    Raises
    ------
    ModelError
        If it cannot be used.

    """
    return with_parameters(parse_model(description["text"], source, description["preset"] or None), description["parameters"])


def _port(model: Model, together: str | None, kind: str, own: str | None, population: str) -> str:
    found = [p.name for p in model.ports]
    for wanted in (together, own):
        if wanted is not None:
            if wanted not in found:
                raise ModelError(f"there is no port {wanted!r}; there are {', '.join(found)}", source=model.name)
            return wanted
    for usual in (kind, population):
        if usual in found:
            return usual
    if len(found) > 1:
        raise ModelError(
            f"it is not clear at which of the ports {', '.join(found)} the {kind} {population} synapses end; set "
            f"network.model.port_{population} or port_{kind}",
            source=model.name,
        )
    return found[0]


def _first_state(model: Model) -> str:
    states = [s.name for s in model.states]
    return next((n.name for n in names(model.threshold) if n.name in states), states[0])


def _distance(model: Model, dt_ms: float) -> float:
    """Distance to the threshold at the beginning."""
    values = {p.name: p.value for p in model.parameters} | {s.name: s.initial for s in model.states} | {DT: dt_ms}
    return float(np.abs(evaluate(model.threshold, values)))
