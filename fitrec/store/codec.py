"""Domain objects as zarr v3 groups.

Any frozen dataclass of arrays, tables and plain values can be saved. Arrays lie in the group under their field's name with
`dimension_names` and `units`; a table is a subgroup with one array per column; plain values stand under ``fields`` in the group's
attributes. An array that is None is absent. Nothing is pickled.
"""

import dataclasses
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

import fitrec
from fitrec.atomic import atomic_path
from fitrec.errors import MissingFileError, StoreError
from fitrec.store.digest import SNAKEMAKE_TIMESTAMP

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")

# Small enough to be read in part, large enough that a usual array is one file.
_CHUNK_BYTES = 32 * 2**20


def save(path: Path, obj: Any, attrs: Mapping[str, Any], overwrite: bool = False) -> None:
    """Write a domain object as a zarr group, all or nothing.

    Parameters
    ----------
    path : Path
        The group's folder.
    obj : dataclass
        The object; its class name becomes the attribute ``kind``.
    attrs : mapping
        Further attributes, above all ``config_hash`` and ``source_sha256``.
    overwrite : bool
        Replace an existing store.

    Raises
    ------
    StoreError
        If the store exists or cannot be written.

    """
    with atomic_path(path, overwrite) as temporary:
        group = zarr.create_group(temporary, zarr_format=3)
        plain = {}
        for field in dataclasses.fields(obj):
            value = getattr(obj, field.name)
            dims = field.metadata.get("dims", ())
            if isinstance(value, pd.DataFrame):
                _write_table(group.create_group(field.name), value, dims[0] if dims else "row")
            elif isinstance(value, np.ndarray):
                _write_array(group, field.name, value, dims, field.metadata.get("units", ""))
            elif value is not None:
                plain[field.name] = _plain(value)
        group.attrs.update(
            {"kind": type(obj).__name__, "fitrec_version": fitrec.__version__, **_plain(dict(attrs)), "fields": plain}
        )


def load(path: Path, cls: type[T]) -> T:
    """Read a domain object that `save` wrote.

    Raises
    ------
    MissingFileError
        If `path` does not exist.
    StoreError
        If it is no store, holds another kind of object, or is damaged.

    """
    group = open_store(path)
    kind = group.attrs.get("kind")
    if kind != cls.__name__:
        raise StoreError(f"{path} holds a {kind or 'zarr group of unknown origin'}; a {cls.__name__} is wanted here")
    try:
        fields: Any = group.attrs["fields"]
        values: dict[str, Any] = dict(fields)
        values |= {name: _read_array(array) for name, array in group.arrays()}
        values |= {name: _read_table(table) for name, table in group.groups()}
        known = {field.name for field in dataclasses.fields(cls)}
        # A field that this version does not know comes from another version: what is left must still make a whole object.
        return cls(**{name: value for name, value in values.items() if name in known})
    except Exception as error:
        raise StoreError(f"{path} is damaged ({error}); remove it and run its stage again") from error


def open_store(path: Path) -> zarr.Group:
    """Open a zarr group for reading, without the warning about the file that Snakemake leaves in its outputs."""
    if not path.exists():
        raise MissingFileError(f"{path} does not exist; run the stage that writes it first")
    warnings.filterwarnings("ignore", message=f".*{re.escape(SNAKEMAKE_TIMESTAMP)}")
    try:
        return zarr.open_group(path, mode="r", zarr_format=3)
    except Exception as error:
        raise StoreError(f"{path} is not a store written by fitrec, or is damaged ({error})") from error


def read_attributes(path: Path) -> dict[str, Any]:
    """Attributes of a store: ``kind``, ``fitrec_version``, ``config_hash``, ``source_sha256``, ``fields``, ..."""
    return dict(open_store(path).attrs)


def _write_array(group: zarr.Group, name: str, values: NDArray[Any], dims: tuple[str, ...], units: str) -> None:
    if dims and len(dims) != values.ndim:
        raise TypeError(f"{name} has shape {values.shape}, but its axes are {dims}")
    text = values.dtype.kind in "UTO"
    if values.dtype.kind == "O" and not all(isinstance(v, str) for v in values.flat):
        raise TypeError(f"{name} holds values that are neither numbers nor strings")
    array = group.create_array(
        name,
        shape=values.shape,
        dtype="string" if text else values.dtype,
        chunks=_chunks(values),
        dimension_names=dims or None,
        attributes={"units": units} if units else {},
        # A missing chunk then means damage, instead of being read as zeros.
        config={"write_empty_chunks": True},
    )
    if values.size:
        array[...] = values.astype(object) if text else values


def _chunks(values: NDArray[Any]) -> tuple[int, ...]:
    """Whole array, or blocks of its first axis when it is large."""
    if values.ndim == 0:
        return ()
    rows = max(1, _CHUNK_BYTES * values.shape[0] // max(1, values.nbytes))
    return (max(1, min(rows, values.shape[0])), *(max(1, n) for n in values.shape[1:]))


def _read_array(array: Any) -> NDArray[Any]:
    if array.size and array.nchunks_initialized < array.nchunks:
        raise ValueError(f"{array.nchunks - array.nchunks_initialized} of {array.nchunks} chunks of {array.path} are missing")
    values = np.asarray(array[...])
    return values.astype(object).astype(str) if values.dtype.kind in "TO" else values


def _write_table(group: zarr.Group, table: pd.DataFrame, dim: str) -> None:
    columns = [str(column) for column in table.columns]
    names = [c if re.fullmatch(r"[^\W_][\w.-]*", c) else f"_{i}" for i, c in enumerate(columns)]
    for name, column in zip(names, table.columns, strict=True):
        _write_array(group, name, table[column].to_numpy(), (dim,), "")
    group.attrs.update({"columns": columns, "arrays": names, "rows": len(table)})


def _read_table(group: zarr.Group) -> pd.DataFrame:
    columns: Any = group.attrs["columns"]
    names: Any = group.attrs["arrays"]
    table = pd.DataFrame(index=pd.RangeIndex(int(str(group.attrs["rows"]))))
    for column, name in zip(columns, names, strict=True):
        table[column] = _read_array(group[name])
    return table


def _plain(value: Any) -> Any:
    """Convert a value to the types that JSON has."""
    if isinstance(value, Mapping):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be stored as an attribute: {value!r}")
