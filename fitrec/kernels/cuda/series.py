"""Exponentials and logarithms in CUDA: the series of `kernels.cpu.math`, with its constants; on top of ``arithmetic.cuh``."""

from collections.abc import Sequence
from math import factorial

import numpy as np

from fitrec.kernels.cpu import math

_FUNCTION = "__device__ __forceinline__"
_HIGH, _LOW = math.EXP["double"][:2]


def exponential(*, single: bool) -> str:
    """Text of the exponential function of one precision: `kernels.cpu.math.exp_series`."""
    high, low, smallest, largest, degree, bias, place, _ = math.EXP["float" if single else "double"]
    real = "float" if single else "double"
    power = "__int_as_float(((int32_t)n" if single else "__longlong_as_double(((int64_t)n"
    lines = [
        f"{_FUNCTION} {real} exponential({real} given) {{",
        *_reduced(real, (smallest, largest), (high, low)),
        *_series(real, "r", [1.0 / factorial(k) for k in range(degree, -1, -1)]),
        f"    const {real} result = series * {power} + {bias}) << {place});",
        "    return given == given ? result : given;",
        "}",
    ]
    return "\n".join(lines)


def exp_minus_one() -> str:
    """Text of `kernels.cpu.math.expm1`."""
    lines = [
        f"{_FUNCTION} double exp_minus_one(double given) {{",
        *_reduced("double", (math.SMALLEST_EXPM1, math.LARGEST_EXPM1), (_HIGH, _LOW)),
        *_series("double", "r", math.EXPM1),
        "    const double power = __longlong_as_double(((int64_t)n + 1023) << 52);",
        "    return mul_add(power, mul_add(r * r, series, r), power - 1.0);",
        "}",
    ]
    return "\n".join(lines)


def _reduced(real: str, limits: tuple[float, float], log_2: tuple[float, float]) -> list[str]:
    """Lines that write `given`, within limits, as n log 2 + r; log 2 is the sum of two numbers."""
    (smallest, largest), (high, low) = (_numbers(real, limits), _numbers(real, [-number for number in log_2]))
    return [
        f"    const {real} x = smaller(larger(given, {smallest}), {largest});",
        f"    const {real} n = nearest(x * {_numbers(real, [math.LOG2E])[0]});",
        f"    const {real} r = mul_add(n, {low}, mul_add(n, {high}, x));",
    ]


def _series(real: str, variable: str, coefficients: Sequence[float]) -> list[str]:
    """Lines that work out a polynomial, `series`, the coefficient of the highest power first."""
    first, *others = _numbers(real, coefficients)
    return [f"    {real} series = {first};", *(f"    series = mul_add(series, {variable}, {number});" for number in others)]


def _numbers(real: str, values: Sequence[float]) -> list[str]:
    """Numbers of a precision, exact in the text."""
    return [f"{float(np.float32(value)).hex()}f" if real == "float" else float(value).hex() for value in values]


def logarithms() -> str:
    """Text of `kernels.cpu.math.log1p` and `log`, and of what they share."""
    lines = [
        f"{_FUNCTION} double log_of_sum(double u, double lost) {{",
        "    const int64_t bits = __double_as_longlong(u);",
        f"    const int64_t exponent = (bits - {math.ROOT_HALF:#x}) >> 52;",
        "    const double f = __longlong_as_double(bits - (exponent << 52)) - 1.0;",
        "    const double s = f / (2.0 + f), z = s * s;",
        *_series("double", "z", math.LOG1P),
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
