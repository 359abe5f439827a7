"""The memory a training needs, part by part, from its sizes alone."""

from dataclasses import dataclass

import numpy as np

from fitrec.kernels.cpu import lif
from fitrec.kernels.cpu.rls_state import p_bytes, padded
from fitrec.learn.rls_learner import STATIC_TRIALS, chosen_rank
from fitrec.learn.statistics_form import Sizes, gathered_bytes, is_shared, require_room, shared_bytes
from fitrec.learn.trial_sums import trials_together
from fitrec.networks.network import Network

Parts = dict[str, int]

# Arrays of (condition, time, trained) float64 that live at once: rates, drives and their corrections, PSTHs and temporaries.
_TARGET_ARRAYS = 12
# Bytes per plastic synapse besides the weights: presynaptic neuron, transposed row and slot, the fixed-point weight and what
# making it takes.
_PLASTIC_BYTES = 4 + 4 + 4 + 8 + 20


@dataclass(frozen=True, kw_only=True)
class FitSizes:
    """Sizes that a training's memory depends on.

    Attributes
    ----------
    n_static : int
        Stored static synapses.
    n_pool : int
        Neurons that are plastic input to some trained neuron.
    stimulus_steps : int
        Steps of the frozen stimulus; 0 without one.
    pool_size : int
        Trained neurons that share their plastic inputs.
    shared_feed_forward : bool
        Whether all conditions have the same feed-forward weights.

    """

    n_neurons: int
    n_static: int
    n_pool: int
    n_trained: int
    n_inputs: int
    n_ff: int
    n_conditions: int
    n_bins: int
    stimulus_steps: int
    pool_size: int = 1
    shared_feed_forward: bool = False

    @classmethod
    def of(cls, network: Network, n_bins: int, n_pool: int | None = None) -> "FitSizes":
        """Sizes of a network and its targets; `n_pool` is counted where it is not known."""
        return cls(
            n_neurons=network.n_neurons,
            n_static=len(network.static_indices),
            n_pool=len(np.unique(network.plastic_pre)) if n_pool is None else n_pool,
            n_trained=len(network.trained),
            n_inputs=int(network.plastic_pre.shape[1]),
            n_ff=network.n_feed_forward,
            n_conditions=network.n_conditions,
            n_bins=n_bins,
            stimulus_steps=network.window_start_step - network.stimulus_start_step if network.stimulus_sd > 0 else 0,
            pool_size=network.plastic_pool_size,
            shared_feed_forward=network.shared_feed_forward,
        )

    @property
    def n_feed_forward_weights(self) -> int:
        """Feed-forward weights of a trained neuron."""
        return self.n_ff * (1 if self.shared_feed_forward else self.n_conditions)

    def ridge(self, trials: tuple[int, ...], trace_bits: int) -> Sizes:
        """Sizes of a fit by batch ridge with so many trials per condition and loop."""
        return Sizes(
            n_conditions=self.n_conditions,
            n_bins=self.n_bins,
            n_pool=self.n_pool,
            n_trained=self.n_trained,
            n_inputs=self.n_inputs,
            n_ff=self.n_ff,
            trials=trials,
            trace_bits=trace_bits,
            pool_size=self.pool_size,
        )


def shared_parts(s: FitSizes, threads: int) -> Parts:
    """Count what every rule needs: wiring, weights, the simulator's state, targets."""
    index = 2 if s.n_neurons <= 1 << 16 else 4
    per_neuron = sum(array.nbytes for array in lif.new_state(1000, 0)) // 1000
    return {
        "static synapses": s.n_static * (8 + index) + 24 * s.n_neurons,
        "plastic synapses": s.n_trained * s.n_inputs * (_PLASTIC_BYTES + index),
        "weights (initial, current, best, new)": 4 * s.n_trained * (4 * s.n_inputs + 3 * s.n_feed_forward_weights),
        "stimulus": 4 * s.n_conditions * s.stimulus_steps * s.n_neurons,
        f"simulator state of {threads} thread{'s' * (threads > 1)}": threads * s.n_neurons * (per_neuron + 4),
        "targets": 8 * _TARGET_ARRAYS * s.n_conditions * s.n_bins * s.n_trained,
    }


def ridge_parts(s: FitSizes, *, trials: tuple[int, ...], gram: str, memory_bytes: float, trace_bits: int) -> Parts:
    """Count what batch ridge needs besides: the records of one condition's trials, and the statistics of the traces.

    Raises
    ------
    TrainingError
        If `memory_bytes` does not hold the traces of one loop.

    """
    sizes = s.ridge(trials, trace_bits)
    samples = min(max(trials), trials_together(s.n_bins, s.n_neurons)) * s.n_bins
    parts = {"records of trials": samples * (10 * s.n_neurons + 8 * s.n_pool + 8 * s.n_ff)}
    if is_shared(sizes, gram, memory_bytes):
        return {**parts, "Gram matrix of all inputs": shared_bytes(sizes)}
    require_room(sizes, memory_bytes)
    return {**parts, "traces": gathered_bytes(sizes, memory_bytes)}


def gradient_parts(s: FitSizes, tape_bytes: int, trace_bytes: int) -> Parts:
    """Count what gradient rules need besides: synapses sorted by source, gradients, the optimiser, tapes and traces.

    Parameters
    ----------
    tape_bytes, trace_bytes : int
        What derivatives need of each step, and gradients of single trials with what carries them, of all trials at a time.

    """
    synapses = s.n_trained * (s.n_inputs + s.n_ff)
    learned = s.n_trained * (s.n_inputs + s.n_feed_forward_weights)
    return {
        "compiled synapses": 24 * synapses + (s.n_static and 12 * s.n_static),
        "sum of the gradients, the optimiser": 12 * synapses + 16 * learned,
        "gradients of trials, traces": trace_bytes,
        "what derivatives need of each step": tape_bytes,
    }


def rls_parts(s: FitSizes, *, rank: int | str, storage: str) -> Parts:
    """Count what recursive least squares needs besides: P of every pool, the updates held back, the static current's trials."""
    n_inputs, pools = s.n_inputs + s.n_ff, -(-s.n_trained // s.pool_size)
    row = 4 * padded(n_inputs)
    held_back = pools * (row * (chosen_rank(rank, n_inputs) + 1) + 4 * s.n_inputs)
    return {
        "P": pools * p_bytes(n_inputs, storage),
        "held-back updates": held_back + 3 * s.n_trained * row,
        "records of untrained trials": 10 * min(STATIC_TRIALS, trials_together(s.n_bins, s.n_neurons)) * s.n_bins * s.n_neurons,
    }
