"""Drives ``eprop.cu``: the original e-prop on the device, where weights and Adam's means stay."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.eprop_optimise import adam_rates
from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import reserving
from fitrec.kernels.cuda.eprop_arguments import BLOCK, Cells, OnDevice, packed, unpacked
from fitrec.kernels.eprop import Array
from fitrec.kernels.optimise import Optimizer


class _Intervals(NamedTuple):
    inputs: Any
    targets: Any
    late: Any
    spikes: Any
    output: Any
    filtered: Any
    error: Any
    amounts: Any
    amounts_late: Any
    cells: Cells
    n_intervals: np.int32
    n_steps: np.int32
    window: np.int32
    softmax: np.int32
    divisor: Any


def learn(
    network: OnDevice,
    inputs: NDArray[np.bool_],
    targets: Array,
    late: NDArray[np.bool_],
    *,
    window: int,
    softmax: bool,
    divisor: int,
    iteration: int,
) -> list[tuple[Array, NDArray[np.bool_]]]:
    """Run intervals with the same weights, each from rest, then change the weights by the sum of their gradients; waits.

    Parameters
    ----------
    network
        Its weights and moments change.
    inputs, targets, late
        As of `kernels.cpu.eprop.interval`, behind an axis for the intervals.
    window, softmax
    divisor : int
        Of the sum of gradients.
    iteration : int
        Number of this update, from 1.

    Returns
    -------
    list of ((time, output), (time, neuron) bool)
        Output and spikes of each interval.

    Raises
    ------
    DeviceError
        If the intervals do not fit into the device's memory.

    """
    device, xp, dtype = network.device, network.device.xp, network.dtype
    n_intervals, n_steps = inputs.shape[:2]
    _, n, n_out = network.sizes
    words = packed(inputs)
    spikes_shape, out_shape = (n_intervals, n_steps, -(-n // 32)), (n_intervals, n_steps, n_out)
    of_step = words.shape[-1] * 4 + spikes_shape[-1] * 4 + n_out * (16 + 2 * dtype.itemsize) + n * 2 * dtype.itemsize
    with reserving(device, n_intervals * n_steps * of_step, "a batch of sequences", "take fewer at a time"):
        run = _Intervals(
            inputs=device.asarray(words),
            targets=device.asarray(targets.astype(np.float64)),
            late=device.asarray(late.view(np.uint8)),
            spikes=xp.empty(spikes_shape, np.uint32),
            output=xp.empty(out_shape, dtype),
            filtered=xp.empty(out_shape, dtype),
            error=xp.empty(out_shape, np.float64),
            amounts=xp.empty((n_intervals, n_steps, n), dtype),
            amounts_late=xp.empty((n_intervals, n_steps, n), dtype),
            cells=network.cells(n_intervals),
            n_intervals=np.int32(n_intervals),
            n_steps=np.int32(n_steps),
            window=np.int32(window),
            softmax=np.int32(softmax),
            divisor=dtype.type(divisor),
        )
    descent = network.descent
    if network.optimization.optimizer == Optimizer.ADAM:
        rate = adam_rates(network.optimization, iteration, np.empty(1, dtype))[0]
        descent = descent._replace(numbers=descent.numbers._replace(rate=rate))
    neurons, rule, learned, given = map(pack, (network.neurons, network.rule, network.learned, run))

    def start(name: str, grid: int, block: int, *between: Any) -> None:
        device.launch("eprop", network.kernel(name), grid, block, (neurons, *between, learned, given))

    start("eprop_run", n_intervals, min(-(-n // 32) * 32, BLOCK))
    start("eprop_respond", n_intervals, BLOCK, rule)
    start("eprop_back", -(-n_intervals * n // BLOCK), BLOCK, rule)
    start("eprop_update", -(-network.learned.w.size // BLOCK), BLOCK, pack(descent))
    start("eprop_update_out", -(-network.learned.w_out.size // BLOCK), BLOCK, pack(descent))
    spikes = unpacked(device.to_host(run.spikes), n)
    return list(zip(device.to_host(run.output), spikes, strict=True))
