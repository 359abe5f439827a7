"""Drives ``weights.cu``: weights that are on the device, as the time loop delivers them."""

from typing import Any

import numpy as np

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.lif import Projections

BLOCK = 256


def fix_plastic(device: Device, weights: Any, row: Any, slot: Any, projections: Projections, first: int) -> None:
    """Write plastic weights into the projections.

    Parameters
    ----------
    weights : (trained, >= first + input) float32, on the device
    row, slot : (synapse,) int32, on the device
        Trained neuron and plastic input of each synapse, in the order of the projections.
    first : int
        Columns of `weights` before the plastic ones.

    """
    if n := row.size:
        sizes = (np.int64(n), np.int32(weights.shape[1]), np.int32(first))
        args = (weights, row, slot, projections.plastic_fixed, *sizes)
        device.launch("weights", "weights_fix_plastic", min(-(-n // BLOCK), 65_535), BLOCK, args)


def fix_feed_forward(device: Device, weights: Any, projections: Projections) -> None:
    """Write feed-forward weights, the first columns of (trained, >= ff) float32 on the device, into the projections."""
    n_ff, n_neurons = projections.ff_fixed.shape
    if n := n_ff * n_neurons:
        sizes = (np.int32(n_ff), np.int32(n_neurons), np.int32(weights.shape[1]))
        grid = min(-(-n // BLOCK), 65_535)
        device.launch("weights", "weights_fix_feed_forward", grid, BLOCK, (weights, projections.ff_fixed, *sizes))


def all_finite(device: Device, *weights: Any) -> bool:
    """Whether none of the float32 arrays on the device holds an infinite number or NaN; waits."""
    found = device.xp.zeros(1, np.int32)
    for array in weights:
        if n := array.size:
            args = (array, found, np.int64(n))
            device.launch("weights", "weights_not_finite", min(-(-n // BLOCK), 65_535), BLOCK, args)
    return not device.to_host(found)[0]
