"""RLS learners on made-up traces: the numba kernel in either precision."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import rls as kernel
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


def start(samples: Samples, p0: Array, weights: Array, rank: int, dtype: Any) -> kernel.RlsState:
    """State in the given precision."""
    n, n_inputs = weights.shape
    zeros = [np.zeros(shape, dtype) for shape in ((n, n_inputs), (n, n_inputs), (n, rank, n_inputs), (n, rank))]
    p = np.broadcast_to(p0.astype(dtype), (n, n_inputs, n_inputs)).copy()
    return kernel.RlsState(p, weights.astype(dtype), *zeros)


def learn(state: kernel.RlsState, samples: Samples, updates: range, held: int = 0) -> tuple[int, int]:
    """Run updates; returns the number of updates held back and the first bad neuron (or -1)."""
    dtype = state.q.dtype.type
    trace, ff_trace, bias = (values.astype(dtype) for values in (samples.trace, samples.ff_trace, samples.bias))
    for n in updates:
        bad = kernel.rls_step(state, held, dtype(samples.rho), samples.pre, trace[n], ff_trace[n], bias[n], 0, len(state.q))
        if bad >= 0:
            return held, bad
        held = (held + 1) % state.g.shape[1]
    return held, -1


def run(samples: Samples, p0: Array, weights: Array, rank: int, dtype: Any = np.float64) -> kernel.RlsState:
    """All updates of all learners, everything applied at the end."""
    state = start(samples, p0, weights, rank, dtype)
    held, bad = learn(state, samples, range(len(samples.trace)))
    assert bad == -1
    kernel.flush(state, held, 0, len(state.q))
    return state


def problem(n_exc: int, n_inh: int, n_ff: int, n_learners: int, seed: int = 1, **penalties: float) -> tuple[Array, Array]:
    """P(0) and initial weights."""
    settings = {"penalty": 0.04, "penalty_row_sum": 8.0, "penalty_feed_forward": 1.0, **penalties}
    weights = np.random.default_rng(seed).normal(0, 0.5, (n_learners, n_ff + n_exc + n_inh))
    return initial_p(n_ff, n_exc, n_inh, **settings), weights
