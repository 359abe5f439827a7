"""Synapses of networks of compiled neurons: CSR by source."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fitrec.kernels.cpu.model_state import padded


@dataclass(frozen=True, kw_only=True)
class Synapses:
    """Synapses by source: the neurons first, then the inputs.

    Attributes
    ----------
    indptr : (source + 1,) int64
    target : (synapse,) int32
        ``port * padded(n) + neuron``, ascending in each row.
    weight : (synapse,) float
        Initial weights.
    order : (synapse,) int64
        Where each synapse stood in what `make_synapses` was given.

    """

    indptr: NDArray[np.int64]
    target: NDArray[np.int32]
    weight: NDArray[Any]
    order: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of synapses."""
        return len(self.target)

    def source(self) -> NDArray[np.int32]:
        """Source of each synapse."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))


def make_synapses(
    n: int,
    n_inputs: int,
    source: ArrayLike,
    neuron: ArrayLike,
    weight: ArrayLike,
    port: ArrayLike = 0,
    dtype: DTypeLike = np.float32,
) -> Synapses:
    """Sort synapses by source and target.

    Parameters
    ----------
    n, n_inputs : int
        Numbers of neurons and of inputs; source n + i is input i.
    source, neuron, weight, port : (synapse,)
        Presynaptic neuron or input, postsynaptic neuron, weight, and the number of the port; one number serves for all.

    """
    source = np.asarray(source, np.int64)
    target = np.broadcast_to(np.asarray(port, np.int64), source.shape) * padded(n) + np.asarray(neuron, np.int64)
    order = np.lexsort((target, source))
    counts = np.bincount(source, minlength=n + n_inputs)
    return Synapses(
        indptr=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        target=target[order].astype(np.int32),
        weight=np.broadcast_to(np.asarray(weight, dtype), source.shape)[order],
        order=order,
    )


def no_synapses(n: int, n_inputs: int, dtype: DTypeLike = np.float32) -> Synapses:
    """Return synapses that are none."""
    return make_synapses(n, n_inputs, np.zeros(0), np.zeros(0), np.zeros(0), dtype=dtype)
