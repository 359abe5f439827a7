"""A model's step as a list of definitions, each of them computed once from those before it."""

from dataclasses import dataclass

from fitrec.errors import ModelError
from fitrec.neurons.algebra import name, rename
from fitrec.neurons.expression import Expression, Name, Statement, names
from fitrec.neurons.model import DT, SPIKE, Model

PRESENT_SPIKE = "z__"  # this step's spike; SPIKE is that of the step before
THRESHOLD = "u__"
MARK = "__"  # stands in every name that the compiler makes; a model's own names must not hold it


@dataclass(frozen=True, kw_only=True)
class Definition:
    """``name = expression``; with `held`, the expression where the neuron is not refractory, and the state `held` where it is."""

    name: str
    expression: Expression
    held: str = ""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A model's step.

    Attributes
    ----------
    parameters : tuple of str
        The model's parameters and dt.
    states, ports, currents : tuple of str
        Names of values given at the beginning of a step. ``z``, if in `uses_last_spike`, is given too.
    before : tuple of Definition
        The update, and last the threshold variable ``u__``.
    observed : tuple of Definition
        What needs this step's spike ``z__``.
    reset : tuple of Definition
        What is computed for neurons that spiked.
    after : dict
        For each state its value after `observed`, the name of a definition or an expression of parameters.
    after_reset : dict
        For each state that is reset its value after `reset`.
    uses_last_spike : bool

    """

    parameters: tuple[str, ...]
    states: tuple[str, ...]
    ports: tuple[str, ...]
    currents: tuple[str, ...]
    before: tuple[Definition, ...]
    observed: tuple[Definition, ...]
    reset: tuple[Definition, ...]
    after: dict[str, Expression]
    after_reset: dict[str, Expression]
    uses_last_spike: bool


class _Scope:
    """Which definition a name means at present."""

    def __init__(self, model: Model) -> None:
        self.parameters = (*(p.name for p in model.parameters), DT)
        given = [*self.parameters, *(s.name for s in model.states), *(p.name for p in model.ports)]
        self.meaning: dict[str, Expression] = {n: name(n) for n in [*given, *(c.name for c in model.currents), SPIKE]}
        self.count = 0

    def resolve(self, expression: Expression) -> Expression:
        """Return the expression in terms of definitions."""

        def meaning(use: Name) -> Expression:
            if use.name not in self.meaning:
                raise ModelError(f"undefined symbol {use.name!r}", use.place.line, use.place.column)
            return self.meaning[use.name]

        return rename(expression, meaning)

    def define(self, target: str, expression: Expression, held: str = "") -> Definition | None:
        """Give `target` a new meaning; what is made of parameters alone needs no definition, it is a number."""
        if not held and all(n.name in self.parameters for n in names(expression)):
            self.meaning[target] = expression
            return None
        self.count += 1
        unique = f"{target}{MARK}{self.count}"
        self.meaning[target] = name(unique)
        return Definition(name=unique, expression=expression, held=held)

    def run(self, statements: tuple[Statement, ...]) -> list[Definition]:
        """Definitions of a series of statements."""
        made = (self.define(s.target, self.resolve(s.expression)) for s in statements)
        return [d for d in made if d is not None]


def make_program(model: Model) -> Program:
    """Bring a model's step into single assignments.

    Raises
    ------
    ModelError
        If a symbol is not defined.

    """
    scope = _Scope(model)
    states = tuple(s.name for s in model.states)
    before = scope.run(model.update)
    for state in model.refractory.hold if model.refractory is not None else ():
        if scope.meaning[state] != name(state):
            held = scope.define(state, scope.meaning[state], held=state)
            assert held is not None
            before.append(held)
    before.append(Definition(name=THRESHOLD, expression=scope.resolve(model.threshold)))
    uses_last_spike = any(n.name == SPIKE for d in before for n in names(d.expression))
    scope.meaning[SPIKE] = name(PRESENT_SPIKE)
    observed = scope.run(model.observe)
    after = {s: scope.meaning[s] for s in states}
    reset = scope.run(model.reset)
    return Program(
        parameters=scope.parameters,
        states=states,
        ports=tuple(p.name for p in model.ports),
        currents=tuple(c.name for c in model.currents),
        before=tuple(before),
        observed=tuple(observed),
        reset=tuple(reset),
        after=after,
        after_reset={s: scope.meaning[s] for s in states if scope.meaning[s] != after[s]},
        uses_last_spike=uses_last_spike,
    )
