"""Drives ``eprop_plus.cu``: e-prop+ on the device, where weights, traces and Adam's means stay."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.eprop_optimise import adam_rates
from fitrec.kernels.cpu.eprop_plus import TINY_DOUBLE, TINY_SINGLE
from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.eprop_arguments import BLOCK, Cells, OnDevice, packed, unpacked
from fitrec.kernels.eprop import FIRST_STEP, NEVER, Array

MOST_BLOCKS = 32  # beyond, the barriers between them take longer than what they share


class _Sequence(NamedTuple):
    inputs: Any
    spikes: Any
    targets: Any
    y_of_step: Any
    rates: Any
    cells: Cells
    psi_now: Any
    psi: Any
    error_now: Any
    error: Any
    y: Any
    rate: Any
    signal: Any
    too_fast: Any
    zbar_out: Any
    last_arrival: Any
    active: Any
    zbar: Any
    epsilon: Any
    ebar: Any
    ebar_reg: Any
    tiny: Any
    first_step: np.int64
    n_steps: np.int32
    window: np.int32


class Sequences:
    """Runs sequences one after the other, without a reset.

    Parameters
    ----------
    network
        Its weights and moments change.

    """

    def __init__(self, network: OnDevice) -> None:
        self._network, self._step = network, FIRST_STEP
        device, xp, dtype = network.device, network.device.xp, network.dtype
        n_in, n, n_out = network.sizes

        def zeros(*shape: int) -> Any:
            return xp.zeros(shape, dtype)

        self._inputs = np.zeros((1, n_in), np.bool_)  # of the last step
        self._spikes = np.zeros((2, n), np.bool_)  # of the last two
        self._rates = np.empty(0, dtype)
        none = zeros(0)
        self._state = _Sequence(
            inputs=none,
            spikes=none,
            targets=none,
            y_of_step=none,
            rates=none,
            cells=network.cells(1),
            psi_now=zeros(n),
            psi=zeros(n),
            error_now=zeros(n_out),
            error=zeros(n_out),
            y=zeros(n_out),
            rate=zeros(n),
            signal=zeros(n),
            too_fast=zeros(n),
            zbar_out=zeros(n),
            last_arrival=device.asarray(np.full(n_in + n, NEVER)),
            active=xp.zeros(n_in + n, np.uint8),
            zbar=zeros(n_in + n, n),
            epsilon=zeros(n_in + n, n),
            ebar=zeros(n_in + n, n),
            ebar_reg=zeros(n_in + n, n),
            tiny=dtype.type(TINY_SINGLE if dtype.itemsize == 4 else TINY_DOUBLE),
            first_step=np.int64(FIRST_STEP),
            n_steps=np.int32(0),
            window=np.int32(0),
        )

    def learn(self, inputs: NDArray[np.bool_], targets: Array, window: int) -> tuple[Array, NDArray[np.bool_]]:
        """Run one sequence while learning; arguments and result as those of `kernels.cpu.eprop_plus.sequence`. Waits."""
        network, device, n_steps = self._network, self._network.device, len(inputs)
        n_in, n, _ = network.sizes
        arriving = np.concatenate([self._inputs, inputs])
        spikes = np.concatenate([self._spikes, np.zeros((n_steps, n), np.bool_)])
        self._extend_rates(self._step + n_steps)
        state = self._state = self._state._replace(
            inputs=device.asarray(packed(arriving)),
            spikes=device.asarray(packed(spikes)),
            targets=device.asarray(targets.astype(np.float64)),
            y_of_step=device.xp.empty(targets.shape, network.dtype),
            first_step=np.int64(self._step),
            n_steps=np.int32(n_steps),
            window=np.int32(window),
        )
        kernel = network.kernel("eprop_sequence")
        together = device.resident_blocks("eprop_plus", kernel, BLOCK)
        grid = min(-(-(n_in + n) * n // BLOCK), together, MOST_BLOCKS)
        structs = (network.neurons, network.rule, network.learned, network.descent, state)
        arrived = device.xp.zeros(1, np.uint32)
        device.launch("eprop_plus", kernel, grid, BLOCK, (*map(pack, structs), arrived), cooperative=True)
        spikes = unpacked(device.to_host(state.spikes), n)
        self._step, self._inputs, self._spikes = self._step + n_steps, arriving[-1:], spikes[-2:]
        return device.to_host(state.y_of_step), spikes[2:]

    def _extend_rates(self, stop: int) -> None:
        """Have Adam's rates of the iterations before `stop` on the device, and of as many again, to be spared the next."""
        if stop > len(self._rates):
            more = np.empty(2 * stop - len(self._rates), self._network.dtype)
            adam_rates(self._network.optimization, len(self._rates), more)
            self._rates = np.concatenate([self._rates, more])
            self._state = self._state._replace(rates=self._network.device.asarray(self._rates))
