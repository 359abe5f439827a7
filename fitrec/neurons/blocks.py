"""A model's step, its adjoint and its eligibility trace as instructions, and what must be kept of a step for the two latter.

Registers given to the code: states ``h0, h1, ...``; ports ``p0, ...`` (their sums), filters of align_pre ports ``f0, ...``
(before the step); currents ``x0, ...``; ``last`` (spike of the step before), ``wait`` (updates the neuron still has to skip);
values kept of a step ``a0, ...``; adjoints of the rows (states and z) ``l0, ...``; an eligibility vector ``e0, ...`` with the
factors ``keep`` and ``gain``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fitrec.errors import ModelError
from fitrec.neurons.algebra import ONE, ZERO, call, divide, is_zero, name, negative, subtract
from fitrec.neurons.derive import PSI, Derivatives, Jacobian, derive
from fitrec.neurons.expression import Expression, Number, Place
from fitrec.neurons.lower import Constants, Instruction, Lowering
from fitrec.neurons.model import DT, SPIKE, Model
from fitrec.neurons.program import MARK, PRESENT_SPIKE, THRESHOLD
from fitrec.neurons.surrogate import surrogate_expression

_WAIT, _SPIKING, _BLOCKED = (stem + MARK for stem in ("wait", "spiking", "blocked"))
_FLAGS = (_SPIKING, _BLOCKED)
_CODE = "code" + MARK  # psi and the flags in one value
_TINY, _REFRACTORY, _HALF_REFRACTORY = (Number(value, Place(0, 0)) for value in (1e-30, -1e30, -1e29))


@dataclass(frozen=True, kw_only=True)
class Code:
    """Straight code: instructions, and for each of its outputs the register or constant with the value."""

    instructions: tuple[Instruction, ...]
    outputs: tuple[tuple[str, str], ...]

    def output(self, prefix: str) -> list[str]:
        """Return the registers of the outputs ``prefix0, prefix1, ...``."""
        return [register for label, register in self.outputs if label.rstrip("0123456789") == prefix]

    def used(self) -> set[str]:
        """Return all registers and constants that are read, by instructions or as outputs."""
        return {o for i in self.instructions for o in i.operands} | {r for _, r in self.outputs}


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A model's code.

    Attributes
    ----------
    constants : tuple of Expression
        Values of ``k0, k1, ...``, expressions of the parameters and dt.
    step : Code
        Outputs ``h`` (new states), ``f`` (new filters), ``spiking``, ``wait``.
    recorded_step : Code
        The same with the outputs ``a``, the values kept for the codes below.
    adjoint : Code
        From ``a`` and ``l``, the derivatives of the loss by the new states and z: outputs ``l`` (by the old states and the
        spike of the step before), ``g`` (by the ports) and ``q`` (by the trainable parameters).
    trace : tuple of Code
        Per port: from ``a`` and ``e`` the output ``e = keep (D e) + gain dh'/dI``, rows as those of ``l``.
    kept : int
        Number of values kept per neuron and step.
    rows : tuple of str
        The states that inputs or trainable parameters reach, and z if it can carry a derivative: where the loss depends on
        spikes themselves or the update uses the spike of the step before.

    """

    derivatives: Derivatives
    rows: tuple[str, ...]
    constants: tuple[Expression, ...]
    step: Code
    recorded_step: Code
    adjoint: Code
    trace: tuple[Code, ...]
    kept: int
    uses_last_spike: bool
    refractory: bool
    filtered: tuple[int, ...]

    def decay(self, port: int) -> str:
        """Return the constant that is the decay of an align_pre port."""
        operands = (f"f{self.filtered.index(port)}", f"p{port}")
        found = (i.operands[0] for i in self.step.instructions if i.operation == "fma" and i.operands[1:] == operands)
        return next(found)


def make_blocks(model: Model, trainable: tuple[str, ...] = (), *, spike_signal: bool = False) -> Blocks:
    """Compile a model to instructions.

    Parameters
    ----------
    trainable : tuple of str
        Parameters to differentiate by.
    spike_signal : bool
        Whether the loss may depend on spikes themselves (a readout), not only on states.

    Raises
    ------
    ModelError
        If a symbol is not defined, a line cannot be differentiated or computed, or nothing depends on a trainable parameter.

    """
    derivatives = derive(model, trainable)
    for k, parameter in enumerate(trainable):
        if all(is_zero(row[k]) for jacobian in derivatives.jacobian.values() for row in jacobian.parameter):
            how = "no state depends on it, or only through detach(...), the surrogate or the filter of a port"
            raise ModelError(f"the parameter {parameter!r} cannot be trained: {how}", source=model.name)
    constants = Constants(derivatives.program.parameters)
    step, outputs = _lower_step(model, derivatives, constants)
    n_step = len(step.instructions)
    entries = _entries(model, derivatives, step)
    chosen = _rows_with_a_path(entries, len(derivatives.rows), constants.name(ZERO), spike_signal)
    rows = tuple(derivatives.rows[k] for k in chosen)
    entries = {part: _chosen(e, len(derivatives.rows), chosen, columns=part == "state") for part, e in entries.items()}
    lead = 0 if model.refractory is None else model.refractory.surrogate_lead
    kept = _kept(step, [e for row in entries.values() for e in row], lead)
    registers = {register: f"a{i}" for i, register in enumerate(kept)}
    recorded = [*outputs, *((f"a{i}", register) for i, register in enumerate(kept))]
    return Blocks(
        derivatives=derivatives,
        rows=rows,
        step=Code(instructions=tuple(step.instructions[:n_step]), outputs=tuple(outputs)),
        recorded_step=_used(step, recorded),
        adjoint=_adjoint(derivatives, len(rows), step, entries, registers, constants),
        trace=tuple(
            _trace(derivatives, len(rows), step, entries, registers, constants, p) for p in range(len(derivatives.ports))
        ),
        kept=len(kept),
        constants=tuple(constants.expressions),  # last: the codes above add to them
        uses_last_spike=derivatives.program.uses_last_spike,
        refractory=model.refractory is not None,
        filtered=tuple(i for i, port in enumerate(model.ports) if port.tau),
    )


def _lower_step(model: Model, derivatives: Derivatives, constants: Constants) -> tuple[Lowering, list[tuple[str, str]]]:
    """Lower the step itself; registers of flags, psi and all definitions stay known for the derivatives."""
    program = derivatives.program
    registers = {s: f"h{i}" for i, s in enumerate(program.states)} | {c: f"x{i}" for i, c in enumerate(program.currents)}
    registers |= {SPIKE: "last", _WAIT: "wait"}
    code = Lowering(constants, registers)
    outputs, filters = [], 0
    for i, port in enumerate(model.ports):
        code.registers[port.name] = f"p{i}"
        if port.tau:
            decay = call("exp", divide(negative(name(DT)), name(port.tau)))
            code.registers[port.name] = code.emit("fma", constants.name(decay), f"f{filters}", f"p{i}")
            outputs.append((f"f{filters}", code.registers[port.name]))
            filters += 1
    waiting = name(_WAIT)
    if model.refractory is not None:
        code.define(_BLOCKED, call("gt", waiting, ZERO))
    for d in program.before:
        value = code.lower(d.expression)
        code.registers[d.name] = code.emit("select", code.registers[_BLOCKED], code.registers[d.held], value) if d.held else value
    fired = code.define(_SPIKING, call("gt" if model.strict else "ge", name(THRESHOLD), ZERO))
    if model.refractory is not None:
        fired = code.registers[_SPIKING] = code.emit("select", code.registers[_BLOCKED], constants.name(ZERO), fired)
        steps = call("max", ZERO, call("round", model.refractory.steps))
        fewer = call("max", ZERO, subtract(waiting, ONE))
        outputs.append(("wait", code.emit("select", fired, constants.name(steps), code.lower(fewer))))
    code.registers[PRESENT_SPIKE] = fired
    for d in (*program.observed, *program.reset):
        code.define(d.name, d.expression)
    for i, state in enumerate(program.states):
        value = code.lower(program.after[state])
        if state in program.after_reset:
            value = code.emit("select", fired, code.lower(program.after_reset[state]), value)
        outputs.append((f"h{i}", value))
    outputs.append(("spiking", fired))
    return code, outputs


def _entries(model: Model, derivatives: Derivatives, step: Lowering) -> dict[str, list[str]]:
    """Lower all derivatives; returns the registers of the entries of each matrix, row by row, flags chosen by case."""
    psi = step.define(PSI, surrogate_expression(model.surrogate, name(THRESHOLD)))
    if model.refractory is not None:
        lead = Number(float(model.refractory.surrogate_lead), Place(0, 0))
        off = step.lower(call("gt", name(_WAIT), lead))
        step.registers[PSI] = step.emit("select", off, step.constants.name(ZERO), psi)
    for d in derivatives.definitions:
        step.define(d.name, d.expression)

    def entry(by_case: list[Expression]) -> str:
        found = [step.lower(e) for e in by_case]
        result = found[0]
        if len(found) == 3 and found[2] != found[0]:
            result = step.emit("select", step.registers[_BLOCKED], found[2], found[0])
        return result if found[1] == found[0] else step.emit("select", step.registers[_SPIKING], found[1], result)

    jacobians = list(derivatives.jacobian.values())

    def matrix(part: str) -> list[str]:
        rows = [getattr(j, part) for j in jacobians]
        return [entry(list(cell)) for row in zip(*rows, strict=True) for cell in zip(*row, strict=True)]

    return {part: matrix(part) for part in Jacobian.__dataclass_fields__}


def _rows_with_a_path(entries: dict[str, list[str]], n_rows: int, zero: str, spike_signal: bool) -> list[int]:
    """Return the rows that an input or a trainable parameter reaches; no derivative passes through the others.

    z, the last row, is among them only if the loss may depend on spikes themselves, or the update on the spike of the step
    before.
    """
    state = entries["state"]
    driven = {part: len(entries[part]) // n_rows for part in ("port", "parameter")}
    reached = {
        k for k in range(n_rows) for part, width in driven.items() if set(entries[part][k * width : (k + 1) * width]) - {zero}
    }
    while True:
        more = {k for k in range(n_rows) if any(state[k * n_rows + i] != zero for i in reached)} - reached
        if not more:
            break
        reached |= more
    if not spike_signal and all(e == zero for e in state[n_rows - 1 :: n_rows]):
        reached -= {n_rows - 1}
    return sorted(reached)


def _chosen(entries: list[str], n_rows: int, chosen: list[int], columns: bool) -> list[str]:
    """Keep the chosen rows, and of a square matrix the chosen columns."""
    width = len(entries) // n_rows
    kept = chosen if columns else range(width)
    return [entries[k * width + i] for k in chosen for i in kept]


def _sources(step: Lowering) -> dict[str, Instruction]:
    return {i.result: i for i in step.instructions}


def _is_constant(register: str) -> bool:
    return register.startswith("k")


def _kept(step: Lowering, entries: Iterable[str], lead: int) -> list[str]:
    """Choose registers from which, with the constants, all entries follow: the fewest of three sets.

    The entries themselves, up to what one varying value and constants give; the same with choices between cases opened; or the
    values everything comes from.
    """
    sources = _sources(step)
    flags = {step.registers[f] for f in _FLAGS if f in step.registers}
    leaves = {step.registers[PSI], *flags}

    def roots(register: str, open_choices: bool, to_leaves: bool) -> set[str]:
        if _is_constant(register):
            return set()
        if register in leaves or register not in sources:
            return {register}
        instruction = sources[register]
        varying = {o for o in instruction.operands if not _is_constant(o)}
        below = len(varying) == 1 or to_leaves or (open_choices and instruction.operation == "select" and bool(varying & flags))
        return set().union(*(roots(o, open_choices, to_leaves) for o in varying)) if below else {register}

    wanted = [e for e in entries if not _is_constant(e)]
    candidates = [
        sorted(set().union(*(roots(e, *how) for e in wanted)), key=_order)
        for how in ((True, False), (False, False), (True, True))
    ]
    coded = {step.registers[PSI], *flags}
    code = _one_for_all(step) if lead == 0 else None  # else psi returns while the neuron is refractory

    def values(kept: list[str]) -> int:
        return len(kept) - (len(coded) - 1 if code and coded.issubset(kept) else len(flags) == 2 and flags.issubset(kept))

    best = min(candidates, key=values)
    if code and coded.issubset(best):
        return [code, *(r for r in best if r not in coded)]
    if len(flags) == 2 and flags.issubset(best):  # one value says both: 1 where it spiked, -1 where it was refractory
        mode = step.emit("sub", *(step.registers[f] for f in _FLAGS))
        return [mode, *(r for r in best if r not in flags)]
    return best


def _one_for_all(step: Lowering) -> str:
    """Return a register that holds psi and the flags in one value.

    Where the neuron is silent it is psi; where it spiked ``-(psi + tiny)``, the tiny number, which no sum notices, for the sake
    of psi = 0; where it was refractory, and so psi is 0, a number that psi never has.
    """
    marked = step.emit("neg", step.emit("add", step.registers[PSI], step.constants.name(_TINY)))
    code = step.emit("select", step.registers[_SPIKING], marked, step.registers[PSI])
    if _BLOCKED in step.registers:
        code = step.emit("select", step.registers[_BLOCKED], step.constants.name(_REFRACTORY), code)
    step.registers[_CODE] = code
    return code


def _order(register: str) -> tuple[str, int]:
    stem = register.rstrip("0123456789")
    return stem, int(register[len(stem) :] or 0)


def _used(step: Lowering, outputs: list[tuple[str, str]]) -> Code:
    """Only the instructions that the outputs need."""
    sources = _sources(step)
    needed: set[str] = set()
    stack = [register for _, register in outputs]
    while stack:
        register = stack.pop()
        if register in sources and register not in needed:
            needed.add(register)
            stack.extend(sources[register].operands)
    return Code(instructions=tuple(i for i in step.instructions if i.result in needed), outputs=tuple(outputs))


class _Replay:
    """Computes registers of the step anew from what was kept."""

    def __init__(self, step: Lowering, kept: dict[str, str], constants: Constants, prefix: str) -> None:
        self.sources, self.known = _sources(step), dict(kept)
        self.code = Lowering(constants, {}, prefix)
        code = step.registers.get(_CODE, "")
        if code in kept:
            self._decode(step, kept[code])
        mode = step.find("sub", *(step.registers.get(f, "") for f in _FLAGS))
        if mode in kept:
            zero = constants.name(ZERO)
            self.known[step.registers[_SPIKING]] = self.code.emit("gt", kept[mode], zero)
            self.known[step.registers[_BLOCKED]] = self.code.emit("gt", zero, kept[mode])

    def _decode(self, step: Lowering, code: str) -> None:
        """Take apart what `_one_for_all` put together."""
        zero = self.code.constants.name(ZERO)
        spiking, psi = self.code.emit("gt", zero, code), self.code.emit("abs", code)
        if _BLOCKED in step.registers:
            blocked = self.code.emit("gt", self.code.constants.name(_HALF_REFRACTORY), code)
            self.known[step.registers[_BLOCKED]] = blocked
            spiking = self.code.emit("sub", spiking, blocked)
            psi = self.code.emit("select", blocked, zero, psi)
        self.known |= {step.registers[_SPIKING]: spiking, step.registers[PSI]: psi}

    def value(self, register: str) -> str:
        """Return the register here that holds what `register` held in the step."""
        if _is_constant(register):
            return register
        if register not in self.known:
            instruction = self.sources[register]
            self.known[register] = self.code.emit(instruction.operation, *(self.value(o) for o in instruction.operands))
        return self.known[register]

    def combination(self, terms: list[tuple[str, str]]) -> str | None:
        """Sum of products of (factor here, entry of the step), from left to right; None if all entries are 0."""
        zero, one = self.code.constants.name(ZERO), self.code.constants.name(ONE)
        result = None
        for factor, entry in terms:
            if entry == zero:
                continue
            if result is None:
                result = factor if entry == one else self.code.emit("mul", factor, self.value(entry))
            elif entry == one:
                result = self.code.emit("add", result, factor)
            else:
                result = self.code.emit("fma", factor, self.value(entry), result)
        return result


def _adjoint(
    derivatives: Derivatives,
    n_rows: int,
    step: Lowering,
    entries: dict[str, list[str]],
    kept: dict[str, str],
    constants: Constants,
) -> Code:
    replay = _Replay(step, kept, constants, "b")
    outputs = []
    for part, label, width in (
        ("state", "l", n_rows),
        ("port", "g", len(derivatives.ports)),
        ("parameter", "q", len(derivatives.trainable)),
    ):
        for column in range(width):
            terms = [(f"l{k}", entries[part][k * width + column]) for k in range(n_rows)]
            outputs.append((f"{label}{column}", replay.combination(terms) or constants.name(ZERO)))
    return Code(instructions=tuple(replay.code.instructions), outputs=tuple(outputs))


def _trace(
    derivatives: Derivatives,
    n_rows: int,
    step: Lowering,
    entries: dict[str, list[str]],
    kept: dict[str, str],
    constants: Constants,
    port: int,
) -> Code:
    replay = _Replay(step, kept, constants, "c")
    n_ports = len(derivatives.ports)
    outputs = []
    for k in range(n_rows):
        moved = replay.combination([(f"e{j}", entries["state"][k * n_rows + j]) for j in range(n_rows)])
        driven = replay.combination([("gain", entries["port"][k * n_ports + port])])
        if moved is None:
            result = driven or constants.name(ZERO)
        elif driven is None:
            result = replay.code.emit("mul", "keep", moved)
        else:
            result = replay.code.emit("fma", "keep", moved, driven)
        outputs.append((f"e{k}", result))
    return Code(instructions=tuple(replay.code.instructions), outputs=tuple(outputs))
