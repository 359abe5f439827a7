"""The pseudo-derivative of a spike as an expression of the threshold variable (eprop.md 1.2)."""

from fitrec.neurons.algebra import NOWHERE, ONE, ZERO, add, call, divide, multiply, subtract
from fitrec.neurons.expression import Expression, Negative
from fitrec.neurons.model import Surrogate


def surrogate_expression(surrogate: Surrogate, u: Expression) -> Expression:
    """Return psi(u)."""
    relative = divide(call("abs", u), surrogate.width)
    if surrogate.kind == "piecewise_linear":
        return multiply(surrogate.height, call("max", ZERO, subtract(ONE, relative)))
    if surrogate.kind == "exponential":
        return multiply(surrogate.height, call("exp", Negative(relative, NOWHERE)))
    if surrogate.kind == "fast_sigmoid":
        return divide(surrogate.height, multiply(add(ONE, relative), add(ONE, relative)))
    square = multiply(divide(u, surrogate.width), divide(u, surrogate.width))
    return divide(surrogate.height, add(ONE, square))
