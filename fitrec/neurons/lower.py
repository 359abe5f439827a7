"""Expressions as a list of instructions with one operation each: what every backend prints in its own words.

The order is the one written. ``a * b + c``, ``c + a * b``, ``a * b - c`` and ``c - a * b`` become one fused multiply-add; of two
products the left one is fused. What is made of parameters alone is a constant, worked out once on the host in float64; dividing
by a constant is multiplying by its inverse. Equal operations on equal operands are done once.
"""

from dataclasses import dataclass

from fitrec.errors import ModelError
from fitrec.neurons.algebra import ONE, divide
from fitrec.neurons.expression import DETACH, Call, Expression, Name, Negative, Number, Operation, names

OPERATIONS = {"exp", "sqrt", "abs", "min", "max", "ge", "gt", "select"}


@dataclass(frozen=True)
class Instruction:
    """``result = operation(operands)``; operands are results, given registers, and constants ``k0``, ``k1``, ..."""

    result: str
    operation: str
    operands: tuple[str, ...]


class Constants:
    """The constants of a model's code, each once.

    Attributes
    ----------
    expressions : list of Expression
        Of parameters and dt; constant number i is called ``k{i}``.

    """

    def __init__(self, parameters: tuple[str, ...]) -> None:
        self.parameters = frozenset(parameters)
        self.expressions: list[Expression] = []
        self._numbers: dict[Expression, int] = {}

    def covers(self, expression: Expression) -> bool:
        """Whether an expression depends on parameters alone."""
        return all(n.name in self.parameters for n in names(expression))

    def name(self, expression: Expression) -> str:
        """Return the name of the constant with this value."""
        if expression not in self._numbers:
            self._numbers[expression] = len(self.expressions)
            self.expressions.append(expression)
        return f"k{self._numbers[expression]}"


class Lowering:
    """Collects the instructions of one piece of straight code.

    Parameters
    ----------
    constants : Constants
        Shared by the pieces of a model.
    registers : dict
        For each name that may stand in the expressions, the register that holds its value.

    """

    def __init__(self, constants: Constants, registers: dict[str, str], prefix: str = "t") -> None:
        self.constants, self.registers, self.prefix = constants, dict(registers), prefix
        self.instructions: list[Instruction] = []
        self._results: dict[tuple[str, tuple[str, ...]], str] = {}

    @property
    def by_result(self) -> dict[str, Instruction]:
        """The instructions by the registers of their results."""
        return {i.result: i for i in self.instructions}

    def define(self, target: str, expression: Expression) -> str:
        """Let `target` stand for the value of an expression; returns its register."""
        self.registers[target] = self.lower(expression)
        return self.registers[target]

    def emit(self, operation: str, *operands: str) -> str:
        """Return the register with the result of an operation."""
        key = (operation, operands)
        if key not in self._results:
            self._results[key] = f"{self.prefix}{len(self.instructions)}"
            self.instructions.append(Instruction(self._results[key], operation, operands))
        return self._results[key]

    def find(self, operation: str, *operands: str) -> str | None:
        """Return the register with the result of an operation if it has been emitted."""
        return self._results.get((operation, operands))

    def lower(self, expression: Expression) -> str:
        """Return the register (or constant) with the value of an expression."""
        if self.constants.covers(expression):
            return self.constants.name(expression)
        match expression:
            case Name(name, place):
                if name not in self.registers:
                    raise ModelError(f"undefined symbol {name!r}", place.line, place.column)
                return self.registers[name]
            case Negative(operand):
                return self.emit("neg", self.lower(operand))
            case Operation("+" | "-" as symbol, left, right):
                return self._sum(symbol, left, right)
            case Operation("*", left, right):
                return self.emit("mul", self.lower(left), self.lower(right))
            case Operation("/", left, right):
                if self.constants.covers(right):
                    return self.emit("mul", self.lower(left), self.constants.name(divide(ONE, right)))
                return self.emit("div", self.lower(left), self.lower(right))
            case Operation("**", left, Number(exponent)) if exponent == int(exponent) and 2 <= exponent <= 8:
                base = self.lower(left)
                result = base
                for _ in range(int(exponent) - 1):
                    result = self.emit("mul", result, base)
                return result
            case Call(function, (argument,)) if function == DETACH:
                return self.lower(argument)
            case Call(function, arguments) if function in OPERATIONS:
                return self.emit(function, *(self.lower(a) for a in arguments))
        place = expression.place
        what = f"the function {expression.function!r}" if isinstance(expression, Call) else "this power"
        raise ModelError(f"{what} of something that changes with time is not available in kernels", place.line, place.column)

    def _sum(self, symbol: str, left: Expression, right: Expression) -> str:
        if self._is_product(left):
            other = self.lower(right)
            return self._fma(left, self.emit("neg", other) if symbol == "-" else other)
        if self._is_product(right):
            return self._fma(right, self.lower(left), negated=symbol == "-")
        return self.emit("add" if symbol == "+" else "sub", self.lower(left), self.lower(right))

    def _is_product(self, expression: Expression) -> bool:
        """Whether an expression becomes a multiplication."""
        if self.constants.covers(expression) or not isinstance(expression, Operation):
            return False
        return expression.symbol == "*" or (expression.symbol == "/" and self.constants.covers(expression.right))

    def _fma(self, product: Expression, summand: str, negated: bool = False) -> str:
        assert isinstance(product, Operation)
        first = self.lower(product.left)
        inverse = product.symbol == "/"
        second = self.constants.name(divide(ONE, product.right)) if inverse else self.lower(product.right)
        return self.emit("fma", self.emit("neg", first) if negated else first, second, summand)
