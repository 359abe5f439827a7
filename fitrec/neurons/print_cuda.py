"""A model's code for CUDA: functions for one neuron."""

from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fitrec.kernels.cuda.series import exponential
from fitrec.kernels.cuda.source import with_constants
from fitrec.neurons.blocks import Blocks, Code
from fitrec.neurons.lower import Instruction
from fitrec.neurons.model import Model

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_CALLS = {
    "fma": "mul_add",
    "min": "smaller",
    "max": "larger",
    "select": "choose",
    "exp": "exponential",
    "sqrt": "root",
    "abs": "magnitude",
}
_COMPARISONS = {"ge": ">=", "gt": ">"}
_TEMPLATES = "fitrec.neurons.templates"
_LOOPS = ("loop.cu", "gradient.cu", "back.cu", "traces.cu", "eligibility.cu")
_FUNCTION = "__device__ __forceinline__"


def cuda_module(name: str, blocks: Blocks, vectors: tuple[int, ...], dtype: np.dtype[Any], noise_state: int | None) -> str:
    """Text of a source with the model's functions and its loops over time; arguments as of `cuda_functions`."""
    own = cuda_functions(name, blocks, vectors, dtype, noise_state)
    loops = (f'#line 1 "{part}"\n{files(_TEMPLATES).joinpath(part).read_text()}' for part in _LOOPS)
    return with_constants("\n".join((own, *loops)), f"{name}.cu")


def cuda_functions(
    name: str,
    blocks: Blocks,
    vectors: tuple[int, ...] = (),
    dtype: DTypeLike = np.float32,
    noise_state: int | None = None,
) -> str:
    """Text of the model's own functions: its step, the step that is recorded, one step back, and the eligibility traces.

    Parameters
    ----------
    vectors : tuple of int
        Constants that differ between neurons, in the order of ``Parameters.vectors``.
    noise_state : int, optional
        Number of the state that noise is added to.

    """
    printer = _Printer(blocks, vectors, noise_state)
    parts = [
        _header(name, blocks, np.dtype(dtype)),
        *([exponential(single=np.dtype(dtype) == np.float32)] if printer.uses_exponential() else []),
        printer.step("step", "", blocks.step, []),
        printer.recorded_step(),
        printer.adjoint(),
        *(printer.trace(port) for port in range(len(blocks.trace))),
        printer.traces(),
    ]
    return "\n\n".join(parts) + "\n"


def noise_state(model: Model) -> int | None:
    """Return the number of the state that noise is added to."""
    return None if model.noise is None else [s.name for s in model.states].index(model.noise.state)


def _header(name: str, blocks: Blocks, dtype: np.dtype[Any]) -> str:
    sizes = {
        "N_STATES": len(blocks.derivatives.program.states),
        "N_PORTS": len(blocks.derivatives.ports),
        "N_FILTERS": len(blocks.filtered),
        "N_CURRENTS": len(blocks.derivatives.program.currents),
        "N_ROWS": max(1, len(blocks.rows)),  # without any, no gradient is ever asked for
        "N_KEPT": blocks.kept,
        "N_TRAINABLE": len(blocks.derivatives.trainable),
        "N_SCALARS": max(1, len(blocks.constants)),
        "USES_LAST_SPIKE": int(blocks.uses_last_spike),
    }
    real = "float" if dtype == np.float32 else "double"
    defined = "\n".join(f"#define {key} {value}" for key, value in sizes.items())
    return f'// {name}: code made by fitrec from the model\'s equations.\ntypedef {real} Real;\n{defined}\n#include "model.cuh"'


class _Printer:
    def __init__(self, blocks: Blocks, vectors: tuple[int, ...], noise_state: int | None) -> None:
        self.blocks, self.vectors = blocks, {f"k{c}": i for i, c in enumerate(vectors)}
        self.noise_state = noise_state

    def uses_exponential(self) -> bool:
        """Whether any code takes an exponential."""
        codes = (self.blocks.recorded_step, self.blocks.step, self.blocks.adjoint, *self.blocks.trace)
        return any(i.operation == "exp" for code in codes for i in code.instructions)

    def recorded_step(self) -> str:
        """Return the step that keeps what the derivatives need."""
        code = self.blocks.recorded_step
        stores = [f"tape[{k} * m.width + i] = {r};" for k, r in enumerate(code.output("a"))]
        return self.step("recorded_step", ", Real* tape", code, stores)

    def step(self, name: str, extra: str, code: Code, stores: list[str]) -> str:
        """Return a step, which says whether the neuron spiked; `deviate` is that of the noise."""
        b = self.blocks
        used, results = code.used(), dict(code.outputs)
        given = []
        for k in range(len(b.derivatives.program.states)):
            value = f"s.states[{k} * m.width + i]"
            if k == self.noise_state:
                given.append(f"const Real h{k} = m.noisy ? mul_add(m.noise[i], deviate, {value}) : {value};")
            elif f"h{k}" in used:
                given.append(f"const Real h{k} = {value};")
        ports = range(len(b.derivatives.ports))
        given += [f"const Real p{k} = take_fixed(&s.arriving[{k} * m.width + i], m.scale);" for k in ports]
        given += [f"const Real f{k} = s.filters[{k} * m.width + i];" for k in range(len(b.filtered))]
        currents = range(len(b.derivatives.program.currents))
        given += [f"const Real x{k} = current[{k} * m.width + i];" for k in currents if f"x{k}" in used]
        given += [f"const Real {r} = s.{r}[i];" for r in ("last", "wait") if r in used]
        states = enumerate(code.output("h"))
        stores = stores + [f"s.states[{k} * m.width + i] = {r};" for k, r in states if r != f"h{k}" or k == self.noise_state]
        stores += [f"s.filters[{k} * m.width + i] = {r};" for k, r in enumerate(code.output("f"))]
        if b.refractory:
            stores.append(f"s.wait[i] = {results['wait']};")
        arguments = f"const Scalars& c, const Parameters& m, const Cells& s, const Real* current, Real deviate, int i{extra}"
        body = [*self._body(code, given), *stores, f"return {results['spiking']} != Real(0);"]
        return _function("bool", name, arguments, body)

    def adjoint(self) -> str:
        """Return one step back: rows l, filters y and sums q change; what arrives is written."""
        b, code = self.blocks, self.blocks.adjoint
        used = code.used()
        given = [f"const Real a{k} = tape[{k} * m.width + i];" for k in range(b.kept) if f"a{k}" in used]
        given += [f"const Real l{k} = l[{k}];" for k in range(len(b.rows)) if f"l{k}" in used]
        stores = []
        for port, register in enumerate(code.output("g")):
            if port in b.filtered:
                k = b.filtered.index(port)
                stores.append(f"y[{k}] = mul_add({b.decay(port)}, y[{k}], {register});")
                register = f"y[{k}]"
                used.add(b.decay(port))
            stores.append(f"arriving[{port} * m.width + i] = {register};")
        stores += [f"l[{k}] = {r};" for k, r in enumerate(code.output("l"))]
        stores += [f"q[{k}] = q[{k}] + {r};" for k, r in enumerate(code.output("q"))]
        arguments = "const Scalars& c, const Parameters& m, const Real* tape, int i, Real* l, Real* y, Real* q, Real* arriving"
        return _function("void", "adjoint", arguments, [*self._body(code, given, used), *stores])

    def trace(self, port: int) -> str:
        """Return one step of an eligibility vector driven by one port."""
        b, code = self.blocks, self.blocks.trace[port]
        used = code.used()
        given = [f"const Real a{k} = tape[{k} * m.width + i];" for k in range(b.kept) if f"a{k}" in used]
        given += [f"const Real e{k} = e[{k}];" for k in range(len(b.rows)) if f"e{k}" in used]
        stores = [f"e[{k}] = {r};" for k, r in enumerate(code.output("e"))]
        return _function("void", f"trace{port}", _TRACE, [*self._body(code, given), *stores])

    def traces(self) -> str:
        """Return one step of an eligibility vector driven by any port."""
        ports = range(len(self.blocks.trace))
        cases = [f"if (port == {p}) trace{p}(c, m, tape, i, e, keep, gain);" for p in ports]
        return _function("void", "trace", f"int port, {_TRACE}", cases)

    def _body(self, code: Code, given: list[str], used: set[str] | None = None) -> list[str]:
        """Constants, given values and instructions."""
        read = code.used() if used is None else used
        constants = sorted((r for r in read if r.startswith("k") and r[1:].isdigit()), key=lambda r: int(r[1:]))
        return [*map(self._constant, constants), *given, *map(_line, code.instructions)]

    def _constant(self, register: str) -> str:
        own = self.vectors.get(register)
        value = f"c.k[{register[1:]}]" if own is None else f"m.vectors[{own} * m.width + i]"
        return f"const Real {register} = {value};"


_TRACE = "const Scalars& c, const Parameters& m, const Real* tape, int i, Real* e, Real keep, Real gain"


def _function(result: str, name: str, arguments: str, body: list[str]) -> str:
    return "\n".join([f"{_FUNCTION} {result} {name}({arguments}) {{", *(f"    {line}" for line in body), "}"])


def _line(instruction: Instruction) -> str:
    operation, operands = instruction.operation, instruction.operands
    if operation in _INFIX:
        value = f" {_INFIX[operation]} ".join(operands)
    elif operation in _COMPARISONS:
        value = f"flag({f' {_COMPARISONS[operation]} '.join(operands)})"
    elif operation == "neg":
        value = f"-{operands[0]}"
    else:
        value = f"{_CALLS[operation]}({', '.join(operands)})"
    return f"const Real {instruction.result} = {value};"
