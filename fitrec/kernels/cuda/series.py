"""Exponentials and logarithms in CUDA: the series of `kernels.cpu.math`, with its constants; on top of ``arithmetic.cuh``."""

from math import factorial

import numpy as np

from fitrec.kernels.cpu import math

_FUNCTION = "__device__ __forceinline__"
_HIGH, _LOW = math.EXP["double"][:2]


def exponential(*, single: bool) -> str:
    """Text of the exponential function of one precision: `kernels.cpu.math.exp_series`."""
    high, low, smallest, largest, degree, bias, place, _ = math.EXP["float" if single else "double"]
    real = "float" if single else "double"

    def number(value: float) -> str:
        return f"{float(np.float32(value)).hex()}f" if single else value.hex()

    power = "__int_as_float(((int32_t)n" if single else "__longlong_as_double(((int64_t)n"
    lines = [
        f"{_FUNCTION} {real} exponential({real} given) {{",
        f"    const {real} x = smaller(larger(given, {number(smallest)}), {number(largest)});",
        f"    const {real} n = nearest(x * {number(math.LOG2E)});",
        f"    const {real} r = mul_add(n, {number(-low)}, mul_add(n, {number(-high)}, x));",
        f"    {real} series = {number(1.0 / factorial(degree))};",
        *(f"    series = mul_add(series, r, {number(1.0 / factorial(k))});" for k in range(degree - 1, -1, -1)),
        f"    const {real} result = series * {power} + {bias}) << {place});",
        "    return given == given ? result : given;",
        "}",
    ]
    return "\n".join(lines)


def exp_minus_one() -> str:
    """Text of `kernels.cpu.math.expm1`."""
    first, *others = math.EXPM1
    lines = [
        f"{_FUNCTION} double exp_minus_one(double given) {{",
        f"    const double x = smaller(larger(given, {math.SMALLEST_EXPM1.hex()}), {math.LARGEST_EXPM1.hex()});",
        f"    const double n = nearest(x * {math.LOG2E.hex()});",
        f"    const double r = mul_add(n, {(-_LOW).hex()}, mul_add(n, {(-_HIGH).hex()}, x));",
        f"    double series = {first.hex()};",
        *(f"    series = mul_add(series, r, {number.hex()});" for number in others),
        "    const double power = __longlong_as_double(((int64_t)n + 1023) << 52);",
        "    return mul_add(power, mul_add(r * r, series, r), power - 1.0);",
        "}",
    ]
    return "\n".join(lines)


def logarithms() -> str:
    """Text of `kernels.cpu.math.log1p` and `log`, and of what they share."""
    first, *others = math.LOG1P
    lines = [
        f"{_FUNCTION} double log_of_sum(double u, double lost) {{",
        "    const int64_t bits = __double_as_longlong(u);",
        f"    const int64_t exponent = (bits - {math.ROOT_HALF:#x}) >> 52;",
        "    const double f = __longlong_as_double(bits - (exponent << 52)) - 1.0;",
        "    const double s = f / (2.0 + f), z = s * s;",
        f"    double series = {first.hex()};",
        *(f"    series = mul_add(series, z, {number.hex()});" for number in others),
        "    const double n = (double)exponent, half = 0.5 * f * f;",
        f"    const double small = s * (half + 2.0 * z * series) + mul_add(n, {_LOW.hex()}, lost / u);",
        f"    return mul_add(n, {_HIGH.hex()}, f - (half - small));",
        "}",
        f"{_FUNCTION} double log_one_plus(double given) {{",
        f"    const double x = smaller(given, {math.LARGEST_LOG1P.hex()}), u = 1.0 + x;",
        "    return log_of_sum(u, x < 1.0 ? x - (u - 1.0) : 1.0 - (u - x));",
        "}",
        f"{_FUNCTION} double logarithm(double x) {{ return log_of_sum(x, 0.0); }}",
    ]
    return "\n".join(lines)


def series() -> str:
    """Text of all of them, in both precisions: what ``#include "series.cuh"`` stands for."""
    parts = (exponential(single=True), exponential(single=False), exp_minus_one(), logarithms())
    return '#include "arithmetic.cuh"\n' + "\n".join(parts) + "\n"
