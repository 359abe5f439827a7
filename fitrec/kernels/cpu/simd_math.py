"""Arithmetic on the vectors of `simd`, one instruction each: what the code of neuron models is made of.

Every operation is element by element and IEEE-exact but `vexp`, which is a fixed series of such operations, the same as in the
CUDA code; so a model's bits do not depend on the machine. Flags are 1 or 0 as numbers.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fitrec.kernels.cpu.math import exp_series
from fitrec.kernels.cpu.simd import WIDTH, Vector, element_pointer, repeat, vector_intrinsic

Builder = Any


def _operation(arguments: int, make: Callable[..., Any]) -> Any:
    """Intrinsic from vectors of one kind to a vector of that kind."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        return make(builder, *args)

    def typed(*vectors: Any) -> Any:
        if not isinstance(vectors[0], Vector) or any(v != vectors[0] for v in vectors):
            return None
        return vectors[0](*vectors), codegen

    if arguments == 1:
        return intrinsic(lambda typingctx, a: typed(a))
    if arguments == 2:
        return intrinsic(lambda typingctx, a, b: typed(a, b))
    return intrinsic(lambda typingctx, a, b, c: typed(a, b, c))


def _constant(value: Any, number: float) -> Any:
    return ir.Constant(value.type, [ir.Constant(value.type.element, number)] * WIDTH)


def _flag(builder: Builder, bits: Any, like: Any) -> Any:
    return builder.select(bits, _constant(like, 1.0), _constant(like, 0.0))


def _choose(builder: Builder, flag: Any, yes: Any, no: Any) -> Any:
    return builder.select(builder.fcmp_unordered("!=", flag, _constant(flag, 0.0)), yes, no)


vadd = _operation(2, lambda builder, a, b: builder.fadd(a, b))
vsub = _operation(2, lambda builder, a, b: builder.fsub(a, b))
vdiv = _operation(2, lambda builder, a, b: builder.fdiv(a, b))
vneg = _operation(1, lambda builder, a: builder.fneg(a))
vsqrt = _operation(1, lambda builder, a: vector_intrinsic(builder, "llvm.sqrt", [a]))
vabs = _operation(1, lambda builder, a: vector_intrinsic(builder, "llvm.fabs", [a]))
vmin = _operation(2, lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b))
vmax = _operation(2, lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
vge = _operation(2, lambda builder, a, b: _flag(builder, builder.fcmp_ordered(">=", a, b), a))
vgt = _operation(2, lambda builder, a, b: _flag(builder, builder.fcmp_ordered(">", a, b), a))
vselect = _operation(3, _choose)
vexp = _operation(1, exp_series)


@intrinsic
def vbits(typingctx: Any, flags: Any) -> Any:
    """Return an integer whose bit i says whether flag i is set."""
    if not isinstance(flags, Vector):
        return None

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        bits = builder.fcmp_unordered("!=", args[0], _constant(args[0], 0.0))
        return builder.zext(builder.bitcast(bits, ir.IntType(WIDTH)), ir.IntType(64))

    return types.int64(flags), codegen


@intrinsic
def take_fixed(typingctx: Any, array: Any, offset: Any, scale: Any) -> Any:
    """Sixteen int64 of the flat array from `offset`, rounded to the type of `scale` and multiplied by it; they become 0."""
    if not (isinstance(array, types.Array) and array.dtype == types.int64 and isinstance(scale, types.Float)):
        return None
    vector = Vector(scale)

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, signature.args[0], args[0], args[1])
        whole = ir.VectorType(ir.IntType(64), WIDTH)
        pointer = builder.bitcast(pointer, whole.as_pointer())
        element = context.get_value_type(scale)
        value = builder.sitofp(builder.load(pointer, align=8), ir.VectorType(element, WIDTH))
        builder.store(ir.Constant(whole, [ir.Constant(ir.IntType(64), 0)] * WIDTH), pointer, align=8)
        return builder.fmul(value, repeat(builder, args[2]))

    return vector(array, types.intp, scale), codegen
