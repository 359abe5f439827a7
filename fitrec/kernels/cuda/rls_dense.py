"""Drives ``rls_dense.cu``: dense recursive least squares, which the event-driven form is compared with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.rls_state import new_state, padded
from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device, reserving
from fitrec.kernels.cuda.rls import MAX_BLOCK, NONE_BAD, Signals, Sizes, State


class DenseLearners:
    """Learners that touch all of P at every update; no feed-forward inputs, pools or Dale's law.

    Parameters
    ----------
    p0 : (input, input)
    weights : (neuron, input)
    pre : (neuron, input) int32
    fused : bool
        One pass over P per update, as `kernels.cpu.rls_dense.one_pass_step`; otherwise two, as `two_pass_step`.

    Attributes
    ----------
    p, padded_weights, held : on the device
        `held` is the update that P lacks in the fused form, (neuron, padded input).

    """

    def __init__(
        self, device: Device, p0: NDArray[np.float64], weights: NDArray[np.float32], pre: NDArray[np.int32], *, fused: bool
    ) -> None:
        n_neurons, n_inputs = weights.shape
        width, xp = padded(n_inputs), device.xp
        one = new_state(p0, weights[:1], 1)
        self._device, self._fused, self._update = device, fused, 0
        with reserving(device, n_neurons * 4 * width * (n_inputs + 4), "dense rls", "take fewer inputs or neurons"):
            self.p = xp.empty((n_neurons, n_inputs, width), np.float32)
            self.padded_weights = device.asarray(np.pad(weights, ((0, 0), (0, width - n_inputs))))
            self.held, self._k = (xp.zeros((n_neurons, width), np.float32) for _ in range(2))
        self.p[:] = device.asarray(one.p[0])
        self._factor, self._pre, self._none = xp.zeros(n_neurons, np.float32), device.asarray(pre), xp.zeros(0, np.float32)
        self._bad = device.asarray(np.array([NONE_BAD], np.uint64))
        self._block = max(64, min(MAX_BLOCK, -(-width // 32) * 32))
        numbers = (n_neurons, n_neurons, n_inputs, 0, width, 1, 1, 0, 0, 0, 1, 0, 0, 0)
        self._sizes = Sizes(*(np.int32(number) for number in numbers))
        self._shared = 4 * width * (3 if fused else 2)
        kernel = "rls_one_pass" if fused else "rls_first_pass"
        self._grid = min(n_neurons, device.resident_blocks("rls_dense", kernel, self._block, self._shared))

    def step(self, trace: Any, bias: Any) -> None:
        """Update once from the traces of all neurons and the biases (neuron,), both float32 on the device. Does not wait."""
        state = pack(State(self.p, self._none, self.padded_weights, self._k, self.held, self._none))
        signals = pack(Signals(self._pre, trace, trace, self._none, self._none, bias))
        sizes, update = pack(self._sizes), np.uint32(self._update)

        def launch(kernel: str, *args: Any, shared: int = 0) -> None:
            self._device.launch("rls_dense", kernel, self._grid, self._block, args, shared=shared)

        if self._fused:
            launch("rls_one_pass", state, signals, sizes, update, self._bad, shared=self._shared)
        else:
            launch("rls_first_pass", state, signals, sizes, self._factor, update, self._bad, shared=self._shared)
            launch("rls_second_pass", state, sizes, self._factor)
        self._update += 1

    @property
    def weights(self) -> NDArray[np.float32]:
        """(neuron, input); a copy on the host."""
        return self._device.to_host(self.padded_weights)[:, : int(self._sizes.n_inputs)]
