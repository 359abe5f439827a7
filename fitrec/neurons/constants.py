"""Values of expressions of parameters alone."""

import math
from collections.abc import Callable, Mapping

from fitrec.errors import ModelError
from fitrec.neurons.expression import DETACH, Call, Expression, Name, Negative, Number, Operation, as_text, names

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "sqrt": math.sqrt,
    "log": math.log,
    "abs": abs,
    "min": min,
    "max": max,
    "floor": math.floor,
    "round": round,
    DETACH: float,
}


def evaluate(expression: Expression, values: Mapping[str, float]) -> float:
    """Value of an expression in float64.

    Raises
    ------
    ModelError
        If it is no finite number, with the part that is none and the values that made it so.

    """
    match expression:
        case Number(value):
            return value
        case Name(name):
            return values[name]
        case Negative(operand):
            return -evaluate(operand, values)
        case Operation(symbol, left, right):
            arguments = (left, right)
            function = _OPERATIONS[symbol]
        case Call(name, arguments):
            function = _FUNCTIONS[name]
    numbers = [evaluate(a, values) for a in arguments]
    try:
        result = function(*numbers)
    except (ZeroDivisionError, ValueError, OverflowError):
        result = math.nan
    if isinstance(result, complex) or not math.isfinite(result):
        used = ", ".join(f"{n} = {values[n]:g}" for n in dict.fromkeys(n.name for n in names(expression)))
        place = expression.place
        raise ModelError(f"{as_text(expression)!r} is no finite number with {used} (base units)", place.line, place.column)
    return float(result)


_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
