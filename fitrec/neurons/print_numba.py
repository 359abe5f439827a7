"""A model's code for numba: functions over vectors of sixteen neurons."""

from importlib.resources import files

from fitrec.neurons.blocks import Blocks, Code
from fitrec.neurons.lower import Instruction

_CALLS = {"mul": "vmul", "fma": "vfma"}
_HEADER = '''"""{title}: code made by fitrec from the model's equations."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.model_loop import add_gradient, add_recurrent, copy, deliver_events
from fitrec.kernels.cpu.model_state import STEPS_BACK, TAPE_AHEAD, Parameters
from fitrec.kernels.cpu.noise import GROUP as NOISE_GROUP
from fitrec.kernels.cpu.noise import fill_deviates
from fitrec.kernels.cpu.simd import broadcast, load, prefetch, spread, store, stream, vfma, vmul
from fitrec.kernels.cpu.simd_math import (
    take_fixed,
    vabs,
    vadd,
    vbits,
    vdiv,
    vexp,
    vge,
    vgt,
    vmax,
    vmin,
    vneg,
    vselect,
    vsqrt,
    vsub,
)
from fitrec.kernels.cpu.team import meet

N_ROWS = {rows}
USES_LAST_SPIKE = {uses_last_spike}
'''


def numba_module(name: str, blocks: Blocks, vector_constants: tuple[int, ...]) -> str:
    """Text of a module with the model's functions and its loops over time; arguments as of `numba_functions`."""
    loops = files("fitrec.neurons.templates").joinpath("loop.py").read_text().split("\n", 1)[1]  # without its docstring
    return numba_functions(name, blocks, vector_constants) + "\n\n" + loops.strip("\n") + "\n"


def numba_functions(name: str, blocks: Blocks, vector_constants: tuple[int, ...] = ()) -> str:
    """Text of the model's own functions: its step, the step that is recorded, steps back, and the eligibility traces.

    Parameters
    ----------
    vector_constants : tuple of int
        Constants that differ between neurons, in the order of ``Parameters.vectors``.

    """
    printer = _Printer(blocks, vector_constants)
    parts = [
        _HEADER.format(title=name, rows=len(blocks.rows), uses_last_spike=blocks.uses_last_spike),
        printer.step(),
        printer.recorded_step(),
        printer.adjoint(),
        *(printer.trace(port) for port in range(len(blocks.trace))),
        printer.traces(),
    ]
    return "\n\n".join(p.strip("\n") + "\n" for p in parts)


class _Printer:
    def __init__(self, blocks: Blocks, vector_constants: tuple[int, ...]) -> None:
        self.blocks, self.vectors = blocks, {f"k{c}": i for i, c in enumerate(vector_constants)}

    def step(self) -> str:
        """Return the step without record."""
        return self._step("step", "", self.blocks.step, [])

    def recorded_step(self) -> str:
        """Return the step that keeps what the derivatives need."""
        code = self.blocks.recorded_step
        return self._step(
            "recorded_step", ", tape", code, [f"stream(tape, {i} * width + i, {r})" for i, r in enumerate(code.output("a"))]
        )

    def _step(self, name: str, extra: str, code: Code, stores: list[str]) -> str:
        b = self.blocks
        used = code.used()
        given = [
            f"h{k} = load(state.states, {k} * width + i)" for k in range(len(b.derivatives.program.states)) if f"h{k}" in used
        ]
        given += [f"p{k} = take_fixed(state.buffers, {k} * width + i, scale)" for k in range(len(b.derivatives.ports))]
        given += [f"f{k} = load(state.filters, {k} * width + i)" for k in range(len(b.filtered))]
        given += [f"x{k} = load(current, {k} * width + i)" for k in range(len(b.derivatives.program.currents)) if f"x{k}" in used]
        given += [f"{r} = load(state.{r}, i)" for r in ("last", "wait") if r in used]
        results = dict(code.outputs)
        stores = stores + [f"store(state.states, {k} * width + i, {r})" for k, r in enumerate(code.output("h")) if r != f"h{k}"]
        stores += [f"store(state.filters, {k} * width + i, {r})" for k, r in enumerate(code.output("f"))]
        if b.refractory:
            stores.append(f"store(state.wait, i, {results['wait']})")
        lines = [
            "@njit(nogil=True, cache=True)",
            f"def {name}(state, current, parameters, n, source, count{extra}):",
            "    width = parameters.width",
            "    scale = parameters.scale",
            *self._constants(used),
            "    for i in range(0, width, 16):",
            *(f"        {line}" for line in [*self._vectors(used), *given, *map(_line, code.instructions), *stores]),
            f"        bits = vbits({results['spiking']})",
            "        if bits != 0:",
            "            for lane in range(min(16, n - i)):",
            "                if (bits >> lane) & 1:",
            "                    source[count] = i + lane",
            "                    count += 1",
            "    return count",
        ]
        return "\n".join(lines)

    def adjoint(self) -> str:
        """Return some steps back for a range of neurons: sixteen at a time, whose adjoints stay in registers meanwhile."""
        b, code = self.blocks, self.blocks.adjoint
        rows, sums = range(len(b.rows)), list(enumerate(code.output("q")))
        used = code.used() | {b.decay(port) for port in b.filtered}
        kept = {f"l{k}": f"adjoints, {k} * width + i" for k in rows}
        kept |= {f"y{k}": f"filters, {k} * width + i" for k in range(len(b.filtered))}
        kept |= {f"q{k}": f"sums, {k} * width + i" for k, _ in sums}
        tape = [(f"a{k}", f"tape, (t * {b.kept} + {k}) * width + i") for k in range(b.kept) if f"a{k}" in used]
        body = [f"prefetch({at} + TAPE_AHEAD)" for _, at in tape] + [f"{a} = load({at})" for a, at in tape]
        body += map(_line, code.instructions)
        for port, register in enumerate(code.output("g")):
            if port in b.filtered:
                y = f"y{b.filtered.index(port)}"
                body.append(f"{y} = vfma({b.decay(port)}, {y}, {register})")
                register = y
            body.append(f"store(arriving, ((t - low) * {len(b.derivatives.ports)} + {port}) * width + i, {register})")
        body += [f"q{k} = vadd(q{k}, {r})" for k, r in sums]
        body += [f"new{k} = {r}" for k, r in enumerate(code.output("l"))] + [f"l{k} = new{k}" for k in rows]
        lines = [
            "@njit(nogil=True, cache=True)",
            "def adjoint(tape, low, high, signals, adjoints, arriving, filters, parameters, sums, first, last):",
            "    width = parameters.width",
            "    size = signals.states.shape[1]",
            *(f"    place{k} = signals.place[{k}] * width" for k in rows),
            *self._constants(used),
            "    for i in range(first, last, 16):",
            *(f"        {line}" for line in [*self._vectors(used), *(f"{r} = load({at})" for r, at in kept.items())]),
            "        row, wait = high // signals.every, high % signals.every",
            "        spike_row, spike_wait = (high - 1) // signals.spikes_every, (high - 1) % signals.spikes_every",
            "        for t in range(high - 1, low - 1, -1):",
            "            if wait == 0:",
            "                row, wait = row - 1, signals.every",
            *(
                line
                for k in rows
                for line in (
                    f"                if place{k} >= 0:",
                    f"                    l{k} = vadd(l{k}, load(signals.states, row * size + place{k} + i))",
                )
            ),
            "            wait -= 1",
            "            if signals.spikes.shape[0] > 0:",
            f"                l{len(rows) - 1} = vadd(l{len(rows) - 1}, load(signals.spikes, spike_row * width + i))",
            "                if spike_wait == 0:",
            "                    spike_row, spike_wait = spike_row - 1, signals.spikes_every",
            "                spike_wait -= 1",
            *(f"            {line}" for line in body),
            *(f"        store({at}, {r})" for r, at in kept.items()),
        ]
        return "\n".join(lines)

    def trace(self, port: int) -> str:
        """Return one step of an eligibility vector driven by one port."""
        b, code = self.blocks, self.blocks.trace[port]
        used = code.used()
        given = [f"a{k} = load(tape, {k} * width + i)" for k in range(b.kept) if f"a{k}" in used]
        given += [f"e{k} = load(trace, {k} * width + i)" for k in range(len(b.rows)) if f"e{k}" in used]
        stores = [f"store(trace, {k} * width + i, {r})" for k, r in enumerate(code.output("e"))]
        return "\n".join(
            [
                "@njit(nogil=True, cache=True)",
                f"def trace{port}(tape, trace, factor, amount, parameters, first, last):",
                "    width = parameters.width",
                "    keep = broadcast(factor)",
                "    gain = broadcast(amount)",
                *self._constants(used),
                "    for i in range(first, last, 16):",
                *(f"        {line}" for line in [*self._vectors(used), *given, *map(_line, code.instructions), *stores]),
            ]
        )

    def traces(self) -> str:
        """Return one step of an eligibility vector driven by any port."""
        arguments = "(tape, trace, keep, gain, parameters, first, last)"
        ports = range(len(self.blocks.trace))
        return "\n".join(
            [
                "@njit(nogil=True, cache=True)",
                f"def trace(port, {arguments[1:]}:",
                *(f"    {'el' if port else ''}if port == {port}:\n        trace{port}{arguments}" for port in ports),
            ]
        )

    def _constants(self, used: set[str]) -> list[str]:
        scalars = sorted(
            (r for r in used if r.startswith("k") and r[1:].isdigit() and r not in self.vectors), key=lambda r: int(r[1:])
        )
        return [f"    {r} = spread(parameters.scalars, {r[1:]})" for r in scalars]

    def _vectors(self, used: set[str]) -> list[str]:
        return [f"{r} = load(parameters.vectors, {k} * width + i)" for r, k in self.vectors.items() if r in used]


def _line(instruction: Instruction) -> str:
    function = _CALLS.get(instruction.operation, "v" + instruction.operation)
    return f"{instruction.result} = {function}({', '.join(instruction.operands)})"
