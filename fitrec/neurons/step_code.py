"""A model's step and the entries of its derivatives as instructions."""

from fitrec.neurons.algebra import ONE, ZERO, call, divide, name, negative, subtract
from fitrec.neurons.derive import PSI, Derivatives, Jacobian
from fitrec.neurons.expression import Expression, Number, Place
from fitrec.neurons.lower import Constants, Lowering
from fitrec.neurons.model import DT, SPIKE, Model
from fitrec.neurons.program import MARK, PRESENT_SPIKE, THRESHOLD
from fitrec.neurons.surrogate import surrogate_expression

SPIKING, BLOCKED = (stem + MARK for stem in ("spiking", "blocked"))
_WAIT = "wait" + MARK


def lower_step(model: Model, derivatives: Derivatives, constants: Constants) -> tuple[Lowering, list[tuple[str, str]]]:
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
        code.define(BLOCKED, call("gt", waiting, ZERO))
    for d in program.before:
        value = code.lower(d.expression)
        code.registers[d.name] = code.emit("select", code.registers[BLOCKED], code.registers[d.held], value) if d.held else value
    fired = code.define(SPIKING, call("gt" if model.strict else "ge", name(THRESHOLD), ZERO))
    if model.refractory is not None:
        fired = code.registers[SPIKING] = code.emit("select", code.registers[BLOCKED], constants.name(ZERO), fired)
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


def lower_entries(model: Model, derivatives: Derivatives, step: Lowering) -> dict[str, list[str]]:
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
            result = step.emit("select", step.registers[BLOCKED], found[2], found[0])
        return result if found[1] == found[0] else step.emit("select", step.registers[SPIKING], found[1], result)

    jacobians = list(derivatives.jacobian.values())

    def matrix(part: str) -> list[str]:
        rows = [getattr(j, part) for j in jacobians]
        return [entry(list(cell)) for row in zip(*rows, strict=True) for cell in zip(*row, strict=True)]

    return {part: matrix(part) for part in Jacobian.__dataclass_fields__}


def rows_with_a_path(entries: dict[str, list[str]], n_rows: int, zero: str, spike_signal: bool) -> list[int]:
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


def reached_rows(entries: dict[str, list[str]], n_rows: int, zero: str) -> tuple[tuple[tuple[bool, ...], ...], ...]:
    """Say what reaches what in any number of steps: (row, row) whether a row depends on another, (port, row) on a port."""
    rows, ports = range(n_rows), range(len(entries["port"]) // n_rows)
    depends = [[r == c or entries["state"][r * n_rows + c] != zero for c in rows] for r in rows]
    for k in rows:
        for r in rows:
            for c in rows:
                depends[r][c] |= depends[r][k] and depends[k][c]
    driven = [[any(depends[r][k] and entries["port"][k * len(ports) + p] != zero for k in rows) for r in rows] for p in ports]
    return tuple(map(tuple, depends)), tuple(map(tuple, driven))


def choose(entries: list[str], n_rows: int, chosen: list[int], columns: bool) -> list[str]:
    """Keep the chosen rows, and of a square matrix the chosen columns."""
    width = len(entries) // n_rows
    kept = chosen if columns else range(width)
    return [entries[k * width + i] for k in chosen for i in kept]
