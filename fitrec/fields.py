"""Declares what the arrays of a domain object mean: their axes and units.

Domain objects (Recording, Targets, Network, ...) are frozen dataclasses of arrays. Each array field is declared with
`array(...)`, so that its axes and units stand once, beside its name, and the store writes them as `dimension_names` and `units`.
"""

import dataclasses
from typing import Any


def array(*dims: str, units: str = "", default: Any = dataclasses.MISSING) -> Any:
    """Dataclass field for an array.

    Parameters
    ----------
    dims : str
        Name of each axis, in order, for example ``"trial", "time", "unit"``.
    units : str
        Unit of the values (``"Hz"``, ``"s"``, ``"spikes/bin"``, ``"1"`` for pure numbers); empty for ids and indices.
    default : Any
        Default value; give None for an array that may be absent.

    """
    return dataclasses.field(default=default, metadata={"dims": dims, "units": units})
