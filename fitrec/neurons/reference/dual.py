"""Forward-mode automatic differentiation: values with their derivatives by a number of variables, and expressions of them.

The expressions are those of a neuron model as it is written, so that derivatives taken here owe nothing to the compiler's.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fitrec.neurons.expression import DETACH, Call, Expression, Name, Negative, Number, Operation

Array = NDArray[np.float64]


class Dual:
    """Values (neuron,) and their derivatives (variable, neuron)."""

    __array_ufunc__ = None  # so that ``array + dual`` comes here

    def __init__(self, value: ArrayLike, dot: ArrayLike) -> None:
        self.value: Array = np.asarray(value, np.float64)
        self.dot: Array = np.asarray(dot, np.float64)

    def __neg__(self) -> "Dual":
        return Dual(-self.value, -self.dot)

    def __add__(self, other: Any) -> "Dual":
        return Dual(self.value + value_of(other), self.dot + dot_of(other))

    def __radd__(self, other: Any) -> "Dual":
        return self.__add__(other)

    def __sub__(self, other: Any) -> "Dual":
        return Dual(self.value - value_of(other), self.dot - dot_of(other))

    def __rsub__(self, other: Any) -> "Dual":
        return self.__neg__().__add__(other)

    def __mul__(self, other: Any) -> "Dual":
        return Dual(self.value * value_of(other), self.dot * value_of(other) + self.value * dot_of(other))

    def __rmul__(self, other: Any) -> "Dual":
        return self.__mul__(other)

    def __truediv__(self, other: Any) -> "Dual":
        below = value_of(other)
        return Dual(self.value / below, (self.dot * below - self.value * dot_of(other)) / below**2)

    def __rtruediv__(self, other: Any) -> "Dual":
        return Dual(other / self.value, -other * self.dot / self.value**2)

    def __pow__(self, exponent: float) -> "Dual":
        return Dual(self.value**exponent, exponent * self.value ** (exponent - 1) * self.dot)


def value_of(x: Any) -> Any:
    """Value without derivatives."""
    return x.value if isinstance(x, Dual) else x


def dot_of(x: Any) -> Any:
    """Return the derivatives, 0 for a plain number or array."""
    return x.dot if isinstance(x, Dual) else 0.0


def where(flag: NDArray[np.bool_], yes: Any, no: Any) -> Any:
    """Choose neuron by neuron."""
    value = np.where(flag, value_of(yes), value_of(no))
    if not (isinstance(yes, Dual) or isinstance(no, Dual)):
        return value
    return Dual(value, np.where(flag, dot_of(yes), dot_of(no)))


_SMOOTH: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "exp": (np.exp, np.exp),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
}
_OTHER: dict[str, Callable[..., Any]] = {
    **{name: function for name, (function, _) in _SMOOTH.items()},
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "round": np.rint,
    "floor": np.floor,
    "log": np.log,
}


def evaluate(expression: Expression, values: Mapping[str, Any], detach: Callable[[Any], Any] = value_of) -> Any:
    """Value of an expression, a `Dual` if any name in it is one.

    Parameters
    ----------
    detach : callable
        What becomes of the value of the argument of ``detach(...)``.

    Raises
    ------
    TypeError
        If a function without derivative is differentiated.

    """

    def value(e: Expression) -> Any:
        return evaluate(e, values, detach)

    match expression:
        case Number(number):
            return np.float64(number)
        case Name(name):
            return values[name]
        case Negative(operand):
            return -value(operand)
        case Call(function, (argument,)) if function == DETACH:
            return detach(evaluate(argument, {name: value_of(v) for name, v in values.items()}, detach))
        case Call(function, arguments):
            found = [value(a) for a in arguments]
            if not any(isinstance(f, Dual) for f in found):
                return _OTHER[function](*found)
            if function not in _SMOOTH:
                raise TypeError(f"{function} is not differentiable everywhere")
            (x,), (of, slope) = found, _SMOOTH[function]
            return Dual(of(x.value), slope(x.value) * x.dot)
        case Operation("+", left, right):
            return value(left) + value(right)
        case Operation("-", left, right):
            return value(left) - value(right)
        case Operation("*", left, right):
            return value(left) * value(right)
        case Operation("/", left, right):
            return value(left) / value(right)
        case Operation(_, left, right):
            return value(left) ** value_of(value(right))
