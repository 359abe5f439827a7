"""A model's step whose spike is smooth, so that finite differences of it are what its derivatives should be.

In place of z stands ``z0 + S(u) - S(u0)``, with z0 the spike there is and S the antiderivative of the surrogate: at u = u0 it
has the value of the spike and the derivative psi. What stands in detach(...) keeps the value that it has where the derivative is
taken.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.neurons.derive import Case
from fitrec.neurons.evaluate import constant, evaluate
from fitrec.neurons.expression import DETACH, Call, Expression, Name, Negative, Operation, Statement
from fitrec.neurons.model import SPIKE, Model, Surrogate

Values = Mapping[str, Any]
# A statement, and what is detached in it under the names that take its place.
_Line = tuple[str, Expression, dict[str, Expression]]


class StandIn:
    """The smooth step of a model, over arrays of samples.

    Parameters
    ----------
    model : Model
    values : mapping
        Parameters, dt, states, ports, currents and z (the spike of the step before) where the derivatives are taken, each a
        number or an array (sample,).
    case : {"silent", "spiking", "refractory"}

    """

    def __init__(self, model: Model, values: Values, case: Case) -> None:
        self.model, self.case = model, case
        self._frozen: dict[str, Any] = {}
        self._update, self._observe, self._reset = (self._lines(s) for s in (model.update, model.observe, model.reset))
        self._threshold = self._detached(model.threshold)
        parameters = {p.name: p.value for p in model.parameters} | {"dt": float(np.ravel(values["dt"])[0])}
        self.height = constant(model.surrogate.height, parameters)
        self.width = constant(model.surrogate.width, parameters)
        self.u: Any = None
        self._fresh = True
        self(values)
        self._fresh = False

    def __call__(self, values: Values) -> NDArray[np.float64]:
        """States after the step and z, (state + 1, sample)."""
        env = dict(values)
        self._run(self._update, env)
        if self.case == "refractory" and self.model.refractory is not None:
            env |= {state: values[state] for state in self.model.refractory.hold}
        u = self._value(*self._threshold, env)
        if self._fresh:
            self.u = u
        kind, spike = self.model.surrogate.kind, 1.0 if self.case == "spiking" else 0.0
        z = spike + antiderivative(kind, u, self.height, self.width) - antiderivative(kind, self.u, self.height, self.width)
        env[SPIKE] = z
        self._run(self._observe, env)
        after = dict(env)
        if self.case == "spiking":
            after[SPIKE] = spike
            self._run(self._reset, after)
        return np.stack(np.broadcast_arrays(*(np.asarray(after[s.name], float) for s in self.model.states), z))

    def _run(self, lines: list[_Line], env: dict[str, Any]) -> None:
        for target, expression, extracted in lines:
            env[target] = self._value(expression, extracted, env)

    def _value(self, expression: Expression, extracted: dict[str, Expression], env: Values) -> Any:
        if self._fresh:
            self._frozen |= {name: evaluate(e, env) for name, e in extracted.items()}
        return evaluate(expression, {**env, **self._frozen})

    def _lines(self, statements: tuple[Statement, ...]) -> list[_Line]:
        return [(s.target, *self._detached(s.expression)) for s in statements]

    def _detached(self, expression: Expression) -> tuple[Expression, dict[str, Expression]]:
        """Put a name in place of everything detached; returns the expression, and what the names stand for."""
        extracted: dict[str, Expression] = {}
        return self._extract(expression, extracted), extracted

    def _extract(self, expression: Expression, extracted: dict[str, Expression]) -> Expression:
        match expression:
            case Call(function, (argument,), place) if function == DETACH:
                name = f"{DETACH}@{place.line}.{place.column}.{len(extracted)}"
                extracted[name] = argument
                return Name(name, place)
            case Call(function, arguments, place):
                return Call(function, tuple(self._extract(a, extracted) for a in arguments), place)
            case Operation(symbol, left, right, place):
                return Operation(symbol, self._extract(left, extracted), self._extract(right, extracted), place)
            case Negative(operand, place):
                return Negative(self._extract(operand, extracted), place)
        return expression


def antiderivative(kind: str, u: Any, height: float, width: float) -> Any:
    """Antiderivative of the surrogate (`Surrogate`), 0 at u = 0."""
    x = np.abs(u) / width
    if kind == "piecewise_linear":
        return height * width * np.sign(u) * np.where(x < 1, x - x * x / 2, 0.5)
    if kind == "exponential":
        return height * width * np.sign(u) * (1 - np.exp(-x))
    if kind == "fast_sigmoid":
        return height * u / (1 + x)
    return height * width * np.arctan(u / width)


def away_from_kinks(surrogate: Surrogate, u: NDArray[np.float64], width: float) -> NDArray[np.bool_]:
    """Where a small change of u crosses no kink of the surrogate."""
    margin = 0.05 * width
    smooth = np.abs(u) > margin
    return smooth & (np.abs(np.abs(u) - width) > margin) if surrogate.kind == "piecewise_linear" else smooth
