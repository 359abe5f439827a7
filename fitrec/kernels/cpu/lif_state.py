"""What the time loop works on: constants, wiring, state, inputs, recorder, and what threads share."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fitrec.kernels.cpu.team import CACHE_LINE

FIXED_ONE = 2.0**32  # one unit of charge in the input buffers


class Membrane(NamedTuple):
    """Scalars of the voltage's update of one population."""

    decay_v: np.float32
    gain_x: np.float32
    gain_s: np.float32
    gain_p: np.float32
    threshold: np.float32
    reset: np.float32
    noise: np.float32
    refractory_steps: np.int32


class Constants(NamedTuple):
    """Scalars of the update, all computed once on the host.

    The update is linear: ``u <- decay_u u + charge_u in`` for both synaptic currents, then
    ``v <- decay_v v + gain_x x + gain_s u_s + own gain_p u_p``; forward Euler and the exact propagator differ in these factors
    only. Neurons 0..n_exc-1 have the membrane `exc`, the others `inh`.
    """

    exc: Membrane
    inh: Membrane
    n_exc: np.int64
    decay_s: np.float32
    charge_s: np.float32
    decay_p: np.float32
    charge_p: np.float32
    seed: np.int64


class Procedural(NamedTuple):
    """Static projections without a table; see ``kernels.cpu.procedural``. The targets depend on the seed of `Constants`."""

    degree: np.int64  # targets per neuron; 0: the static synapses are stored
    strata: NDArray[np.uint32]  # (>= degree + 1,)
    fixed: NDArray[np.int64]  # (2, 2), weight by presynaptic and by postsynaptic population, E first, in fixed point


class Wiring(NamedTuple):
    """Static and plastic projections as CSR by presynaptic neuron, and feed-forward weights, all weights in fixed point.

    Indices are uint16 where the network is small enough, else uint32: delivery is bound by reading them. Static weights stand
    once per run of targets with equal weight (a balanced network has two runs per neuron), which saves reading a weight per
    synapse.

    A row is cut into one piece per part of the neurons: piece ``neuron * parts + part`` holds the targets of that part.
    """

    bounds: NDArray[np.int64]  # (part + 1,), part p holds the neurons bounds[p]..bounds[p + 1] - 1
    static_indptr: NDArray[np.int64]  # (piece + 1,)
    static_indices: NDArray[np.uint16] | NDArray[np.uint32]
    run_indptr: NDArray[np.int64]  # (piece + 1,), runs of each piece
    run_end: NDArray[np.int64]  # (run,), end of the run in static_indices
    run_fixed: NDArray[np.int64]  # (run,)
    procedural: Procedural  # in place of all static arrays above
    plastic_indptr: NDArray[np.int64]  # (piece + 1,)
    plastic_indices: NDArray[np.uint16] | NDArray[np.uint32]
    plastic_fixed: NDArray[np.int64]  # (synapse,), or empty when the weights are being learned
    plastic_row: NDArray[np.int32]  # (synapse,), where its weight stands: row of a trained neuron ...
    plastic_slot: NDArray[np.int32]  # ... and number of the input
    learned: NDArray[np.float32]  # (trained, >= learned_first + input), weights that change; no rows when they are frozen
    learned_first: int  # column of the first plastic input
    trained: NDArray[np.int32]
    ff_fixed: NDArray[np.int64]  # (ff, trained)


class State(NamedTuple):
    """Everything that changes from step to step."""

    v: NDArray[np.float32]
    u_static: NDArray[np.float32]
    u_plastic: NDArray[np.float32]
    in_static: NDArray[np.int64]
    in_plastic: NDArray[np.int64]
    refractory: NDArray[np.int32]
    trace: NDArray[np.float32]
    ff_trace: NDArray[np.float32]
    spikes: NDArray[np.int32]  # neurons that spiked in the last step
    n_spikes: NDArray[np.int64]  # (1,)
    ff_spikes: NDArray[np.int32]
    n_ff_spikes: NDArray[np.int64]  # (1,)


class Inputs(NamedTuple):
    """Time-dependent inputs of one condition."""

    stimulus: NDArray[np.float32]  # (step, neuron), drive added from step stimulus_start on; may have no rows
    stimulus_start: int
    ff_probability: NDArray[np.float32]  # (ms, ff), probability of a feed-forward spike per step, from ff_start on
    ff_start: int
    steps_per_ms: int


class Recorder(NamedTuple):
    """What is recorded besides the counts. When the spike arrays are full the count goes on, so that the caller notices."""

    spike_step: NDArray[np.int32]
    spike_neuron: NDArray[np.int32]
    spike_count: NDArray[np.int64]  # (1,)
    sample_every: int  # steps between samples of the static current; 0: none
    sample_sum: NDArray[np.float32]  # (neuron,)


class Team(NamedTuple):
    """What the threads share that advance one trial together, each a part of its neurons."""

    arrived: NDArray[np.int64]  # counter of `meet`
    spikes: NDArray[np.int32]  # (2, neuron), of even and of odd steps; each part's from its first neuron's place on
    n_spikes: NDArray[np.int64]  # (2, part, CACHE_LINE), the first value counts
    phase_ns: NDArray[np.int64]  # (part or 0, PHASES), advanced by the time each phase took; no first axis: no measurement


PHASES = ("noise", "update", "waiting", "static_delivery", "plastic_delivery")


def new_state(n: int, n_ff: int) -> State:
    """State of n neurons at rest, with empty input buffers."""
    f, i = np.float32, np.int64
    return State(
        np.zeros(n, f),
        np.zeros(n, f),
        np.zeros(n, f),
        np.zeros(n, i),
        np.zeros(n, i),
        np.zeros(n, np.int32),
        np.zeros(n, f),
        np.zeros(n_ff, f),
        np.zeros(n, np.int32),
        np.zeros(1, i),
        np.zeros(n_ff, np.int32),
        np.zeros(1, i),
    )


@njit(nogil=True, cache=True)
def new_team(n, parts, phase_ns):
    """Return a team that has not started; `phase_ns` (part or 0, phase) int64 receives the times."""
    return Team(np.zeros(CACHE_LINE, np.int64), np.empty((2, n), np.int32), np.zeros((2, parts, CACHE_LINE), np.int64), phase_ns)
