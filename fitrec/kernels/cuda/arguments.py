"""Structs of kernel arguments: a NamedTuple of arrays and NumPy scalars in the layout that C gives the same struct."""

from functools import cache
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
    kinds, values = _kinds_and_values(fields)
    return np.array([values], _layout(kinds))


# A NamedTuple's class, then of each field the class of NumPy's scalars, or None for a pointer, or the same of a nested one.
_Kinds = tuple[Any, ...]


def _kinds_and_values(fields: tuple[Any, ...]) -> tuple[_Kinds, tuple[Any, ...]]:
    kinds: list[Any] = [type(fields)]
    values: list[Any] = []
    kind: Any
    number: Any
    for value in fields:
        if isinstance(value, np.generic):
            kind, number = type(value), value
        elif isinstance(value, tuple):
            kind, number = _kinds_and_values(value)
        elif hasattr(value, "flags"):
            kind, number = None, address(value)
        else:
            name = fields._fields[len(values)]  # type: ignore[attr-defined]
            raise TypeError(
                f"the kernel argument {name} is a {type(value).__name__}; give an array or a NumPy scalar of the C type"
            )
        kinds.append(kind)
        values.append(number)
    return tuple(kinds), tuple(values)


@cache  # made anew it would take longer than all the rest of a launch
def _layout(kinds: _Kinds) -> np.dtype[Any]:
    names, of_fields = kinds[0]._fields, kinds[1:]
    return np.dtype([(name, _field_type(kind)) for name, kind in zip(names, of_fields, strict=True)], align=True)


def _field_type(kind: Any) -> np.dtype[Any]:
    if isinstance(kind, tuple):
        return _layout(kind)
    return np.dtype(np.uintp if kind is None else kind)
