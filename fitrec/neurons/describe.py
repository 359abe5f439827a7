"""A model in words and formulas: its step, its derivatives and its constants, as a user would write them."""

from fitrec.neurons.algebra import is_zero, name, rename
from fitrec.neurons.blocks import Blocks
from fitrec.neurons.derive import PSI, Derivatives
from fitrec.neurons.expression import Expression, Name, as_text, names
from fitrec.neurons.model import SPIKE, Model
from fitrec.neurons.program import MARK, PRESENT_SPIKE, THRESHOLD, Definition

LAST_SPIKE = "z_last"
_SHOWN = {SPIKE: LAST_SPIKE, PRESENT_SPIKE: SPIKE, THRESHOLD: "u", PSI: "psi"}
_LONG = 70  # characters above which a derivative that is used twice gets a line of its own
_CASES = {"silent": "", "spiking": "after a spike", "refractory": "while refractory"}


class Description:
    """Formulas of a model, with a prime for every new value of a name: v before, v' after the first assignment."""

    def __init__(self, model: Model, blocks: Blocks) -> None:
        self.model, self.blocks = model, blocks
        self.derivatives: Derivatives = blocks.derivatives
        self._names = dict(_SHOWN)
        self._parts: dict[str, Expression] = {}
        program = self.derivatives.program
        for d in (*program.before, *program.observed, *program.reset):
            if d.name not in _SHOWN:
                self._prime(d.name)
        self._inline(self.derivatives.definitions)

    def step(self) -> list[str]:
        """Lines of the step, in the order in which they run."""
        program, model = self.derivatives.program, self.model
        defined = [name(d.name) for d in program.reset]
        lines = [f"{p.name} = sum of the weights of arriving spikes" for p in model.ports if not p.tau]
        lines += [
            f"{p.name} = exp(-dt / {p.tau}) * {p.name} + sum of the weights of arriving spikes" for p in model.ports if p.tau
        ]
        if model.noise is not None:
            lines.insert(0, f"{model.noise.state} = {model.noise.state} + {as_text(model.noise.amplitude)} * normal deviate")
        for d in program.before:
            kept = f"{self._names.get(d.held, d.held)} where refractory, else " if d.held else ""
            lines.append(f"{self._shown(d.name)} = {kept}{self._text(d.expression)}")
        able = " and not refractory" if model.refractory is not None else ""
        lines.append(f"z = 1 where u {'>' if model.strict else '>='} 0{able}, else 0")
        lines += [f"{self._shown(d.name)} = {self._text(d.expression)}" for d in program.observed]
        lines += [f"{s} = {self._text(e)}" for s, e in program.after.items() if not isinstance(e, Name)]  # set to a constant
        lines += [f"{self._shown(d.name)} = {self._text(d.expression)}, where z = 1" for d in program.reset]
        lines += [f"{s} = {self._text(e)}, where z = 1" for s, e in program.after_reset.items() if e not in defined]
        if model.refractory is not None:
            lines.append(f"refractory for {as_text(model.refractory.steps)} steps after a spike")
        return lines

    def jacobian(self, part: str) -> list[str]:
        """Entries of D (``state``) or df/dI (``port``): those of a silent neuron unless 0, then what differs in other cases."""
        derivatives = self.derivatives
        columns = {"state": (*derivatives.rows[:-1], LAST_SPIKE), "port": derivatives.ports}[part]
        lines, silent = [], getattr(derivatives.jacobian["silent"], part)
        for case, jacobian in derivatives.jacobian.items():
            entries = []
            for row, cells, quiet in zip(derivatives.rows, getattr(jacobian, part), silent, strict=True):
                for column, cell, plain in zip(columns, cells, quiet, strict=True):
                    if (case == "silent" and not is_zero(cell)) or cell != plain:
                        entries.append(f"d{row}/d{column} = {self._text(cell)}")
            if entries and _CASES[case]:
                lines.append(f"{_CASES[case]}:")
            lines += entries
        return lines

    def parts(self) -> list[str]:
        """Lines of derivatives that several entries share, and of psi."""
        surrogate, refractory = self.model.surrogate, self.model.refractory
        height, width = as_text(surrogate.height), as_text(surrogate.width)
        psi = f"psi = {surrogate.kind} surrogate of u, height {height}, width {width}"
        if refractory is not None:
            lead = refractory.surrogate_lead
            psi += ", 0 while refractory" + (f" but for the last {lead} step(s)" if lead else "")
        return [*(f"{part} = {self._text(expression)}" for part, expression in self._parts.items()), psi]

    def varying(self) -> list[str]:
        """Entries of D and df/dI that change with time, as 'dv/dg'."""
        found = []
        constant = set(self.derivatives.program.parameters)
        for part, columns in (("state", (*self.derivatives.rows[:-1], LAST_SPIKE)), ("port", self.derivatives.ports)):
            cases = [getattr(j, part) for j in self.derivatives.jacobian.values()]
            for r, row in enumerate(self.derivatives.rows):
                for c, column in enumerate(columns):
                    cells = [case[r][c] for case in cases]
                    fixed = all(n.name in constant for n in names(self._expanded(cells[0])))
                    if not fixed or any(cell != cells[0] for cell in cells):
                        found.append(f"d{row}/d{column}")
        return found

    def constants(self) -> list[tuple[str, Expression]]:
        """Name in the code, and expression, of every constant that is worked out once on the host."""
        return [(f"k{i}", expression) for i, expression in enumerate(self.blocks.constants)]

    def _prime(self, unique: str) -> None:
        target = unique.split(MARK)[0]
        primes = sum(1 for shown in self._names.values() if shown.rstrip("'") == target)
        first = any(target == s.name for s in self.model.states)  # a local variable has no value before the step
        self._names[unique] = target + "'" * (primes + first)

    def _inline(self, definitions: tuple[Definition, ...]) -> None:
        """Write intermediate derivatives out where they stand, but for long ones that are used more than once."""
        self._meaning: dict[str, Expression] = {}
        cells = [cell for j in self.derivatives.jacobian.values() for rows in (j.state, j.port) for row in rows for cell in row]
        uses = [n.name for e in (*cells, *(d.expression for d in definitions)) for n in names(e)]
        for d in definitions:
            expression = self._expanded(d.expression)
            if uses.count(d.name) > 1 and len(as_text(expression)) > _LONG:
                self._parts[f"s{len(self._parts) + 1}"] = expression
                expression = name(f"s{len(self._parts)}")
            self._meaning[d.name] = expression

    def _expanded(self, expression: Expression) -> Expression:
        return rename(expression, lambda n: self._meaning.get(n.name, n))

    def _shown(self, unique: str) -> str:
        return self._names.get(unique, unique)

    def _text(self, expression: Expression) -> str:
        return as_text(rename(self._expanded(expression), lambda n: Name(self._shown(n.name), n.place)))
