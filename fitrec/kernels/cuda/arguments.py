"""Structs of kernel arguments: a NamedTuple of arrays and NumPy scalars in the layout that C gives the same struct."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def address(array: Any) -> int:
    """Address of a C-contiguous array's data, on the device or on the host; 0 of an empty one."""
    if not array.flags.c_contiguous:
        raise ValueError(f"kernels need C-contiguous arrays, not one of shape {array.shape} with strides {array.strides}")
    if array.size == 0:
        return 0
    return int(array.ctypes.data) if isinstance(array, np.ndarray) else int(array.data.ptr)


def pack(fields: tuple[Any, ...]) -> NDArray[Any]:
    """Lay out a NamedTuple as a C struct: arrays as pointers, NumPy scalars as they are, NamedTuples as nested structs.

    The caller keeps the arrays alive until the kernel has run.

    Returns
    -------
    (1,) structured array

    """
    layout = _layout(fields)
    return np.array([_values(fields)], layout)


def _layout(fields: tuple[Any, ...]) -> np.dtype[Any]:
    names = fields._fields  # type: ignore[attr-defined]
    return np.dtype([(name, _field_type(name, value)) for name, value in zip(names, fields, strict=True)], align=True)


def _field_type(name: str, value: Any) -> np.dtype[Any]:
    if isinstance(value, tuple):
        return _layout(value)
    if isinstance(value, np.generic):
        return value.dtype
    if hasattr(value, "flags"):
        return np.dtype(np.uintp)
    raise TypeError(f"the kernel argument {name} is a {type(value).__name__}; give an array or a NumPy scalar of the C type")


def _values(fields: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        _values(value) if isinstance(value, tuple) else value if isinstance(value, np.generic) else address(value)
        for value in fields
    )
