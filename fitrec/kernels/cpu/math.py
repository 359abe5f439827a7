"""Explicit fused multiply-add, exponential and logarithm, the same on every machine (DESIGN section 4)."""

from math import factorial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
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
# exp(r) - 1 = r + r^2 (1/2 + r/6 + ...), highest order first; log(1 + f) = 2 s (1 + z / 3 + z^2 / 5 + ...) with
# s = f / (2 + f), z = s^2, which is f - f^2 / 2 + s (f^2 / 2 + 2 z (1 / 3 + z / 5 + ...)).
EXPM1 = tuple(1.0 / factorial(k) for k in range(14, 1, -1))
LOG1P = tuple(1.0 / (2 * k + 1) for k in range(11, 0, -1))
_HIGH, _LOW = EXP["double"][:2]
SMALLEST_EXPM1, LARGEST_EXPM1, LARGEST_LOG1P = -40.0, 709.0, 1e308  # of x: beyond, the results are kept at these
ROOT_HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)


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
def ones(typingctx: Any, word: Any) -> Any:
    """Return the number of ones among the bits of an unsigned integer, in its type."""
    if not (isinstance(word, types.Integer) and not word.signed):
        return None
    return word(word), lambda context, builder, signature, args: builder.ctpop(args[0])


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


@intrinsic
def _bits(typingctx: Any, x: Any) -> Any:
    """Return the bits of a float64 as an int64."""
    return types.int64(types.float64), lambda context, builder, signature, args: builder.bitcast(args[0], ir.IntType(64))


@intrinsic
def _from_bits(typingctx: Any, bits: Any) -> Any:
    """Return the float64 that an int64 is made of."""
    return types.float64(types.int64), lambda context, builder, signature, args: builder.bitcast(args[0], ir.DoubleType())


@njit(inline="always")
def expm1(given):
    """Return exp(x) - 1 of a float64, right to two units in the last place."""
    x = given if given > SMALLEST_EXPM1 else SMALLEST_EXPM1
    x = x if x < LARGEST_EXPM1 else LARGEST_EXPM1
    n = np.rint(x * LOG2E)
    r = fma(n, -_LOW, fma(n, -_HIGH, x))
    series = EXPM1[0]
    for k in range(1, len(EXPM1)):
        series = fma(series, r, EXPM1[k])
    power = _from_bits((np.int64(n) + 1023) << 52)
    return fma(power, fma(r * r, series, r), power - 1.0)


@njit(inline="always")
def log1p(given):
    """Return log(1 + x) of a float64 that is not negative, right to two units in the last place."""
    x = given if given < LARGEST_LOG1P else LARGEST_LOG1P
    u = 1.0 + x
    return _log_of_sum(u, x - (u - 1.0) if x < 1.0 else 1.0 - (u - x))


@njit(inline="always")
def log(x):
    """Return the logarithm of a float64 that is positive, finite and not denormal, right to two units in the last place."""
    return _log_of_sum(x, 0.0)


@njit(inline="always")
def _log_of_sum(u, lost):
    """Return log(u + lost), `lost` being what rounding took from u."""
    exponent = (_bits(u) - ROOT_HALF) >> 52
    f = _from_bits(_bits(u) - (exponent << 52)) - 1.0  # the rest lies between sqrt(1/2) and sqrt(2)
    s = f / (2.0 + f)
    z = s * s
    series = LOG1P[0]
    for k in range(1, len(LOG1P)):
        series = fma(series, z, LOG1P[k])
    n, half = np.float64(exponent), 0.5 * f * f
    small = s * (half + 2.0 * z * series) + fma(n, _LOW, lost / u)
    return fma(n, _HIGH, f - (half - small))
