"""A compiled model's printed numba code, run by Python: one vector of sixteen neurons is a NumPy array.

Compiling a model takes seconds; so every model of the library can be tested, the loops over time included.
"""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from fitrec.kernels.cpu import model_loop, model_state, noise
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.neurons.compile import CompiledModel
from fitrec.neurons.print_numba import numba_module


def as_python(compiled: CompiledModel) -> CompiledModel:
    """Return the model with its CPU code interpreted; networks must have no more than sixteen neurons and one thread."""
    text = numba_module(compiled.model.name, compiled.blocks, compiled.vector_constants)
    body = "\n".join(line for line in text.split("N_ROWS =", 1)[1:])
    names: dict[str, Any] = {**_OPERATIONS, "np": np, "njit": lambda **_: lambda function: function}
    for module in (model_loop, model_state):
        names |= {name: value for name, value in vars(module).items() if not name.startswith("_") and name not in names}
    names |= {"NOISE_GROUP": noise.GROUP, "fill_deviates": noise.fill_deviates}
    exec(compile(f"N_ROWS ={body}", f"<{compiled.model.name}>", "exec"), names)
    return replace(compiled, cpu=SimpleNamespace(**names))  # type: ignore[arg-type]


def _load(array: Any, offset: int) -> Any:
    return array.reshape(-1)[offset : offset + WIDTH].copy()


def _store(array: Any, offset: int, value: Any) -> None:
    assert value.dtype == array.dtype
    array.reshape(-1)[offset : offset + WIDTH] = value


def _take_fixed(array: Any, offset: int, scale: Any) -> Any:
    value = array[offset : offset + WIDTH].astype(type(scale)) * scale
    array[offset : offset + WIDTH] = 0
    return value


def _fma(a: Any, b: Any, c: Any) -> Any:
    wide = np.asarray(a, np.longdouble) * b + c
    return wide.astype(np.result_type(a, b, c))[()]


def _vfma(a: Any, b: Any, c: Any) -> Any:
    assert a.dtype == b.dtype == c.dtype
    return _fma(a, b, c)


_OPERATIONS: dict[str, Any] = {
    "load": _load,
    "store": _store,
    "stream": _store,
    "prefetch": lambda array, offset: None,
    "spread": lambda array, offset: np.full(WIDTH, array[offset]),
    "broadcast": lambda value: np.full(WIDTH, value),
    "take_fixed": _take_fixed,
    "vbits": lambda flags: sum(1 << i for i, flag in enumerate(flags) if flag),
    "fma": _fma,
    "vfma": _vfma,
    "vmul": np.multiply,
    "vadd": np.add,
    "vsub": np.subtract,
    "vdiv": np.divide,
    "vneg": np.negative,
    "vsqrt": np.sqrt,
    "vabs": np.abs,
    "vexp": np.exp,
    "vmin": np.minimum,
    "vmax": np.maximum,
    "vge": lambda a, b: (a >= b).astype(a.dtype),
    "vgt": lambda a, b: (a > b).astype(a.dtype),
    "vselect": lambda flag, yes, no: np.where(flag != 0, yes, no),
}
