"""A model's step, its adjoint and its eligibility trace as instructions, and what must be kept of a step for the two latter.

Registers given to the code: states ``h0, h1, ...``; ports ``p0, ...`` (their sums), filters of align_pre ports ``f0, ...``
(before the step); currents ``x0, ...``; ``last`` (spike of the step before), ``wait`` (updates the neuron still has to skip);
values kept of a step ``a0, ...``; adjoints of the rows (states and z) ``l0, ...``; an eligibility vector ``e0, ...`` with the
factors ``keep`` and ``gain``.
"""

from dataclasses import dataclass

from fitrec.errors import ModelError
from fitrec.neurons.algebra import ZERO, is_zero
from fitrec.neurons.derive import Derivatives, derive
from fitrec.neurons.expression import Expression
from fitrec.neurons.lower import Constants, Instruction, Lowering
from fitrec.neurons.model import Model
from fitrec.neurons.recall import Replay, values_to_keep
from fitrec.neurons.step_code import choose, lower_entries, lower_step, reached_rows, rows_with_a_path


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
    depends : (row, row) of bool
        Whether a row ever depends on another.
    driven : (port, row) of bool
        Whether a row ever depends on a port.

    """

    derivatives: Derivatives
    rows: tuple[str, ...]
    depends: tuple[tuple[bool, ...], ...]
    driven: tuple[tuple[bool, ...], ...]
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
    step, outputs = lower_step(model, derivatives, constants)
    n_step = len(step.instructions)
    entries = lower_entries(model, derivatives, step)
    chosen = rows_with_a_path(entries, len(derivatives.rows), constants.name(ZERO), spike_signal)
    rows = tuple(derivatives.rows[k] for k in chosen)
    entries = {part: choose(e, len(derivatives.rows), chosen, columns=part == "state") for part, e in entries.items()}
    lead = 0 if model.refractory is None else model.refractory.surrogate_lead
    depends, driven = reached_rows(entries, len(rows), constants.name(ZERO))
    kept = values_to_keep(step, [e for row in entries.values() for e in row], lead)
    registers = {register: f"a{i}" for i, register in enumerate(kept)}
    recorded = [*outputs, *((f"a{i}", register) for i, register in enumerate(kept))]
    return Blocks(
        derivatives=derivatives,
        rows=rows,
        depends=depends,
        driven=driven,
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


def _used(step: Lowering, outputs: list[tuple[str, str]]) -> Code:
    """Only the instructions that the outputs need."""
    sources = step.by_result
    needed: set[str] = set()
    stack = [register for _, register in outputs]
    while stack:
        register = stack.pop()
        if register in sources and register not in needed:
            needed.add(register)
            stack.extend(sources[register].operands)
    return Code(instructions=tuple(i for i in step.instructions if i.result in needed), outputs=tuple(outputs))


def _adjoint(
    derivatives: Derivatives,
    n_rows: int,
    step: Lowering,
    entries: dict[str, list[str]],
    kept: dict[str, str],
    constants: Constants,
) -> Code:
    replay = Replay(step, kept, constants, "b")
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
    replay = Replay(step, kept, constants, "c")
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
