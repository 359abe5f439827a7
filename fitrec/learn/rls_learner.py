"""The learners of all trained neurons: P, held-back updates and weights, on the processor."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import rls as kernel
from fitrec.kernels.cpu.rls_state import RuleOptions, Signals, new_state
from fitrec.learn.rule import Arrays
from fitrec.threads import available_threads, thread_map

STATIC_TRIALS = 4  # of the untrained network, for its average static current
HALF_FROM = 512  # inputs from which `flushes_half` says so by itself


class LearnerOptions(NamedTuple):
    """How P is kept and updated.

    Attributes
    ----------
    rank : int
        Updates held back and applied together.
    storage : {"full", "packed", "int16"}
        Form of P (docs/benchmarks/rls.md).
    pool_size : int
        Consecutive neurons that share their plastic inputs, and with them one P.
    dale : bool
        Keep the weights of E inputs >= 0 and those of I inputs <= 0.
    half_flush : bool
        Apply what is held back to one triangle of a full P, and write it a second time, transposed; the same bits.

    """

    rank: int
    storage: str
    pool_size: int
    dale: bool
    half_flush: bool = False


def automatic_rank(n_inputs: int) -> int:
    """Rank that is fastest, or within a few percent of it, at physiological rates (table in docs/benchmarks/rls.md).

    A step moves 2 L^2 / B numbers for the held-back updates of P and B L / 2 for those held back; both are small at B = sqrt(L).
    """
    return 8 * max(1, round(math.sqrt(n_inputs) / 8))


def chosen_rank(rank: int | str, n_inputs: int) -> int:
    """Return the rank that a configuration asks for."""
    return automatic_rank(n_inputs) if rank == "auto" else int(rank)


def flushes_half(flush: str, storage: str, n_inputs: int) -> bool:
    """Whether a configuration asks for the half flush; 'auto' does where it was faster (table in docs/benchmarks/rls.md)."""
    if flush == "auto":
        return storage == "full" and n_inputs >= HALF_FROM
    return flush == "half"


def rule_options(options: LearnerOptions, n_ff: int, n_exc: int) -> RuleOptions:
    """Return what the kernels have to know of the options; there are `n_ff` feed-forward inputs, then `n_exc` from E neurons."""
    return RuleOptions(options.pool_size, options.dale, n_ff, n_ff + n_exc)


class CpuLearner:
    """Updates all neurons at a learning time; the result does not depend on the number of threads."""

    def __init__(
        self,
        p0: NDArray[np.float64],
        weights: NDArray[np.float32],
        pre: NDArray[np.int32],
        n_exc: int,
        options: LearnerOptions,
        threads: int | None,
    ) -> None:
        self._n_inputs, self._held, self._rank = weights.shape[1], 0, options.rank
        self._pre = np.ascontiguousarray(pre[:: options.pool_size])
        n_ff = self._n_inputs - pre.shape[1]
        self._rule = rule_options(options, n_ff, n_exc)
        self._state = new_state(p0, weights, options.rank, storage=options.storage, pool_size=options.pool_size)
        self._threads, self._half_flush = threads or available_threads(), options.half_flush
        edges = np.linspace(0, len(self._pre), 4 * self._threads + 1).astype(int)
        self._blocks = list(pairwise(edges.tolist()))
        self._last = (np.zeros(0, np.float32), np.zeros(0, np.float32))

    @property
    def weights(self) -> NDArray[np.float32]:
        """(neuron, input), feed-forward inputs first; a view."""
        return self._state.weights[:, : self._n_inputs]

    @property
    def padded_weights(self) -> NDArray[np.float32]:
        """(neuron, at least input), as the kernels keep them: the same memory at all times."""
        return self._state.weights

    def begin_trial(self, weights: NDArray[np.float32], n_neurons: int) -> None:
        """Start from these weights with all traces at zero."""
        self.weights[:] = weights
        for array in (self._state.q, self._state.h):
            array[:] = 0
        self._held = 0
        self._last = (np.zeros(n_neurons, np.float32), np.zeros(self._rule.first_exc, np.float32))

    def update(
        self, rho: np.float32, trace: NDArray[np.float32], ff_trace: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> int | None:
        """Learn from the traces of all neurons and of the feed-forward inputs, which decayed by `rho` since the last time.

        Returns
        -------
        int or None
            First trained neuron (its place among them) with a negative or infinite r'Pr or an infinite error.

        """
        last, ff_last = self._last
        signals = Signals(trace, trace - rho * last, ff_trace, ff_trace - rho * ff_last)

        def step(block: tuple[int, int]) -> int:
            return int(
                kernel.rls_step(self._state, self._held, rho, self._pre, signals, bias, self._rule, self._half_flush, *block)
            )

        bad = [neuron for neuron in thread_map(step, self._blocks, self._threads) if neuron >= 0]
        self._held = (self._held + 1) % self._rank
        self._last = (trace.copy(), ff_trace.copy())
        return min(bad, default=None)

    def end_trial(self) -> None:
        """Apply what is held back."""
        held, self._held = self._held, 0

        def apply(block: tuple[int, int]) -> None:
            kernel.flush(self._state, held, self._n_inputs, self._half_flush, *block)

        thread_map(apply, self._blocks, self._threads)

    def arrays(self) -> Arrays:
        """P as it is stored; between trials nothing else but the weights is left to remember."""
        return {"p": self._state.p, "scale": self._state.scale}

    def restore(self, arrays: Arrays) -> None:
        """Take over a stored P."""
        self._state.p[:] = arrays["p"]
        self._state.scale[:] = arrays["scale"]
