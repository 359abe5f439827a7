"""Arithmetic on expressions with the simplifications that cannot change a value, and their derivatives.

Written out here instead of left to a computer algebra system: the order of operations, hence every bit, must not depend on a
library's version, and a derivative should use the values that the forward step has anyway. SymPy checks it (`fitrec model
check`).
"""

from collections.abc import Callable, Mapping

from fitrec.errors import ModelError
from fitrec.neurons.expression import DETACH, Call, Expression, Name, Negative, Number, Operation, Place, names

NOWHERE = Place(0, 0)
ZERO, ONE = Number(0.0, NOWHERE), Number(1.0, NOWHERE)


def name(text: str) -> Name:
    """Return the expression that is a name."""
    return Name(text, NOWHERE)


def call(function: str, *arguments: Expression) -> Call:
    """Return a call."""
    return Call(function, arguments, NOWHERE)


def is_zero(a: Expression) -> bool:
    """Whether an expression is the number 0."""
    return isinstance(a, Number) and a.value == 0


def is_one(a: Expression) -> bool:
    """Whether an expression is the number 1."""
    return isinstance(a, Number) and a.value == 1


def add(a: Expression, b: Expression) -> Expression:
    """Return a + b."""
    if is_zero(a):
        return b
    if is_zero(b):
        return a
    return subtract(a, b.operand) if isinstance(b, Negative) else Operation("+", a, b, NOWHERE)


def subtract(a: Expression, b: Expression) -> Expression:
    """Return a - b."""
    if is_zero(b):
        return a
    return negative(b) if is_zero(a) else Operation("-", a, b, NOWHERE)


def negative(a: Expression) -> Expression:
    """Return -a."""
    if is_zero(a):
        return ZERO
    return a.operand if isinstance(a, Negative) else Negative(a, NOWHERE)


def multiply(a: Expression, b: Expression) -> Expression:
    """Return a * b."""
    if is_zero(a) or is_zero(b):
        return ZERO
    if is_one(a):
        return b
    if is_one(b):
        return a
    if isinstance(a, Negative):
        return negative(multiply(a.operand, b))
    if isinstance(b, Negative):
        return negative(multiply(a, b.operand))
    return Operation("*", a, b, NOWHERE)


def divide(a: Expression, b: Expression) -> Expression:
    """Return a / b."""
    if is_zero(a) or is_one(b):
        return a
    return negative(divide(a.operand, b)) if isinstance(a, Negative) else Operation("/", a, b, NOWHERE)


def rename(expression: Expression, change: Callable[[Name], Expression]) -> Expression:
    """Return the expression with every name replaced, places kept."""
    match expression:
        case Name():
            return change(expression)
        case Operation(symbol, left, right, place):
            return Operation(symbol, rename(left, change), rename(right, change), place)
        case Negative(operand, place):
            return Negative(rename(operand, change), place)
        case Call(function, arguments, place):
            return Call(function, tuple(rename(a, change) for a in arguments), place)
    return expression


def differentiate(expression: Expression, dots: Mapping[str, Expression]) -> Expression:
    """Total derivative of an expression, given the derivatives `dots` of the names in it (0 for those not given).

    Raises
    ------
    ModelError
        If it depends on the variable through a function without derivative.

    """
    if not any(n.name in dots for n in names(expression)):
        return ZERO
    match expression:
        case Name(symbol):
            return dots[symbol]
        case Negative(operand):
            return negative(differentiate(operand, dots))
        case Operation("+", left, right):
            return add(differentiate(left, dots), differentiate(right, dots))
        case Operation("-", left, right):
            return subtract(differentiate(left, dots), differentiate(right, dots))
        case Operation("*", left, right):
            return add(multiply(differentiate(left, dots), right), multiply(left, differentiate(right, dots)))
        case Operation("/", left, right):
            above, below = differentiate(left, dots), differentiate(right, dots)
            return divide(subtract(above, multiply(expression, below)), right)
        case Operation("**", left, Number(exponent)):
            lower = Operation("**", left, Number(exponent - 1, NOWHERE), NOWHERE)
            return multiply(Number(exponent, NOWHERE), multiply(left if exponent == 2 else lower, differentiate(left, dots)))
        case Call("exp", (argument,)):
            return multiply(differentiate(argument, dots), expression)
        case Call("sqrt", (argument,)):
            return divide(differentiate(argument, dots), multiply(Number(2.0, NOWHERE), expression))
        case Call("log", (argument,)):
            return divide(differentiate(argument, dots), argument)
        case Call(function, _) if function == DETACH:
            return ZERO
    place = expression.place
    raise ModelError(
        f"{_called(expression)} has no derivative everywhere; only the threshold may be without one: write detach(...) around "
        "it, or a smooth expression",
        place.line,
        place.column,
    )


def _called(expression: Expression) -> str:
    return f"the function {expression.function!r}" if isinstance(expression, Call) else "a power whose exponent is no number"
