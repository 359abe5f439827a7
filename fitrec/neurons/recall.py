"""What is kept of a step for its derivatives, and their code from what was kept."""

from collections.abc import Iterable

from fitrec.neurons.algebra import ONE, ZERO
from fitrec.neurons.derive import PSI
from fitrec.neurons.expression import Number, Place
from fitrec.neurons.lower import Constants, Lowering
from fitrec.neurons.program import MARK
from fitrec.neurons.step_code import BLOCKED, SPIKING

_FLAGS = (SPIKING, BLOCKED)
_CODE = "code" + MARK  # psi and the flags in one value
_TINY, _REFRACTORY, _HALF_REFRACTORY = (Number(value, Place(0, 0)) for value in (1e-30, -1e30, -1e29))


def _is_constant(register: str) -> bool:
    return register.startswith("k")


def values_to_keep(step: Lowering, entries: Iterable[str], lead: int) -> list[str]:
    """Choose registers from which, with the constants, all entries follow: the fewest of three sets.

    The entries themselves, up to what one varying value and constants give; the same with choices between cases opened; or the
    values everything comes from.
    """
    sources = step.by_result
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
    code = step.emit("select", step.registers[SPIKING], marked, step.registers[PSI])
    if BLOCKED in step.registers:
        code = step.emit("select", step.registers[BLOCKED], step.constants.name(_REFRACTORY), code)
    step.registers[_CODE] = code
    return code


def _order(register: str) -> tuple[str, int]:
    stem = register.rstrip("0123456789")
    return stem, int(register[len(stem) :] or 0)


class Replay:
    """Computes registers of the step anew from what was kept."""

    def __init__(self, step: Lowering, kept: dict[str, str], constants: Constants, prefix: str) -> None:
        self.sources, self.known = step.by_result, dict(kept)
        self.code = Lowering(constants, {}, prefix)
        code = step.registers.get(_CODE, "")
        if code in kept:
            self._decode(step, kept[code])
        mode = step.find("sub", *(step.registers.get(f, "") for f in _FLAGS))
        if mode in kept:
            zero = constants.name(ZERO)
            self.known[step.registers[SPIKING]] = self.code.emit("gt", kept[mode], zero)
            self.known[step.registers[BLOCKED]] = self.code.emit("gt", zero, kept[mode])

    def _decode(self, step: Lowering, code: str) -> None:
        """Take apart what `_one_for_all` put together."""
        zero = self.code.constants.name(ZERO)
        spiking, psi = self.code.emit("gt", zero, code), self.code.emit("abs", code)
        if BLOCKED in step.registers:
            blocked = self.code.emit("gt", self.code.constants.name(_HALF_REFRACTORY), code)
            self.known[step.registers[BLOCKED]] = blocked
            spiking = self.code.emit("select", blocked, zero, spiking)
            psi = self.code.emit("select", blocked, zero, psi)
        self.known |= {step.registers[SPIKING]: spiking, step.registers[PSI]: psi}

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
