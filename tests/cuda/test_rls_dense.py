"""Dense recursive least squares on the device equals numba's, bit for bit."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cpu import rls_dense
from fitrec.kernels.cpu.aligned import aligned_zeros
from fitrec.kernels.cpu.rls_state import RuleOptions, Signals, new_state
from fitrec.kernels.cuda.rls_dense import DenseLearners
from fitrec.kernels.reference.rls import initial_p
from tests.rls_learners import poisson_samples

F = np.float32


@pytest.mark.parametrize("fused", [True, False], ids=["one pass", "two passes"])
@pytest.mark.parametrize(("n_exc", "n_inh"), [(1, 1), (8, 8), (21, 16), (60, 61), (130, 145)])
def test_equals_numba(n_exc: int, n_inh: int, fused: bool, device: Any) -> None:
    samples = poisson_samples(6, n_exc, n_inh, 0, 4, seed=n_exc)
    p0 = initial_p(0, n_exc, n_inh, penalty=0.05, penalty_row_sum=0.3, penalty_feed_forward=0.1)
    weights = np.random.default_rng(2).normal(0, 0.1, (4, len(p0))).astype(F)
    state, none = new_state(p0, weights, 1), np.zeros(0, F)
    previous, rule = aligned_zeros(state.q.shape, F), RuleOptions(1, False, 0, n_exc)
    found = DenseLearners(device, p0, weights, samples.pre, fused=fused)
    for trace, bias in zip(samples.trace.astype(F), samples.bias.astype(F), strict=True):
        signals = Signals(trace, trace, none, none)
        found.step(device.asarray(trace), device.asarray(bias))
        if fused:
            assert rls_dense.one_pass_step(state, previous, samples.pre, signals, bias, rule, 0, 4) == -1
        else:
            assert rls_dense.two_pass_step(state, samples.pre, signals, bias, rule, 0, 4) == -1
    for name, array, expected in (
        ("p", found.p, state.p),
        ("weights", found.padded_weights, state.weights),
        ("held", found.held, previous),
    ):
        np.testing.assert_array_equal(device.to_host(array), expected, err_msg=name, strict=True)
    assert np.abs(state.weights[:, : len(p0)] - weights).max() > 1e-3
