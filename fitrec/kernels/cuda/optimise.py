"""Drives ``optimise.cu``: gradient descent and Adam over flat arrays of weights, on the device."""

from typing import Any

import numpy as np

from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.optimise import PART, Change, Optimization, numbers

BLOCK = 256


def update(
    device: Device, o: Optimization, change: Change, weights: Any, gradient: Any, mean: Any, square: Any, tiny: float
) -> None:
    """Start changing weights; arguments as those of the reference, arrays on the device. Does not wait."""
    size = len(weights)
    struct = pack(numbers(o, change, np.dtype(weights.dtype), tiny))
    args = (struct, np.int32(o.optimizer), np.int32(change.constraint), weights, gradient, mean, square, np.int64(size))
    if size:
        device.launch("optimise", f"optimise_update_{_name(weights)}", -(-size // BLOCK), BLOCK, args)


def squares(device: Device, constraint: int, scale: float, weights: Any, gradient: Any) -> Any:
    """Start summing the squares of the derivatives; see `kernels.cpu.optimise.squares`. Does not wait.

    Returns
    -------
    (part,) float64
        On the device.

    """
    size = len(weights)
    parts = device.xp.zeros(-(-size // PART), np.float64)
    args = (np.int32(constraint), weights.dtype.type(scale), weights, gradient, np.int64(size), parts)
    if size:
        device.launch("optimise", f"optimise_squares_{_name(weights)}", -(-32 * len(parts) // BLOCK), BLOCK, args)
    return parts


def divide(device: Device, values: Any, divisor: float) -> None:
    """Start dividing values on the device by a number. Does not wait."""
    size = len(values)
    if size:
        args = (values, values.dtype.type(divisor), np.int64(size))
        device.launch("optimise", f"optimise_divide_{_name(values)}", -(-size // BLOCK), BLOCK, args)


def _name(weights: Any) -> str:
    return "float" if weights.dtype == np.float32 else "double"
