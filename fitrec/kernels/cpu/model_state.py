"""What the compiled code of neuron models works on.

Arrays per neuron are padded to whole vectors and flat: row k begins at k * padded.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.aligned import aligned_zeros
from fitrec.kernels.cpu.simd import WIDTH

Floats = NDArray[np.float32] | NDArray[np.float64]
# Fixed point of the input buffers, in bits after the point: sums have no order and are exact. Float64 is for checking, with
# weights rounded to 3e-14.
FIXED_BITS = {np.dtype(np.float32): 32, np.dtype(np.float64): 44}
STEPS_BACK = 8  # that a vector of neurons goes back at a time: more, and too many rows of the tape are read at once
TAPE_AHEAD = 8 * WIDTH  # neurons whose rows of the tape are asked for before their turn
CHUNK = 4 * STEPS_BACK  # steps between two meetings of threads on the way back


def padded(n: int) -> int:
    """Neurons rounded up to whole vectors."""
    return -(-n // WIDTH) * WIDTH


class Parameters(NamedTuple):
    """Values of a model's constants."""

    scalars: Floats  # (constant,), 0 for those in `vectors`
    vectors: Floats  # (constant that differs between neurons * padded,)
    noise: Floats  # (padded,) amplitude, or empty
    scale: np.float32 | np.float64  # value of one unit of the input buffers
    one: float  # units of the input buffers per unit of weight
    width: int  # padded


class Wiring(NamedTuple):
    """Synapses as CSR by source: neurons first, then inputs. A target is ``port * padded + neuron``.

    Static weights are in fixed point; plastic ones are rounded to it when their source spikes.
    """

    static_indptr: NDArray[np.int64]
    static_target: NDArray[np.int32]
    static_fixed: NDArray[np.int64]
    plastic_indptr: NDArray[np.int64]
    plastic_target: NDArray[np.int32]
    plastic_weight: Floats


class State(NamedTuple):
    """Everything that changes from step to step."""

    states: Floats  # (state * padded,)
    filters: Floats  # (align_pre port * padded,)
    buffers: NDArray[np.int64]  # (port * padded,), sums of the spikes that arrive in this step
    last: Floats  # (padded,), 1 for neurons that spiked in the step before
    wait: Floats  # (padded,), updates the neuron still has to skip


class Events(NamedTuple):
    """Spikes by step, those of step t from indptr[t] to indptr[t + 1]."""

    indptr: NDArray[np.int64]
    source: NDArray[np.int32]


class Drive(NamedTuple):
    """Values of the currents, and where noise enters."""

    current: Floats  # (row, current * padded); row t // every holds for step t, the last row from there on
    every: int
    noise_state: int
    trial: int
    condition: int
    seed: int


class BackSignals(NamedTuple):
    """Derivatives of the loss, as they are added to the adjoints on the way back."""

    place: NDArray[np.int64]  # (row,) of each adjoint among the rows of `states`, -1 if it has none
    states: Floats  # (sample, signal row * padded), by the states at the end of every `every`-th step
    every: int
    spikes: Floats  # (sample or 0, padded), by the spikes of each step; sample t // spikes_every is step t's
    spikes_every: int


def new_state(n: int, initial: NDArray[np.float64], filters: int, ports: int, dtype: np.dtype) -> State:
    """State at the beginning of a trial; `initial` (state,) or (state, neuron)."""
    width = padded(n)
    states = aligned_zeros((len(initial), width), dtype)
    states[:, :n] = initial if initial.ndim == 2 else initial[:, None]
    return State(
        states=states.reshape(-1),
        filters=aligned_zeros(filters * width, dtype),
        buffers=aligned_zeros(ports * width, np.int64),
        last=aligned_zeros(width, dtype),
        wait=aligned_zeros(width, dtype),
    )
