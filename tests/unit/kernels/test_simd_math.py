"""Exponential and logarithm in fixed series."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from fitrec.kernels.cpu import math
from fitrec.kernels.cpu.simd import load, store
from fitrec.kernels.cpu.simd_math import vexp

LIMITS = {"float32": (-87.0, 88.0), "float64": (-708.0, 709.0)}


@njit
def exponentials(x: Any, out: Any) -> None:
    for i in range(0, x.shape[0], 16):
        store(out, i, vexp(load(x, i)))


@njit
def one_by_one(x: Any, out: Any) -> None:
    for i in range(x.shape[0]):
        out[i] = math.exp(x[i])


def exp(x: Any, dtype: str) -> Any:
    x = np.asarray(x, dtype)
    out = np.empty(-(-len(x) // 16) * 16, dtype)
    exponentials(np.resize(x, len(out)), out)
    return out[: len(x)]


@pytest.mark.parametrize("dtype", LIMITS)
def test_exp_is_right_to_about_a_unit_in_the_last_place(dtype: str) -> None:
    low, high = LIMITS[dtype]
    rng = np.random.default_rng(0)
    x = np.concatenate((np.linspace(low, high, 200_000), rng.uniform(-1, 1, 200_000), rng.normal(0, 1e-3, 20_000)))
    x = x.astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    units = np.abs(exp(x, dtype) - exact) / np.spacing(exact.astype(dtype))
    assert units.max() < 1.01
    assert exp([0.0, -0.0], dtype).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dtype", LIMITS)
def test_exp_stays_finite_and_hides_nothing(dtype: str) -> None:
    low, high = LIMITS[dtype]
    smallest, largest = exp([low, high], dtype)
    assert 0 < smallest < largest < np.inf
    assert exp([-np.inf, 2 * low], dtype).tolist() == [smallest] * 2
    assert exp([np.inf, 2 * high], dtype).tolist() == [largest] * 2
    assert np.isnan(exp([np.nan], dtype)).all()


@pytest.mark.parametrize("dtype", LIMITS)
def test_a_number_has_the_bits_of_a_vector(dtype: str) -> None:
    x = np.concatenate((np.random.default_rng(1).normal(0, 30, 1000), [0, 1e4, -1e4, np.inf, np.nan])).astype(dtype)
    out = np.empty_like(x)
    one_by_one(x, out)
    np.testing.assert_array_equal(out, exp(x, dtype))


@njit
def logarithm(x: Any, out: Any) -> None:
    for i in range(x.shape[0]):
        out[i] = math.log(x[i])


def test_log_is_right_to_two_units_in_the_last_place() -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate((10.0 ** rng.uniform(-300, 300, 50_000), rng.uniform(0.5, 2, 50_000), [1.0, 2.3e-308, 1.7e308]))
    found = np.empty_like(x)
    logarithm(x, found)
    assert units_of_error(found, np.log(x.astype(np.longdouble))).max() < 2
    assert found[-3] == 0


@njit
def both(x: Any, minus_one: Any, one_plus: Any) -> None:
    for i in range(x.shape[0]):
        minus_one[i] = math.expm1(x[i])
        one_plus[i] = math.log1p(abs(x[i]))


def units_of_error(found: Any, exact: Any) -> Any:
    return np.abs(found - exact) / np.spacing(np.abs(exact).astype(np.float64))


def test_expm1_and_log1p_are_right_to_two_units_in_the_last_place() -> None:
    rng = np.random.default_rng(2)
    wide = 10.0 ** rng.uniform(-300, 300, 50_000)
    x = np.concatenate((np.linspace(-39, 700, 100_000), rng.uniform(-2, 2, 100_000), rng.normal(0, 1e-5, 20_000), wide, [0.0]))
    minus_one, one_plus = np.empty_like(x), np.empty_like(x)
    both(x, minus_one, one_plus)
    for precise, found, among in ((np.expm1, minus_one, x < 80), (np.log1p, one_plus, x >= 0)):
        exact = precise(x[among].astype(np.longdouble))
        assert units_of_error(found[among], exact).max() < 2
        assert (found[among].astype(np.float32) != exact.astype(np.float32)).mean() < 1e-4  # as float32 they are right


def test_expm1_and_log1p_stay_finite() -> None:
    x = np.array([-1e300, -np.inf, 1e300, np.inf])
    minus_one, one_plus = np.empty_like(x), np.empty_like(x)
    both(x, minus_one, one_plus)
    assert minus_one[:2].tolist() == [-1.0, -1.0]
    assert np.isfinite(minus_one).all()
    assert np.isfinite(one_plus).all()
