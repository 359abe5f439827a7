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


def parse_expression(text: str, at: Place) -> Expression:
    """Parse an expression whose first character is the model's text at `at`.

    Raises
    ------
    ModelError
        With line and column, if it is no expression of numbers, names, ``+ - * / **`` and known functions.

    """
    tree, at = _parse_one(text, at)
    return _convert(tree, at)


def parse_comparison(text: str, at: Place) -> tuple[Expression, bool]:
    """Parse ``a >= b`` or ``a > b``; returns ``a - b`` (``a`` if b is 0), and whether equality is left out."""
    tree, at = _parse_one(text, at)
    if not (isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Gt | ast.GtE)):
        raise ModelError(f"{text.strip()!r} is no threshold: write it as 'v >= v_th' or 'v > v_th'", at.line, at.column)
    left, right = _convert(tree.left, at), _convert(tree.comparators[0], at)
    strict = isinstance(tree.ops[0], ast.Gt)
    if isinstance(right, Number) and right.value == 0:
        return left, strict
    return Operation("-", left, right, _place(tree, at)), strict


def parse_statements(text: str, at: Place) -> tuple[Statement, ...]:
    """Parse lines of ``name = expression``; all of them begin in the column of `at`, the first in its line."""
    statements = []
    for node in _parse(text, "exec", at).body:  # type: ignore[attr-defined]
        place = _place(node, at)
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            first = ast.unparse(node).splitlines()[0]
            raise ModelError(f"{first!r} is no statement of the form 'name = expression'", place.line, place.column)
        statements.append(Statement(node.targets[0].id, _convert(node.value, at), place))
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


def as_text(expression: Expression, strength: int = 0) -> str:
    """Return the expression as a user writes it, in brackets if it binds less than `strength`."""
    match expression:
        case Number(value):
            return repr(value) if value != int(value) or abs(value) > 1e15 else str(int(value))
        case Name(name):
            return name
        case Negative(operand):
            text, own = f"-{as_text(operand, 3)}", 3
        case Operation(symbol, left, right):
            own = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}[symbol]
            first, second = (5, 4) if symbol == "**" else (own, own + 1)
            space = "" if symbol == "**" else " "
            text = f"{as_text(left, first)}{space}{symbol}{space}{as_text(right, second)}"
        case Call(function, arguments):
            return f"{function}({', '.join(as_text(a) for a in arguments)})"
    return f"({text})" if own < strength else text


def _parse_one(text: str, at: Place) -> tuple[ast.expr, Place]:
    """Tree of an expression, and the place of its first character after any blanks."""
    at = Place(at.line, at.column + len(text) - len(text.lstrip()))
    return _parse(text.strip(), "eval", at).body, at  # type: ignore[attr-defined]


def _parse(text: str, mode: str, at: Place) -> ast.AST:
    try:
        return ast.parse(text, mode=mode)
    except SyntaxError as error:
        number, lines = error.lineno or 1, text.splitlines()
        wrong = lines[number - 1].strip() if number <= len(lines) else text.strip()
        reason = f"{wrong!r} cannot be read: {error.msg}" if wrong else "there is no expression here"
        raise ModelError(reason, at.line + number - 1, at.column + max((error.offset or 1) - 1, 0)) from None
    except (ValueError, RecursionError, MemoryError):
        raise ModelError("this expression cannot be read: it is nested too deeply, or no text", at.line, at.column) from None


def _place(node: ast.AST, at: Place) -> Place:
    return Place(at.line + node.lineno - 1, at.column + node.col_offset)  # type: ignore[attr-defined]


def _convert(node: ast.AST, at: Place) -> Expression:
    place = _place(node, at)
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and abs(value) < 1e300:
            return Number(float(value), place)
        case ast.Name():
            return Name(node.id, place)
        case ast.UnaryOp(op=ast.USub()):
            return Negative(_convert(node.operand, at), place)
        case ast.BinOp() if type(node.op) in _SYMBOLS:
            return Operation(_SYMBOLS[type(node.op)], _convert(node.left, at), _convert(node.right, at), place)
        case ast.Call(func=ast.Name()) if not node.keywords:
            return _call(node.func.id, tuple(_convert(a, at) for a in node.args), place)  # type: ignore[attr-defined]
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
