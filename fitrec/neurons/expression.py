"""Arithmetic expressions as a model's text writes them: parsed, with the place of every symbol, in the order written."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from fitrec.errors import ModelError

# Functions a model may use. Those with a derivative everywhere may stand anywhere; the others only inside detach(...) or in
# expressions of parameters alone, which are numbers before the simulation begins.
SMOOTH = {"exp": 1, "sqrt": 1}
KINKED = {"abs": 1, "min": 2, "max": 2, "round": 1, "floor": 1, "log": 1}
DETACH = "detach"


@dataclass(frozen=True)
class Place:
    """Where something stands in a model's text; both numbers count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Number:
    """A number without unit."""

    value: float
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Name:
    """A parameter, state, port, current or local variable."""

    name: str
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Operation:
    """``left symbol right``, with symbol one of ``+ - * / **``."""

    symbol: str
    left: "Expression"
    right: "Expression"
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Negative:
    """``-operand``."""

    operand: "Expression"
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Call:
    """``function(arguments)``."""

    function: str
    arguments: "tuple[Expression, ...]"
    place: Place = field(compare=False)


Expression = Number | Name | Operation | Negative | Call


@dataclass(frozen=True)
class Statement:
    """``target = expression``."""

    target: str
    expression: Expression
    place: Place = field(compare=False)


_SYMBOLS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


def parse_expression(text: str, line: int = 1) -> Expression:
    """Parse an expression whose first line is `line` of the model's text.

    Raises
    ------
    ModelError
        With line and column, if it is no expression of numbers, names, ``+ - * / **`` and known functions.

    """
    return _convert(_parse(text.strip(), "eval", line).body, line)  # type: ignore[attr-defined]


def parse_comparison(text: str, line: int = 1) -> tuple[Expression, bool]:
    """Parse ``a >= b`` or ``a > b``; returns ``a - b`` (``a`` if b is 0), and whether equality is left out."""
    tree = _parse(text.strip(), "eval", line).body  # type: ignore[attr-defined]
    if not (isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Gt | ast.GtE)):
        raise ModelError(f"{text.strip()!r} is no threshold: write it as 'v >= v_th' or 'v > v_th'", line, 1)
    left, right = _convert(tree.left, line), _convert(tree.comparators[0], line)
    strict = isinstance(tree.ops[0], ast.Gt)
    if isinstance(right, Number) and right.value == 0:
        return left, strict
    return Operation("-", left, right, _place(tree, line)), strict


def parse_statements(text: str, line: int = 1) -> tuple[Statement, ...]:
    """Parse lines of ``name = expression``, the first of them line `line` of the model's text."""
    statements = []
    for node in _parse(text, "exec", line).body:  # type: ignore[attr-defined]
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            raise ModelError("this is no statement of the form 'name = expression'", line + node.lineno - 1, node.col_offset + 1)
        statements.append(Statement(node.targets[0].id, _convert(node.value, line), _place(node, line)))
    return tuple(statements)


def names(expression: Expression) -> Iterator[Name]:
    """Every use of a name, in the order written."""
    match expression:
        case Name():
            yield expression
        case Operation(_, left, right):
            yield from names(left)
            yield from names(right)
        case Negative(operand):
            yield from names(operand)
        case Call(_, arguments):
            for argument in arguments:
                yield from names(argument)


def _parse(text: str, mode: str, line: int) -> ast.AST:
    try:
        return ast.parse(text, mode=mode)
    except SyntaxError as error:
        place = Place(line + (error.lineno or 1) - 1, error.offset or 1)
        raise ModelError(
            f"{text.strip().splitlines()[(error.lineno or 1) - 1]!r} cannot be read: {error.msg}", place.line, place.column
        ) from None


def _place(node: ast.AST, line: int) -> Place:
    return Place(line + node.lineno - 1, node.col_offset + 1)  # type: ignore[attr-defined]


def _convert(node: ast.AST, line: int) -> Expression:
    place = _place(node, line)
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return Number(float(value), place)
        case ast.Name():
            return Name(node.id, place)
        case ast.UnaryOp(op=ast.USub()):
            return Negative(_convert(node.operand, line), place)
        case ast.BinOp() if type(node.op) in _SYMBOLS:
            return Operation(_SYMBOLS[type(node.op)], _convert(node.left, line), _convert(node.right, line), place)
        case ast.Call(func=ast.Name()) if not node.keywords:
            return _call(node.func.id, tuple(_convert(a, line) for a in node.args), place)  # type: ignore[attr-defined]
    raise ModelError(
        f"{ast.unparse(node)!r} is no arithmetic: use numbers, names, + - * / ** and functions", place.line, place.column
    )


def _call(function: str, arguments: tuple[Expression, ...], place: Place) -> Call:
    known = {**SMOOTH, **KINKED, DETACH: 1}
    if function not in known:
        raise ModelError(f"there is no function {function!r}; known are {', '.join(known)}", place.line, place.column)
    if len(arguments) != known[function]:
        raise ModelError(f"{function} takes {known[function]} argument(s), not {len(arguments)}", place.line, place.column)
    return Call(function, arguments, place)
