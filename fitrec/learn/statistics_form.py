"""Which form the statistics of batch ridge take: a shared Gram matrix or gathered traces.

The choice depends on sizes and configuration alone, never on the machine, because the two differ in rounding and, where the
memory granted does not hold every trial, in the trials they use.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.ridge import DeviceTraces
from fitrec.kernels.cuda.shared_gram import DeviceGram
from fitrec.learn.gathered_traces import GatheredTraces, HostTraces, TraceStore, trial_bytes
from fitrec.learn.host_gram import HostGram
from fitrec.learn.least_squares import Statistics
from fitrec.learn.shared_gram import SharedGram


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of a fit by batch ridge.

    Attributes
    ----------
    n_pool : int
        Neurons that are plastic input to some trained neuron.
    trials : tuple of int
        Trials per condition of each loop.
    trace_bits : int
        16 or 32: how traces are kept in the gathered form.
    pool_size : int
        Consecutive neurons with the same inputs.

    """

    n_conditions: int
    n_bins: int
    n_pool: int
    n_trained: int
    n_inputs: int
    n_ff: int
    trials: tuple[int, ...]
    trace_bits: int
    pool_size: int = 1

    @property
    def trial_bytes(self) -> int:
        """Memory of the traces of one trial of every condition."""
        return trial_bytes(self.n_conditions, self.n_bins, self.n_pool, self.n_ff, self.trace_bits)


def slots(sizes: Sizes, memory_bytes: float) -> int:
    """Trials per condition whose traces are kept, of those that the fit will run."""
    return int(min(sum(sizes.trials), memory_bytes // sizes.trial_bytes))


def shared_bytes(sizes: Sizes) -> int:
    """Memory of the shared form while it solves: the sums, and the Gram matrix once more, per trial."""
    s = sizes
    per_condition = 8 * s.n_bins * (s.n_pool + s.n_ff) + 4 * s.n_ff * (3 * s.n_pool + 2 * s.n_ff)
    moments = 24 * (s.n_bins + s.n_ff) * s.n_conditions * s.n_pool
    return 2 * 4 * s.n_pool**2 + 8 * s.n_bins * s.n_conditions * s.n_pool + s.n_conditions * per_condition + moments


def gathered_bytes(sizes: Sizes, memory_bytes: float) -> int:
    """Memory of the gathered form while it solves."""
    return slots(sizes, memory_bytes) * sizes.trial_bytes + 4 * sizes.n_conditions * sizes.n_ff * 2 * sizes.n_pool


def is_shared(sizes: Sizes, form: str, memory_bytes: float) -> bool:
    """Whether the statistics take the shared form: asked for, or cheaper and within the memory granted.

    The shared form adds each trial once, at pool^2 per sample; the gathered one forms n_trained matrices of L^2 anew in every
    loop, from all trials kept.
    """
    if form != "auto":
        return form == "shared"
    room = slots(sizes, memory_bytes)
    kept = [min(sum(sizes.trials[: k + 1]), room) for k in range(len(sizes.trials))]
    shared_cost = sizes.n_pool**2 * sum(sizes.trials)
    gathered_cost = sizes.n_trained * sizes.n_inputs**2 * sum(kept)
    return shared_bytes(sizes) <= memory_bytes and (shared_cost <= gathered_cost or room < max(sizes.trials))


def require_room(sizes: Sizes, memory_bytes: float) -> None:
    """Raise TrainingError if gathered traces would not even hold the trials of one loop."""
    wanted = max(sizes.trials)
    if slots(sizes, memory_bytes) < wanted:
        needed = wanted * sizes.trial_bytes
        raise TrainingError(
            f"the traces of the {wanted} trials of a loop take {needed / 1e9:.2f} GB, but train.ridge.memory_gb is "
            f"{memory_bytes / 1e9:g}; raise it to at least {needed / 1e9:.2f}, or lower train.ridge.trials and closed_loop_trials"
        )


def make_statistics(
    sizes: Sizes, form: str, memory_bytes: float, device: Device | None = None, pool: NDArray[np.int32] | None = None
) -> Statistics:
    """Empty statistics of the form that suits.

    Parameters
    ----------
    device : Device, optional
        Keeps them, and solves there; `pool` says whose among all neurons' they are.

    Raises
    ------
    TrainingError
        If not even the traces of one loop's trials find room.
    DeviceError
        If the device has too little memory for the traces.

    """
    s = sizes
    if is_shared(sizes, form, memory_bytes):
        shape = (s.n_conditions, s.n_bins, s.n_pool, s.n_ff)
        if device is not None and pool is not None:
            return SharedGram(DeviceGram(device, *shape[:2], pool, s.n_ff, s.pool_size), *shape)
        return SharedGram(HostGram(*shape, s.pool_size), *shape)
    require_room(sizes, memory_bytes)
    n_slots = slots(sizes, memory_bytes)
    store: TraceStore = HostTraces(s.n_conditions, s.n_bins, s.n_pool, n_slots, s.trace_bits)
    if device is not None and pool is not None:
        store = DeviceTraces(device, s.n_conditions, s.n_bins, pool, n_slots, s.trace_bits)
    return GatheredTraces(store, s.n_conditions, s.n_bins, s.n_pool, s.n_ff, n_slots)
