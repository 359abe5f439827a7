"""RLS learners on made-up traces: the numba kernels in either precision."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import rls as kernel
from fitrec.kernels.cpu import rls_dense
from fitrec.kernels.cpu.aligned import aligned_zeros
from fitrec.kernels.cpu.quads import QUAD
from fitrec.kernels.cpu.rls_state import CODE_ONE, RlsState, RuleOptions, Signals, new_state, padded
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.kernels.reference.rls import initial_p

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Traces of a pool and of feed-forward inputs at the learning times, and each learner's error without plastic input.

    Attributes
    ----------
    trace, ff_trace : (update, pool or ff)
    bias : (update, learner)
    rho : decay of the traces between updates
    pre : (learner, input - ff), columns of the pool

    """

    trace: Array
    ff_trace: Array
    bias: Array
    rho: float
    pre: NDArray[np.int32]

    def of(self, learner: int) -> Array:
        """(update, input): all traces the learner sees."""
        return np.concatenate([self.ff_trace, self.trace[:, self.pre[learner]]], axis=1)


def poisson_samples(
    n_updates: int,
    n_exc: int,
    n_inh: int,
    n_ff: int = 0,
    n_learners: int = 3,
    rate_hz: float = 6.0,
    every_ms: float = 20.0,
    seed: int = 0,
) -> Samples:
    """Traces (1/ms, 150 ms) of Poisson neurons; the wanted drives are noisy functions of the traces."""
    rng = np.random.default_rng(seed)
    n_pool, rho = 2 * (n_exc + n_inh), float(np.exp(-every_ms / 150.0))
    expected = rng.exponential(rate_hz, n_pool + n_ff) * every_ms * 1e-3
    trace, x = np.empty((n_updates, n_pool + n_ff)), np.zeros(n_pool + n_ff)
    for n in range(n_updates):
        x = rho * x + rng.poisson(expected) / 150.0
        trace[n] = x
    exc, inh = rng.permutation(n_pool // 2), n_pool // 2 + rng.permutation(n_pool // 2)
    pre = np.stack([np.r_[rng.permutation(exc)[:n_exc], rng.permutation(inh)[:n_inh]] for _ in range(n_learners)]).astype(
        np.int32
    )
    bias = -rng.normal(0.3, 0.2, n_learners) + rng.normal(0, 0.1, (n_updates, n_learners))
    return Samples(trace=trace[:, :n_pool], ff_trace=trace[:, n_pool:], bias=bias, rho=rho, pre=pre)


class Learners:
    """Learners of the event-driven kernel, or of a dense one, on made-up samples.

    Attributes
    ----------
    state : RlsState
    held : int
        Updates held back.

    """

    def __init__(
        self,
        samples: Samples,
        p0: Array,
        weights: Array,
        rank: int = 16,
        dtype: Any = np.float64,
        *,
        storage: str = "full",
        form: str = "events",
        pool_size: int = 1,
        dale_from: tuple[int, int] | None = None,
        half_flush: bool = False,
    ) -> None:
        self.half_flush = half_flush
        self.samples, self.form, self.n_inputs, self.held = samples, form, weights.shape[1], 0
        self.state = new_state(p0, weights, rank, storage=storage, pool_size=pool_size, dtype=dtype)
        self.rule = RuleOptions(pool_size, dale_from is not None, *(dale_from or (0, 0)))
        self.pre = samples.pre[::pool_size]
        self._previous = aligned_zeros(self.state.q.shape, dtype)
        self.dtype = dtype
        self.restart()

    def restart(self) -> None:
        """Set traces to zero, as at the start of a trial."""
        self.state.q[:] = 0
        self.state.h[:] = 0
        self._last = (np.zeros(self.samples.trace.shape[1], self.dtype), np.zeros(self.samples.ff_trace.shape[1], self.dtype))

    def learn(self, updates: range, blocks: list[tuple[int, int]] | None = None) -> int:
        """Run updates; returns the first bad neuron (or -1)."""
        for n in updates:
            bad = max(self._step(n, first, last) for first, last in blocks or [(0, len(self.pre))])
            if bad >= 0:
                return bad
            self._last = tuple(values[n].astype(self.dtype) for values in (self.samples.trace, self.samples.ff_trace))
            self.held = (self.held + 1) % self.state.h.shape[1]
        return -1

    def _step(self, n: int, first: int, last: int) -> int:
        rho = self.dtype(self.samples.rho)
        trace, ff_trace = (values[n].astype(self.dtype) for values in (self.samples.trace, self.samples.ff_trace))
        signals = Signals(trace, trace - rho * self._last[0], ff_trace, ff_trace - rho * self._last[1])
        rest = (self.pre, signals, self.samples.bias[n].astype(self.dtype), self.rule)
        if self.form == "one pass":
            return int(rls_dense.one_pass_step(self.state, self._previous, *rest, first, last))
        if self.form == "two passes":
            return int(rls_dense.two_pass_step(self.state, *rest, first, last))
        return int(kernel.rls_step(self.state, self.held, rho, *rest, self.half_flush, first, last))

    def flush(self) -> None:
        """Apply what is held back."""
        kernel.flush(self.state, self.held, self.n_inputs, self.half_flush, 0, len(self.pre))
        self.held = 0

    @property
    def weights(self) -> NDArray[Any]:
        """(neuron, input)."""
        return self.state.weights[:, : self.n_inputs]

    @property
    def p(self) -> Array:
        """(pool, input, input)."""
        return dense_p(self.state, self.n_inputs)


def run(samples: Samples, p0: Array, weights: Array, rank: int = 16, dtype: Any = np.float64, **options: Any) -> Learners:
    """All updates of all learners, everything applied at the end."""
    learners = Learners(samples, p0, weights, rank, dtype, **options)
    assert learners.learn(range(len(samples.trace))) == -1
    if learners.form == "events":
        learners.flush()
    return learners


def problem(n_exc: int, n_inh: int, n_ff: int, n_learners: int, seed: int = 1, **penalties: float) -> tuple[Array, Array]:
    """P(0) and initial weights."""
    settings = {"penalty": 0.04, "penalty_row_sum": 8.0, "penalty_feed_forward": 1.0, **penalties}
    weights = np.random.default_rng(seed).normal(0, 0.5, (n_learners, n_ff + n_exc + n_inh))
    return initial_p(n_ff, n_exc, n_inh, **settings), weights


def dense_p(state: RlsState, n_inputs: int) -> NDArray[np.float64]:
    """Every stored P as a plain (pool, input, input) array."""
    if state.scale.shape[1]:
        root = state.scale[:, :n_inputs].astype(np.float64)
        return np.asarray(state.p[:, :, :n_inputs] / CODE_ONE * root[:, :, None] * root[:, None, :])
    if state.p.ndim == 3:
        return np.asarray(state.p[:, :, :n_inputs], np.float64)
    out, start, width = np.empty((len(state.p), *2 * [padded(n_inputs)])), 0, padded(n_inputs)
    for c in range(0, width, QUAD):
        first = c // WIDTH * WIDTH
        end = start + (width - first) * QUAD
        strip = state.p[:, start:end].reshape(-1, width - first, QUAD)
        out[:, first:, c : c + QUAD] = strip
        out[:, c : c + QUAD, first:] = strip.transpose(0, 2, 1)
        start = end
    return out[:, :n_inputs, :n_inputs]
