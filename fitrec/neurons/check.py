"""What a model must fulfil, each mistake with line, symbol and remedy."""

import keyword
import re
from collections.abc import Iterable, Mapping

from fitrec.errors import ModelError
from fitrec.neurons.dimensions import dimension, require
from fitrec.neurons.evaluate import constant
from fitrec.neurons.expression import (
    DETACH,
    KINKED,
    SMOOTH,
    Call,
    Expression,
    Negative,
    Number,
    Operation,
    Place,
    Statement,
    names,
)
from fitrec.neurons.model import DT, SPIKE, Current, Model, Parameter, Port, State
from fitrec.neurons.source import suggestion
from fitrec.neurons.units import NUMBER, TIME, Dimension, parse_unit

_SMALL_DT_MS = 1e-3  # a model must have finite constants at some step; which step it will run at is not known yet
_RESERVED = {DT, SPIKE, DETACH, *SMOOTH, *KINKED}


def check(model: Model, written: Mapping[str, Dimension] | None = None) -> None:
    """Refuse a model that cannot be simulated or differentiated as it stands.

    Parameters
    ----------
    model : Model
    written : dict, optional
        Dimensions of the surrogate's ``height`` and ``width`` where they are numbers with a unit; plain
        numbers have base units.

    Raises
    ------
    ModelError
        With the first mistake found: undefined or unused symbols, assignments to what is no variable, units that do not agree, a
        function without derivative outside detach(...), constants that are not finite.

    """
    _Checker(model, written or {}).run()


def dimensions(model: Model) -> dict[str, Dimension]:
    """Dimensions of the model's parameters, states, ports and currents, of dt and of z."""
    named: list[Parameter | State | Port | Current] = [*model.parameters, *model.states, *model.ports, *model.currents]
    return {**{n.name: parse_unit(n.unit, n.place).dimension for n in named}, DT: TIME, SPIKE: NUMBER}


class _Checker:
    """Walks through a model in the order in which it runs."""

    def __init__(self, model: Model, written: Mapping[str, Dimension]) -> None:
        self.model = model
        self.written = written
        self.known = dimensions(model)
        self.values = {p.name: p.value for p in model.parameters} | {DT: _SMALL_DT_MS}
        self.constants = set(self.values)  # and local variables computed from them alone
        self.states = tuple(s.name for s in model.states)
        self.locals: dict[str, Place] = {}
        self.used: set[str] = set()
        self.assigned: set[str] = set()

    def run(self) -> None:
        """Check everything."""
        model = self.model
        if not model.ports:
            raise ModelError("the model has no port: name at least one under 'ports', or no synapse can end at it")
        self._ports()
        if model.noise is not None:
            state = self._state(model.noise.state, model.noise.amplitude.place, "noise")
            self._constant(model.noise.amplitude, self.known[state], "the amplitude of the noise")
        self._statements(model.update)
        self._threshold()
        self._statements(model.observe)
        self._statements(model.reset)
        if model.refractory is not None:
            self._constant(model.refractory.steps, NUMBER, "the number of refractory steps")
            for state in model.refractory.hold:
                self._state(state, model.refractory.steps.place, "hold")
        self._all_used()

    def _ports(self) -> None:
        parameters = {p.name: p for p in self.model.parameters}
        for port in self.model.ports:
            if not port.tau:
                continue
            what, line, column = f"tau of the port {port.name!r}", port.place.line, port.place.column
            if port.tau not in parameters:
                hint = suggestion(port.tau, [n for n in parameters if self.known[n] == TIME])
                raise ModelError(f"{what} is {port.tau!r}, which is no parameter{hint}", line, column)
            if self.known[port.tau] != TIME:
                raise ModelError(f"{what} must be a time, but {port.tau!r} has the unit {self.known[port.tau]}", line, column)
            if parameters[port.tau].value <= 0:
                raise ModelError(f"{what} must be above 0, but {port.tau} is {parameters[port.tau].value:g} ms", line, column)
            self.used.add(port.tau)

    def _statements(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            expression, target, place = statement.expression, statement.target, statement.place
            self._symbols(expression)
            self._differentiable(expression)
            if target in self.known and target not in self.states and target not in self.locals:
                raise ModelError(f"{target!r} is {self._what(target)}, it cannot be assigned", place.line, place.column)
            if target in self.known:
                require(expression, self.known[target], self.known, f"what is assigned to {target!r}")
            else:
                found = dimension(expression, self.known)
                self.known[target] = NUMBER if found is None else found
                self.locals[target] = place
                check_name(target, place)
            if target in self.locals and self._constant_names(expression):
                self.constants.add(target)
                self.values[target] = constant(expression, self.values)
            else:
                self.constants.discard(target)
            self.assigned.add(target)

    def _threshold(self) -> None:
        threshold, surrogate = self.model.threshold, self.model.surrogate
        for use in names(threshold):
            if use.name == SPIKE:
                raise ModelError("the threshold decides on z, so it cannot use it", use.place.line, use.place.column)
        self._symbols(threshold)
        self._differentiable(threshold)
        unit = dimension(threshold, self.known) or NUMBER
        if self._constant_names(threshold):
            raise ModelError("the threshold depends on no state", threshold.place.line, threshold.place.column)
        self._surrogate("height", surrogate.height, unit**-1)
        self._surrogate("width", surrogate.width, unit)
        width = constant(surrogate.width, self.values)
        if width <= 0:
            place = surrogate.width.place
            raise ModelError(f"the width of the surrogate must be above 0, not {width:g}", place.line, place.column)

    def _surrogate(self, key: str, expression: Expression, wanted: Dimension) -> None:
        what, place = f"the {key} of the surrogate", expression.place
        if self.written.get(key, wanted) != wanted:
            raise ModelError(f"{what} must have the unit {wanted}, not {self.written[key]}", place.line, place.column)
        self._constant(expression, None if isinstance(expression, Number) else wanted, what)

    def _constant(self, expression: Expression, wanted: Dimension | None, what: str) -> None:
        """Check an expression that must be a number before the simulation begins."""
        self._symbols(expression)
        for use in names(expression):
            if use.name not in self.constants:
                raise ModelError(
                    f"{what} may depend on parameters and dt alone, not on {use.name!r}", use.place.line, use.place.column
                )
        if wanted is not None:
            require(expression, wanted, self.known, what)
        constant(expression, self.values)

    def _symbols(self, expression: Expression) -> None:
        """Every name must be known; and note that it is used."""
        for use in names(expression):
            if use.name not in self.known:
                hint = suggestion(use.name, [*self.known])
                raise ModelError(f"undefined symbol {use.name!r}{hint}", use.place.line, use.place.column)
            self.used.add(use.name)

    def _differentiable(self, expression: Expression) -> None:
        """Refuse functions with a kink of anything that changes with time, but in detach(...); and check what is constant."""
        if self._constant_names(expression):
            constant(expression, self.values)
            return
        match expression:
            case Call(function, arguments, place):
                if function == DETACH:
                    return
                if function in KINKED:
                    symbols = ", ".join(sorted({n.name for n in names(expression)} - self.constants))
                    raise ModelError(
                        f"{function} of {symbols} has no derivative everywhere, and only the threshold may lack one: write "
                        f"detach({function}(...)) if no gradient shall pass, or a smooth expression",
                        place.line,
                        place.column,
                    )
                for argument in arguments:
                    self._differentiable(argument)
            case Operation("**", base, exponent, place):
                if not isinstance(exponent.operand if isinstance(exponent, Negative) else exponent, Number):
                    raise ModelError("the exponent must be a number here; write exp(...) instead", place.line, place.column)
                self._differentiable(base)
            case Operation(_, left, right):
                self._differentiable(left)
                self._differentiable(right)
            case Negative(operand):
                self._differentiable(operand)

    def _constant_names(self, expression: Expression) -> bool:
        return all(use.name in self.constants for use in names(expression))

    def _state(self, name: str, place: Place, where: str) -> str:
        if name not in self.states:
            raise ModelError(
                f"{where} names {name!r}, which is no state{suggestion(name, self.states)}", place.line, place.column
            )
        return name

    def _all_used(self) -> None:
        model = self.model
        for state in model.states:
            if state.name not in self.assigned:
                raise ModelError(
                    f"the state {state.name!r} is never assigned: make it a parameter, or write its equation",
                    state.place.line,
                    state.place.column,
                )
        given: list[Parameter | Port | Current] = [*model.parameters, *model.ports, *model.currents]
        for thing in given:
            if thing.name not in self.used:
                what = self._what(thing.name).removeprefix("a ")
                raise ModelError(
                    f"the {what} {thing.name!r} is never used: use it or leave it out", thing.place.line, thing.place.column
                )
        for name, place in self.locals.items():
            if name not in self.used:
                hint = suggestion(name, [s for s in self.states if s not in self.assigned])
                raise ModelError(f"{name!r} is computed, but it is no state and never used{hint}", place.line, place.column)

    def _what(self, name: str) -> str:
        kinds: Mapping[str, Iterable[str]] = {
            "a parameter": (p.name for p in self.model.parameters),
            "a port": (p.name for p in self.model.ports),
            "a current": (c.name for c in self.model.currents),
        }
        return next((kind for kind, members in kinds.items() if name in members), "reserved")


def check_name(name: str, place: Place) -> None:
    """Refuse what cannot be a name."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or "__" in name:
        reason = "a name is a letter followed by letters, digits and single underscores"
    elif name in _RESERVED or keyword.iskeyword(name):
        reason = "it has a meaning of its own"
    else:
        return
    raise ModelError(f"{name!r} cannot be a name: {reason}", place.line, place.column)
