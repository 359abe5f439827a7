"""Derivatives of a model's step: the neuron's own block of the Jacobian, and how its inputs and parameters enter.

With h the states before a step, h' after it, I the ports and z the spike: ``D = dh'/dh``, ``dh'/dI``, ``dz/dh``, ``dz/dI``, and
the same for trainable parameters. A spike's derivative by its threshold variable is the surrogate psi; in `reset` z is a
constant.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fitrec.neurons.algebra import ONE, ZERO, differentiate, is_zero, multiply, name
from fitrec.neurons.expression import Expression, Name
from fitrec.neurons.model import SPIKE, Model
from fitrec.neurons.program import PRESENT_SPIKE, THRESHOLD, Definition, Program, make_program

PSI = "psi__"
# What a neuron does in a step. A neuron that spikes is never refractory.
Case = Literal["silent", "spiking", "refractory"]
CASES: tuple[Case, ...] = ("silent", "spiking", "refractory")

Row = tuple[Expression, ...]


@dataclass(frozen=True, kw_only=True)
class Jacobian:
    """Derivatives of a step in one case.

    The entries are expressions of parameters, psi, values before the step and definitions of the program.

    Attributes
    ----------
    state : (state, state)
        D; row k, column j is the derivative of the new state k by the old state j.
    port : (state, port)
    parameter : (state, trainable)

    In each the last row belongs to z, and in `state` so does the last column: the spike of the step before.

    """

    state: tuple[Row, ...]
    port: tuple[Row, ...]
    parameter: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """Derivatives of a model.

    Attributes
    ----------
    program : Program
    rows : tuple of str
        The states and z.
    ports, trainable : tuple of str
    definitions : tuple of Definition
        Intermediate derivatives, in terms of which the entries are written, after the program's own.
    jacobian : dict
        By case. Without refractoriness there is no case ``refractory``.

    """

    program: Program
    rows: tuple[str, ...]
    ports: tuple[str, ...]
    trainable: tuple[str, ...]
    definitions: tuple[Definition, ...]
    jacobian: dict[Case, Jacobian]


def derive(model: Model, trainable: tuple[str, ...] = ()) -> Derivatives:
    """Differentiate a model's step by its states, its ports and the named parameters.

    Raises
    ------
    ModelError
        If a symbol is not defined, or a line has no derivative and is not detached.

    """
    program = make_program(model)
    rows = (*program.states, SPIKE)
    definitions: dict[Expression, str] = {}
    cases = [c for c in CASES if c != "refractory" or model.refractory is not None]

    def columns(case: Case, by: Iterable[str]) -> tuple[Row, ...]:
        derived = [_column(program, case, variable, definitions) for variable in by]
        return tuple(tuple(column[k] for column in derived) for k in range(len(rows)))

    jacobian = {
        case: Jacobian(state=columns(case, rows), port=columns(case, program.ports), parameter=columns(case, trainable))
        for case in cases
    }
    return Derivatives(
        program=program,
        rows=rows,
        ports=program.ports,
        trainable=trainable,
        definitions=tuple(Definition(name=n, expression=e) for e, n in definitions.items()),
        jacobian=jacobian,
    )


def _column(program: Program, case: Case, variable: str, definitions: dict[Expression, str]) -> Row:
    """Return derivatives of the new states and of z by one variable, through the definitions one after the other."""
    dots: dict[str, Expression] = {variable: ONE}

    def follow(series: tuple[Definition, ...]) -> None:
        for d in series:
            keeps = d.held and case == "refractory"
            dot = dots.get(d.held, ZERO) if keeps else differentiate(d.expression, dots)
            if not is_zero(dot):
                dots[d.name] = _defined(dot, definitions)

    follow(program.before)
    spike = multiply(name(PSI), dots[THRESHOLD]) if THRESHOLD in dots else ZERO
    if not is_zero(spike):
        dots[PRESENT_SPIKE] = _defined(spike, definitions)
    follow(program.observed)
    after = program.after
    if case == "spiking":
        dots.pop(PRESENT_SPIKE, None)  # a constant in the reset
        follow(program.reset)
        after = after | program.after_reset
    return (*(differentiate(after[s], dots) for s in program.states), spike)


def _defined(dot: Expression, definitions: dict[Expression, str]) -> Expression:
    """Give a derivative that is more than a name or number a name, the same for equal ones."""
    if isinstance(dot, Name) or dot == ONE:
        return dot
    return name(definitions.setdefault(dot, f"d__{len(definitions)}"))
