"""The value of an expression, with NumPy in float64."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fitrec.errors import ModelError
from fitrec.neurons.expression import Call, Expression, Name, Negative, Number, Operation, as_text, names

_FUNCTIONS: dict[str, Any] = {
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "round": np.rint,
    "floor": np.floor,
    "log": np.log,
    "detach": lambda x: x,
    "ge": lambda a, b: np.where(a >= b, 1.0, 0.0),
    "gt": lambda a, b: np.where(a > b, 1.0, 0.0),
    "select": lambda flag, a, b: np.where(flag != 0, a, b),
}


def evaluate(expression: Expression, values: Mapping[str, Any]) -> Any:
    """Return the expression's value, a float or an array, from the values of its names.

    Raises
    ------
    ModelError
        If a name has no value.

    """
    match expression:
        case Number(value):
            return np.float64(value)  # not a Python float, which raises where NumPy gives inf or nan
        case Name(symbol, place):
            if symbol not in values:
                raise ModelError(f"undefined symbol {symbol!r}", place.line, place.column)
            return values[symbol]
        case Negative(operand):
            return -evaluate(operand, values)
        case Call(function, arguments):
            return _FUNCTIONS[function](*(evaluate(a, values) for a in arguments))
        case Operation(symbol, left, right):
            a, b = evaluate(left, values), evaluate(right, values)
            if symbol == "+":
                return a + b
            if symbol == "-":
                return a - b
            if symbol == "*":
                return a * b
            return a / b if symbol == "/" else a**b


def constant(expression: Expression, values: Mapping[str, float]) -> float:
    """Value of an expression of parameters alone.

    Raises
    ------
    ModelError
        If it is no finite number, with the part that is none and the values that made it so.

    """
    with np.errstate(all="ignore"):
        value = float(evaluate(expression, {n.name: np.float64(values[n.name]) for n in names(expression)}))
    if math.isfinite(value):
        return value
    match expression:  # a part of it may be to blame
        case Operation(_, left, right):
            parts: tuple[Expression, ...] = (left, right)
        case Call(_, arguments):
            parts = arguments
        case Negative(operand):
            parts = (operand,)
        case _:
            parts = ()
    for part in parts:
        constant(part, values)
    used = ", ".join(f"{name} = {values[name]:g}" for name in dict.fromkeys(n.name for n in names(expression)))
    raise ModelError(
        f"{as_text(expression)!r} is no finite number" + (f" with {used} (base units)" if used else ""),
        expression.place.line,
        expression.place.column,
    )
