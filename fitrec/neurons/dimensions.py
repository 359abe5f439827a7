"""Dimension algebra: what unit an expression has, and where two that must agree do not."""

from collections.abc import Mapping
from fractions import Fraction

from fitrec.errors import ModelError
from fitrec.neurons.expression import Call, Expression, Name, Negative, Number, Operation, Place, as_text
from fitrec.neurons.units import NUMBER, Dimension

_NEEDS_NUMBER = ("exp", "log", "round", "floor")


def dimension(expression: Expression, known: Mapping[str, Dimension]) -> Dimension | None:
    """Dimension of an expression whose names have the dimensions `known`; None for a literal 0, which fits every unit.

    Raises
    ------
    ModelError
        If units in it do not agree.

    """
    match expression:
        case Number(value):
            return None if value == 0 else NUMBER
        case Name(name):
            return known[name]
        case Negative(operand):
            return dimension(operand, known)
        case Operation("**", base, exponent, place):
            return _power(base, exponent, place, known)
        case Operation(symbol, left, right, place):
            a, b = dimension(left, known), dimension(right, known)
            if symbol in "+-":
                return _same(a, b, left, right, f"both sides of '{symbol}'", place)
            if a is None or b is None:  # 0 times anything is 0 in every unit
                return None
            return a * b if symbol == "*" else a / b
        case Call(function, arguments, place):
            return _call(function, arguments, place, known)
    raise AssertionError(expression)


def require(expression: Expression, wanted: Dimension, known: Mapping[str, Dimension], what: str) -> None:
    """Refuse an expression that has another dimension than `wanted`; `what` is the grammatical subject, e.g. 'the width'.

    Raises
    ------
    ModelError
        With both units.

    """
    found = dimension(expression, known)
    if found is not None and found != wanted:
        place = expression.place
        raise ModelError(
            f"{what} must have the unit {wanted}, but {as_text(expression)!r} has {found}: multiply it by something in "
            f"{wanted / found}",
            place.line,
            place.column,
        )


def _same(
    a: Dimension | None, b: Dimension | None, left: Expression, right: Expression, what: str, place: Place
) -> Dimension | None:
    if a is None or b is None or a == b:
        return b if a is None else a
    raise ModelError(
        f"{what} must have the same unit, but {as_text(left)!r} has {a} and {as_text(right)!r} has {b}: multiply the "
        f"latter by something in {a / b}, or correct the unit of what is in them",
        place.line,
        place.column,
    )


def _power(base: Expression, exponent: Expression, place: Place, known: Mapping[str, Dimension]) -> Dimension | None:
    require(exponent, NUMBER, known, "an exponent")
    of_base = dimension(base, known)
    if of_base in (None, NUMBER):
        return NUMBER
    number = exponent.operand if isinstance(exponent, Negative) else exponent
    if not isinstance(number, Number):
        raise ModelError(
            f"{as_text(base)!r} has the unit {of_base}, so its exponent must be a number, not {as_text(exponent)!r}: divide the "
            "base by a parameter of its unit",
            place.line,
            place.column,
        )
    power = Fraction(number.value).limit_denominator(1000)
    return of_base ** (-power if isinstance(exponent, Negative) else power)


def _call(function: str, arguments: tuple[Expression, ...], place: Place, known: Mapping[str, Dimension]) -> Dimension | None:
    if function in _NEEDS_NUMBER:
        require(arguments[0], NUMBER, known, f"the argument of {function}")
        return NUMBER
    found = [dimension(argument, known) for argument in arguments]
    if len(found) == 2:
        return _same(found[0], found[1], arguments[0], arguments[1], f"both arguments of {function}", place)
    return found[0] ** Fraction(1, 2) if function == "sqrt" and found[0] is not None else found[0]
