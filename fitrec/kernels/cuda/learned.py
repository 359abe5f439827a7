"""Drives ``learned.cu``: the weights and parameters that a gradient fit learns, and their gradients, on the device."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device

BLOCK = 256


class _Places(NamedTuple):
    place: Any
    n_synapses: np.int64
    first_ff: np.int64
    condition: np.int64


class _Rows(NamedTuple):
    n_rows: np.int64
    n_inputs: np.int32
    source: Any
    stride: np.int32
    group: np.int64
    rate_hz: Any
    share: np.float64


class Projection(NamedTuple):
    """Weights from some inputs of each trained neuron, rows that stand one after another among the weights.

    Attributes
    ----------
    first : int
        Where they begin.
    rows, inputs : int
    source : (row, stride), of which the first `inputs` count: index in `rate_hz`, int32 on the device; or an empty array
    stride : int
    group : int
        Without `source`: the rows that share `inputs` rates.
    rate_hz : float64 on the device

    """

    first: int
    rows: int
    inputs: int
    source: Any
    stride: int
    group: int
    rate_hz: Any


class Learned:
    """Weights and sums of gradients on the device, in the order of the optimiser.

    Parameters
    ----------
    weights : (weight,) float32
        On the host: E, I, then feed-forward inputs (condition, trained, ff).
    place : (synapse,)
        Where a synapse of the compiled network stands among the weights, of the first condition if it is a feed-forward one.
    first_ff, per_condition : int
        Where feed-forward weights begin; how many there are of a condition.

    """

    def __init__(
        self, device: Device, weights: NDArray[np.float32], place: NDArray[np.integer], first_ff: int, per_condition: int
    ):
        self.device, self.weights = device, device.asarray(weights)
        self.gradient = device.xp.zeros(len(weights), np.float32)
        self._sums = device.xp.zeros(len(weights), np.float64)
        self._place = device.asarray(place.astype(np.uint32))
        self._first_ff, self._per_condition = first_ff, per_condition

    def flat(self, condition: int) -> Any:
        """Return the weights of a condition in the order of the compiled network's synapses, on the device."""
        flat = self.device.xp.empty(len(self._place), np.float32)
        self._start("learned_flat", len(flat), (self._places(condition), self.weights, flat))
        return flat

    def add(self, condition: int, gradient: Any) -> None:
        """Add a gradient by the compiled network's synapses, (synapse,) on the device."""
        self._start("learned_add", len(gradient), (self._places(condition), gradient, self._sums))

    def shorten(self, projection: Projection, share: float) -> None:
        """Round the sums of a projection's gradients to `gradient`, with their part along the rates multiplied by `share`."""
        p, size = projection, projection.rows * projection.inputs
        sizes = (np.int64(p.rows), np.int32(p.inputs))
        struct = pack(_Rows(*sizes, p.source, np.int32(p.stride), np.int64(p.group), p.rate_hz, np.float64(share)))
        part = slice(p.first, p.first + size)
        if size:
            self._start("learned_shorten", 32 * p.rows, (struct, self._sums[part], self.gradient[part]))

    def put(self, weights: NDArray[np.float32]) -> None:
        """Take other weights from the host."""
        self.weights[:] = self.device.asarray(weights)

    def forget(self) -> None:
        """Set the sums of gradients to 0."""
        self._sums[:] = 0

    def _places(self, condition: int) -> Any:
        sizes = (len(self._place), self._first_ff, condition * self._per_condition)
        return pack(_Places(self._place, *map(np.int64, sizes)))

    def _start(self, kernel: str, threads: int, args: tuple[Any, ...]) -> None:
        self.device.launch("learned", kernel, -(-threads // BLOCK), BLOCK, args)


class LearnedParameters:
    """Parameters of neurons on the device.

    Parameters
    ----------
    initial : of (neuron,) float32, or (1,) for a value that all neurons share
        On the host.
    neurons : (neuron,)
        Those that learn.
    width : int
        Neurons with padding.

    Attributes
    ----------
    values : list
        As `initial`, on the device.

    """

    def __init__(self, device: Device, initial: Sequence[NDArray[np.float32]], neurons: NDArray[np.integer], width: int) -> None:
        self.device, self.values = device, [device.asarray(values) for values in initial]
        self._neurons = device.asarray(neurons.astype(np.int32))
        self._sums = device.xp.zeros((len(self.values), width), np.float64)

    def add(self, gradient: Any) -> None:
        """Add gradients (parameter * padded,), on the device."""
        if self.values:
            self._sums += gradient.reshape(self._sums.shape)

    def gradients(self) -> list[Any]:
        """Return the sums of the gradients by each of the values, rounded."""
        found = []
        for sums, values in zip(self._sums, self.values, strict=True):
            gradient, n = self.device.xp.empty(len(values), np.float32), len(self._neurons)
            args = (sums, self._neurons, np.int32(n), np.int32(len(values) < n), gradient)
            self.device.launch("learned", "learned_parameter", -(-n // BLOCK), BLOCK, args)
            found.append(gradient)
        return found

    def put(self, values: Sequence[NDArray[np.float32]]) -> None:
        """Take other values from the host."""
        for there, given in zip(self.values, values, strict=True):
            there[:] = self.device.asarray(given)

    def to_host(self) -> list[NDArray[np.float32]]:
        """Return copies of the values; waits."""
        return [self.device.to_host(values) for values in self.values]

    def forget(self) -> None:
        """Set the sums of gradients to 0."""
        self._sums[:] = 0
