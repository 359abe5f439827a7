"""Neuron models from YAML: the library's and a user's own (docs/models.md)."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fitrec.errors import MissingFileError, ModelError
from fitrec.neurons.check import check, check_name
from fitrec.neurons.expression import Expression, Number, Place, Statement, parse_comparison, parse_expression, parse_statements
from fitrec.neurons.model import SURROGATES, Current, Model, Noise, Parameter, Port, Refractory, State, Surrogate
from fitrec.neurons.source import Node, read, suggestion
from fitrec.neurons.units import Dimension, parse_quantity, parse_unit

LIBRARY = Path(__file__).parent / "library"
_NEEDED = ("name", "states", "ports", "update", "threshold", "surrogate")
_SECTIONS = ("states", "ports", "currents", "noise", "update", "threshold", "observe", "reset", "refractory", "surrogate")
_KEYS = ("name", "description", "parameters", *_SECTIONS, "presets")
_WITH_UNIT = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?\s+[A-Za-z1]")  # not "0.3 / v_th"


def load_model(path: Path, preset: str | None = None) -> Model:
    """Read a model from a YAML file.

    Raises
    ------
    ModelError
        With file, line and column, if the text is no model that can be simulated and differentiated.
    MissingFileError
        If there is no such file.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFileError(f"there is no model file '{path}'") from None
    except UnicodeDecodeError:
        raise ModelError("this is no text in UTF-8", source=str(path)) from None
    return parse_model(text, str(path), preset)


def library_names() -> tuple[str, ...]:
    """Names of the models that come with fitrec."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("*.yaml")))


def library_model(name: str, preset: str | None = None) -> Model:
    """Model of the library.

    Raises
    ------
    ModelError
        If there is none of that name, or no such preset.

    """
    if name not in library_names():
        raise ModelError(f"there is no model {name!r} in the library{suggestion(name, library_names())}")
    return load_model(LIBRARY / f"{name}.yaml", preset)


def parse_model(text: str, source: str, preset: str | None = None) -> Model:
    """Read a model from its text; `source` names it in messages.

    Raises
    ------
    ModelError
        With `source`, line and column.

    """
    try:
        return _model(text, preset)
    except ModelError as error:
        raise error.within(source) from None


def preset_names(text: str) -> tuple[str, ...]:
    """Names of the presets in a model's text."""
    return tuple(_presets(read(text).section("a model", _KEYS)))


def with_parameters(model: Model, values: Mapping[str, str | float]) -> Model:
    """Return the model with other values of some parameters: text with a unit, or plain numbers in base units.

    Raises
    ------
    ModelError
        If a parameter is not known, a unit does not fit, or the model does not work with these values.

    """
    new = {p.name: p for p in model.parameters}
    for name, value in values.items():
        if name not in new:
            raise ModelError(f"the model {model.name!r} has no parameter {name!r}{suggestion(name, new)}")
        if isinstance(value, str):
            new[name] = _valued(new[name], value, new[name].place)
        elif math.isfinite(value):
            new[name] = replace(new[name], value=float(value))
        else:
            raise ModelError(f"the parameter {name!r} of {model.name!r} must be a finite number, not {value}")
    changed = replace(model, parameters=tuple(new.values()))
    check(changed)
    return changed


def with_surrogate(model: Model, kind: str) -> Model:
    """Return the model with another kind of surrogate derivative, of the same height and width.

    Raises
    ------
    ModelError
        If there is no such kind.

    """
    return replace(model, surrogate=replace(model.surrogate, kind=_kind(kind, Place(0, 0))))


def _model(text: str, preset: str | None) -> Model:
    keys = read(text).section("a model", _KEYS)
    for key in _NEEDED:
        if key not in keys:
            raise ModelError(f"the key {key!r} is missing")
    chosen = _preset(keys, preset)
    keys |= {key: node for key, (_, node) in chosen.items() if key in _SECTIONS}
    taken: dict[str, Place] = {}
    parameters = _parameters(keys, {key: item for key, item in chosen.items() if key not in _SECTIONS}, taken)
    threshold, strict = parse_comparison(keys["threshold"].scalar("threshold"), keys["threshold"].at)
    surrogate, written = _surrogate(keys["surrogate"])
    model = Model(
        name=keys["name"].scalar("name"),
        description=keys["description"].scalar("description") if "description" in keys else "",
        parameters=parameters,
        states=_states(keys["states"], taken),
        ports=_ports(keys["ports"], taken),
        currents=_currents(keys["currents"], taken) if "currents" in keys else (),
        update=_statements(keys, "update"),
        threshold=threshold,
        strict=strict,
        observe=_statements(keys, "observe"),
        reset=_statements(keys, "reset"),
        refractory=_refractory(keys["refractory"]) if "refractory" in keys else None,
        surrogate=surrogate,
        noise=_noise(keys["noise"]) if "noise" in keys else None,
        source=text,
    )
    check(model, written)
    return model


def _presets(keys: dict[str, Node]) -> dict[str, tuple[Place, Node]]:
    return {name: (at, node) for name, at, node in keys["presets"].mapping("presets")} if "presets" in keys else {}


def _preset(keys: dict[str, Node], name: str | None) -> dict[str, tuple[Place, Node]]:
    """Values and sections that a preset replaces."""
    presets = _presets(keys)
    if name is None:
        return {}
    if name not in presets:
        raise ModelError(f"the model has no preset {name!r}{suggestion(name, presets)}")
    return {key: (at, node) for key, at, node in presets[name][1].mapping(f"the preset {name!r}")}


def _declared(node: Node, what: str, taken: dict[str, Place]) -> list[tuple[str, Place, Node]]:
    """Entries of a mapping of names, each of them new."""
    entries = list(node.mapping(what))
    for name, at, _ in entries:
        check_name(name, at)
        if name in _KEYS:
            raise ModelError(f"{name!r} cannot be a name: it is a key of the model's text", at.line, at.column)
        if name in taken:
            raise ModelError(f"the name {name!r} is taken already, in line {taken[name].line}", at.line, at.column)
        taken[name] = at
    return entries


def _parameters(keys: dict[str, Node], chosen: dict[str, tuple[Place, Node]], taken: dict[str, Place]) -> tuple[Parameter, ...]:
    parameters = {}
    for name, at, node in _declared(keys["parameters"], "parameters", taken) if "parameters" in keys else ():
        quantity = parse_quantity(node.scalar(f"the parameter {name!r}"), node.at)
        parameters[name] = Parameter(name=name, value=quantity.value, unit=quantity.unit, place=at)
    for name, (at, node) in chosen.items():
        if name not in parameters:
            hint = suggestion(name, [*parameters, *_SECTIONS])
            raise ModelError(f"the preset sets {name!r}, which is neither a parameter nor a section{hint}", at.line, at.column)
        parameters[name] = _valued(parameters[name], node.scalar(f"the parameter {name!r}"), node.at)
    return tuple(parameters.values())


def _valued(parameter: Parameter, text: str, at: Place) -> Parameter:
    """Return the parameter with another value of the same dimension."""
    quantity, wanted = parse_quantity(text, at), parse_unit(parameter.unit, parameter.place).dimension
    if quantity.dimension != wanted and quantity.value != 0:
        raise ModelError(
            f"{parameter.name} must have a unit like {parameter.unit or '1'}, but {text.strip()!r} has {quantity.dimension}",
            at.line,
            at.column,
        )
    return replace(parameter, value=quantity.value, unit=quantity.unit or parameter.unit)


def _states(node: Node, taken: dict[str, Place]) -> tuple[State, ...]:
    states = []
    for name, at, value in _declared(node, "states", taken):
        quantity = parse_quantity(value.scalar(f"the state {name!r}"), value.at)
        states.append(State(name=name, initial=quantity.value, unit=quantity.unit, place=at))
    return tuple(states)


def _ports(node: Node, taken: dict[str, Place]) -> tuple[Port, ...]:
    ports = []
    for name, at, value in _declared(node, "ports", taken):
        keys = value.section(f"the port {name!r}", ("unit", "tau")) if value.items is not None else {"unit": value}
        unit = keys["unit"].scalar(f"the unit of {name!r}") if "unit" in keys else ""
        parse_unit(unit, keys["unit"].at if "unit" in keys else at)
        tau = keys["tau"].scalar(f"tau of {name!r}") if "tau" in keys else ""
        ports.append(Port(name=name, unit=unit, tau=tau, place=at))
    return tuple(ports)


def _currents(node: Node, taken: dict[str, Place]) -> tuple[Current, ...]:
    currents = []
    for name, at, value in _declared(node, "currents", taken):
        unit = value.scalar(f"the unit of {name!r}")
        parse_unit(unit, value.at)
        currents.append(Current(name=name, unit=unit, place=at))
    return tuple(currents)


def _statements(keys: dict[str, Node], key: str) -> tuple[Statement, ...]:
    return parse_statements(keys[key].scalar(key), keys[key].at) if key in keys else ()


def _refractory(node: Node) -> Refractory:
    keys = node.section("refractory", ("steps", "hold", "surrogate_lead"))
    if "steps" not in keys:
        raise ModelError("refractory needs 'steps', as in 'steps: t_ref / dt'", node.at.line, node.at.column)
    lead = keys["surrogate_lead"].scalar("surrogate_lead") if "surrogate_lead" in keys else "0"
    if not lead.isdecimal():
        at = keys["surrogate_lead"].at
        raise ModelError(f"surrogate_lead must be a whole number of steps, not {lead!r}", at.line, at.column)
    return Refractory(
        steps=parse_expression(keys["steps"].scalar("steps"), keys["steps"].at),
        hold=keys["hold"].names("hold") if "hold" in keys else (),
        surrogate_lead=int(lead),
    )


def _noise(node: Node) -> Noise:
    keys = node.section("noise", ("state", "amplitude"))
    if len(keys) < 2:
        raise ModelError("noise needs 'state' and 'amplitude'", node.at.line, node.at.column)
    amplitude = parse_expression(keys["amplitude"].scalar("amplitude"), keys["amplitude"].at)
    return Noise(state=keys["state"].scalar("state"), amplitude=amplitude)


def _kind(kind: str, at: Place) -> str:
    if kind not in SURROGATES:
        raise ModelError(f"there is no surrogate {kind!r}{suggestion(kind, SURROGATES)}", at.line, at.column)
    return kind


def _surrogate(node: Node) -> tuple[Surrogate, dict[str, Dimension]]:
    """Return the surrogate, and the dimensions of height and width where they are numbers with a unit."""
    keys = node.section("surrogate", ("kind", "height", "width"))
    for key in ("height", "width"):
        if key not in keys:
            raise ModelError(f"surrogate needs {key!r}", node.at.line, node.at.column)
    written: dict[str, Dimension] = {}
    values: dict[str, Expression] = {}
    for key in ("height", "width"):
        text, at = keys[key].scalar(key), keys[key].at
        if _WITH_UNIT.match(text.strip()):
            quantity = parse_quantity(text, at)
            written[key] = quantity.dimension
            values[key] = Number(quantity.value, at)
        else:
            values[key] = parse_expression(text, at)
    kind = _kind(keys["kind"].scalar("kind"), keys["kind"].at) if "kind" in keys else SURROGATES[0]
    return Surrogate(kind=kind, **values), written
