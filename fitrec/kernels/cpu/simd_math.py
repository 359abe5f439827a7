"""Arithmetic on the vectors of `simd`, one instruction each: what the code of neuron models is made of.

Every operation is element by element and IEEE-exact but `vexp`, which is a fixed series of such operations, the same as in the
CUDA code; so a model's bits do not depend on the machine. Flags are 1 or 0 as numbers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fitrec.kernels.cpu.simd import WIDTH, Vector, element_pointer, repeat, vector_intrinsic

Builder = Any
# exp(x) = 2^n exp(r), n = rint(x / ln 2), |r| <= ln(2) / 2; Taylor series of exp(r), the rest below half a unit in the last
# place.
LOG2E = 1.4426950408889634
# ln 2 in two parts, the first with zeros at its end; limits of x; degree of the series; the exponent's bias, place and width.
EXP = {
    "float": (0.693359375, -2.12194440054690583e-4, -87.0, 88.0, 7, 127, 23, 32),
    "double": (0.693147180369123816490, 1.90821492927058770002e-10, -708.0, 709.0, 13, 1023, 52, 64),
}


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


def _exp(builder: Builder, x: Any) -> Any:
    high, low, smallest, largest, degree, bias, place, bits = EXP[str(x.type.element)]

    def fma(a: Any, b: Any, c: Any) -> Any:
        return vector_intrinsic(builder, "llvm.fma", [a, b, c])

    given = x
    x = builder.select(builder.fcmp_ordered(">", x, _constant(x, smallest)), x, _constant(x, smallest))
    x = builder.select(builder.fcmp_ordered("<", x, _constant(x, largest)), x, _constant(x, largest))
    n = vector_intrinsic(builder, "llvm.rint", [builder.fmul(x, _constant(x, LOG2E))])
    r = fma(n, _constant(x, -low), fma(n, _constant(x, -high), x))
    result = _constant(x, 1.0 / float(np.prod(np.arange(1.0, degree + 1))))
    for k in range(degree - 1, -1, -1):
        result = fma(result, r, _constant(x, 1.0 / float(np.prod(np.arange(1.0, k + 1)))))
    integers = ir.VectorType(ir.IntType(bits), WIDTH)
    exponent = builder.fptosi(n, integers)
    exponent = builder.add(exponent, ir.Constant(integers, [ir.Constant(ir.IntType(bits), bias)] * WIDTH))
    exponent = builder.shl(exponent, ir.Constant(integers, [ir.Constant(ir.IntType(bits), place)] * WIDTH))
    result = builder.fmul(result, builder.bitcast(exponent, x.type))
    return builder.select(builder.fcmp_unordered("uno", given, given), given, result)  # not a number stays so, to be found


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
vexp = _operation(1, _exp)


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
