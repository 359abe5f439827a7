"""Vectors of four rows of four columns."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from fitrec.kernels.cpu.quads import load_column, load_row, repeat_all, repeat_each
from fitrec.kernels.cpu.simd import store


@njit
def rows(x: Any, offset: int, stride: int, out: Any) -> None:
    store(out, 0, load_row(x, offset, stride))


@njit
def columns(x: Any, offset: int, column: int, out: Any) -> None:
    store(out, 0, load_column(x, offset, column))


@njit
def repeats(x: Any, offset: int, out: Any) -> None:
    store(out, 0, repeat_each(x, offset))
    store(out, 16, repeat_all(x, offset))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_and_columns_of_a_strip_of_four_columns(dtype: type) -> None:
    x, out = np.arange(200, dtype=dtype).reshape(50, 4), np.empty(16, dtype)
    rows(x, 5 * 4, 40, out)
    np.testing.assert_array_equal(out, x[5::10][:4].ravel())
    for column in range(4):
        columns(x, 7 * 4, column, out)
        np.testing.assert_array_equal(out, x[7:23, column])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeats(dtype: type) -> None:
    x, out = np.arange(9, dtype=dtype), np.empty(32, dtype)
    repeats(x, 3, out)
    np.testing.assert_array_equal(out[:16], np.repeat(x[3:7], 4))
    np.testing.assert_array_equal(out[16:], np.tile(x[3:7], 4))
