"""Explicit fused multiply-add, and the exponential, the same on every machine (DESIGN section 4)."""

from math import factorial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# exp(x) = 2^n exp(r), n = rint(x / ln 2), |r| <= ln(2) / 2; Taylor series of exp(r), the rest below half a unit in the last
# place.
LOG2E = 1.4426950408889634
# ln 2 in two parts, the first with zeros at its end; limits of x; degree of the series; the exponent's bias, place and width.
EXP = {
    "float": (0.693359375, -2.12194440054690583e-4, -87.0, 88.0, 7, 127, 23, 32),
    "double": (0.693147180369123816490, 1.90821492927058770002e-10, -708.0, 709.0, 13, 1023, 52, 64),
}


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c with one rounding, in the type of the arguments (float32 or float64)."""
    if not (a == b == c and isinstance(a, types.Float)):
        return None
    signature = a(a, b, c)

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return signature, codegen


@intrinsic
def exp(typingctx: Any, x: Any) -> Any:
    """Return the exponential of x, kept between about 1e-38 and 1e38 (float32) or 1e-307 and 1e307 (float64)."""
    if not isinstance(x, types.Float):
        return None
    return x(x), lambda context, builder, signature, args: exp_series(builder, args[0])


def exp_series(builder: Any, x: Any) -> Any:
    """Emit the exponential of a number or of a vector of numbers: a fixed series of exact operations, element by element."""
    is_vector = isinstance(x.type, ir.VectorType)
    element = x.type.element if is_vector else x.type
    high, low, smallest, largest, degree, bias, place, bits = EXP[str(element)]
    whole = ir.VectorType(ir.IntType(bits), x.type.count) if is_vector else ir.IntType(bits)
    width = f"v{x.type.count}" if is_vector else ""

    def constant(value: float, kind: Any = x.type) -> Any:
        return ir.Constant(kind, [ir.Constant(kind.element, value)] * kind.count if is_vector else value)

    def call(name: str, *args: Any) -> Any:
        kind = ir.FunctionType(x.type, [x.type] * len(args))
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.{width}f{bits}"), args)

    given = x
    x = builder.select(builder.fcmp_ordered(">", x, constant(smallest)), x, constant(smallest))
    x = builder.select(builder.fcmp_ordered("<", x, constant(largest)), x, constant(largest))
    n = call("rint", builder.fmul(x, constant(LOG2E)))
    r = call("fma", n, constant(-low), call("fma", n, constant(-high), x))
    result = constant(1.0 / factorial(degree))
    for k in range(degree - 1, -1, -1):
        result = call("fma", result, r, constant(1.0 / factorial(k)))
    exponent = builder.add(builder.fptosi(n, whole), constant(bias, whole))
    exponent = builder.shl(exponent, constant(place, whole))
    result = builder.fmul(result, builder.bitcast(exponent, x.type))
    return builder.select(builder.fcmp_unordered("uno", given, given), given, result)  # not a number stays so, to be found
