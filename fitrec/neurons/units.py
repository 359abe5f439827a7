"""Units of neuron models, converted to base units in which the equations of physiology have no factors.

Base units: ms, mV and pA; hence pA / mV = nS, pA ms / mV = pF, mV / pA = GOhm, and 1 / ms for rates (1 Hz = 0.001 / ms).
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from fitrec.errors import ModelError
from fitrec.neurons.expression import Expression, Name, Negative, Number, Operation, Place, parse_expression


@dataclass(frozen=True)
class Dimension:
    """Powers of time, voltage and current."""

    time: Fraction = Fraction(0)
    voltage: Fraction = Fraction(0)
    current: Fraction = Fraction(0)

    def __mul__(self, other: "Dimension") -> "Dimension":
        """Dimension of a product."""
        return Dimension(self.time + other.time, self.voltage + other.voltage, self.current + other.current)

    def __truediv__(self, other: "Dimension") -> "Dimension":
        """Dimension of a quotient."""
        return self * other**-1

    def __pow__(self, power: Fraction | int) -> "Dimension":
        """Dimension of a power."""
        return Dimension(self.time * power, self.voltage * power, self.current * power)

    def __str__(self) -> str:
        """Return the base unit, as in 'nS', 'mV/ms' or '1'."""
        for name, unit in _NAMED.items():
            if self == unit:
                return name
        for name in ("nS", "GOhm"):
            rest = self / _NAMED[name]
            if rest.voltage == rest.current == 0:
                return f"{name}/{_powered('ms', -rest.time)}" if rest.time < 0 else f"{name}*{_powered('ms', rest.time)}"
        powers = (("pA", self.current), ("mV", self.voltage), ("ms", self.time))
        above = "*".join(_powered(name, power) for name, power in powers if power > 0)
        below = "".join(f"/{_powered(name, -power)}" for name, power in powers if power < 0)
        return (above or "1") + below


NUMBER = Dimension()
TIME = Dimension(time=Fraction(1))
_VOLTAGE = Dimension(voltage=Fraction(1))
_CURRENT = Dimension(current=Fraction(1))
# Base units of compound dimensions that have a name.
_NAMED = {"nS": _CURRENT / _VOLTAGE, "pF": _CURRENT * TIME / _VOLTAGE, "GOhm": _VOLTAGE / _CURRENT, "fC": _CURRENT * TIME}

# SI units and what one of them is in base units.
_UNITS = {
    "s": (TIME, Fraction(1000)),
    "Hz": (TIME**-1, Fraction(1, 1000)),
    "V": (_VOLTAGE, Fraction(1000)),
    "A": (_CURRENT, Fraction(10**12)),
    "S": (_NAMED["nS"], Fraction(10**9)),
    "F": (_NAMED["pF"], Fraction(10**12)),
    "Ohm": (_NAMED["GOhm"], Fraction(1, 10**9)),
    "C": (_NAMED["fC"], Fraction(10**15)),
}
_PREFIXES = {"": 0, "f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9}
EXAMPLES = "ms, s, Hz, mV, V, nS, uS, pA, nA, pF, MOhm, 1, or products and powers such as mV*ms, nS/ms or 1/ms"
_QUANTITY = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:\s+(\S.*))?")


@dataclass(frozen=True)
class Unit:
    """A unit as written: its dimension, and what one of it is in base units."""

    dimension: Dimension
    scale: Fraction


@dataclass(frozen=True)
class Quantity:
    """A number with unit: `value` in base units, `unit` as written (empty for none)."""

    value: float
    unit: str
    dimension: Dimension


def parse_unit(text: str, at: Place) -> Unit:
    """Read a unit: SI units with a prefix, their products, quotients and whole powers; an empty text or 1 is no unit.

    Raises
    ------
    ModelError
        If it is none.

    """
    if not text.strip():
        return Unit(NUMBER, Fraction(1))
    try:
        return _unit(parse_expression(text.replace("^", "**"), at))
    except ModelError as error:
        raise ModelError(f"{text.strip()!r} is no unit: {error.message}", error.line, error.column) from None


def parse_quantity(text: str, at: Place) -> Quantity:
    """Read a number and its unit, as in '20 ms', '-0.5 mV' or '3'.

    Raises
    ------
    ModelError
        If it is none, or not finite.

    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ModelError(f"{text.strip()!r} is no number with unit; write it as '20 ms' (units: {EXAMPLES})", at.line, at.column)
    number, written = match[1], match[2] or ""
    unit = parse_unit(written, Place(at.line, at.column + match.start(2) if written else at.column))
    value = float(number)
    if math.isfinite(value) and value != 0:  # exact, so that '0.1 s' is the float nearest to 100 ms; huge exponents stay out
        value = _nearest_float(Fraction(number) * unit.scale)
    if not math.isfinite(value):
        raise ModelError(f"{number} is too large for a number", at.line, at.column)
    return Quantity(value, "" if written == "1" else written, unit.dimension)


def _nearest_float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _unit(expression: Expression) -> Unit:
    match expression:
        case Number(value=1):
            return Unit(NUMBER, Fraction(1))
        case Name(name, place):
            return _si(name, place)
        case Operation("*", left, right):
            a, b = _unit(left), _unit(right)
            return Unit(a.dimension * b.dimension, a.scale * b.scale)
        case Operation("/", left, right):
            a, b = _unit(left), _unit(right)
            return Unit(a.dimension / b.dimension, a.scale / b.scale)
        case Operation("**", base, (Number() | Negative(Number())) as exponent):
            power = exponent.value if isinstance(exponent, Number) else -exponent.operand.value  # type: ignore[union-attr]
            if power == int(power) and abs(power) <= 9:
                a = _unit(base)
                return Unit(a.dimension ** int(power), a.scale ** int(power))
    raise ModelError(f"known are {EXAMPLES}", expression.place.line, expression.place.column)


def _si(name: str, place: Place) -> Unit:
    for unit, (dimension, scale) in _UNITS.items():
        prefix = name.removesuffix(unit)
        if name.endswith(unit) and prefix in _PREFIXES:
            return Unit(dimension, scale * Fraction(10) ** _PREFIXES[prefix])
    raise ModelError(f"{name!r} is not known; known are {EXAMPLES}", place.line, place.column)


def _powered(name: str, power: Fraction) -> str:
    if power == 1:
        return name
    return f"{name}**{power}" if power.denominator == 1 else f"{name}**({power})"
