"""Arrays that begin at a cache line: a vector that lies across two lines costs two accesses."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LINE_BYTES = 64


def aligned_empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Room for an array, whatever it holds."""
    return _aligned(np.empty, shape, dtype)


def aligned_zeros(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros."""
    return _aligned(np.zeros, shape, dtype)


def is_aligned(array: NDArray[Any]) -> bool:
    """Whether an array begins at a cache line."""
    return bool(array.ctypes.data % LINE_BYTES == 0)


def _aligned(make: Callable[..., NDArray[Any]], shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = make(size + LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % LINE_BYTES
    return np.asarray(raw[start : start + size].view(dtype).reshape(shape))
