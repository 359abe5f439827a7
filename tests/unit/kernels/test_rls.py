import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.kernels.cpu import rls as kernel
from fitrec.kernels.reference import rls as reference
from tests.rls_learners import learn, poisson_samples, problem, run, start


@pytest.mark.parametrize("rank", [1, 2, 3, 16])
@pytest.mark.parametrize("n_ff", [0, 5])
def test_equals_the_dense_textbook_form(rank: int, n_ff: int) -> None:
    """77 updates are no multiple of any rank but 1, so the rest is applied by the final flush."""
    samples = poisson_samples(77, 20, 17, n_ff)
    p0, weights = problem(20, 17, n_ff, 3)
    state = run(samples, p0, weights, rank)
    for learner in range(3):
        p, w, r = p0.copy(), weights[learner].copy(), samples.of(learner)
        for n in range(77):
            reference.rls_step(p, w, r[n], float(samples.bias[n, learner]))
        assert np.abs(w - weights[learner]).max() > 0.1
        np.testing.assert_allclose(state.weights[learner], w, rtol=0, atol=1e-11)
        np.testing.assert_allclose(state.p[learner], p, rtol=0, atol=1e-10)


def test_reference_step_by_hand() -> None:
    """P = 2, r = 3, w = 1, bias = -1: k = 6, c = 1/19, e = 2."""
    p, w = np.array([[2.0]]), np.array([1.0])
    reference.rls_step(p, w, np.array([3.0]), -1.0)
    assert p[0, 0] == pytest.approx(2 - 36 / 19)
    assert w[0] == pytest.approx(1 - 12 / 19)


def test_initial_p() -> None:
    p = reference.initial_p(1, 2, 3, penalty=0.5, penalty_row_sum=2.0, penalty_feed_forward=4.0)
    expected = np.zeros((6, 6))
    expected[0, 0] = 4.0
    expected[1:3, 1:3] = 2.0 + 0.5 * np.eye(2)
    expected[3:, 3:] = 2.0 + 0.5 * np.eye(3)
    np.testing.assert_allclose(np.linalg.inv(p), expected, atol=1e-12)
    np.testing.assert_array_equal(p, p.T)


@pytest.mark.parametrize("rank", [1, 5, 16])
def test_p_stays_symmetric_bit_for_bit_and_positive_definite(rank: int) -> None:
    samples = poisson_samples(1500, 30, 30)
    p0, weights = problem(30, 30, 0, 3)
    state = run(samples, p0, weights, rank, np.float32)
    for p in state.p:
        np.testing.assert_array_equal(p, p.T)
        assert np.linalg.eigvalsh(p.astype(np.float64)).min() > 0
    assert np.abs(state.p - p0).max() > 1


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_p_is_whole_after_each_trial(rank: int) -> None:
    """Trials of 10 updates, as in training: everything held back is applied, and traces start anew."""
    samples = poisson_samples(30, 12, 12)
    p0, weights = problem(12, 12, 0, 3)
    state = start(samples, p0, weights, rank, np.float64)
    for first in (0, 10, 20):
        for values in (state.r, state.q, state.h):
            values[:] = 0
        held, _ = learn(state, samples, range(first, first + 10))
        kernel.flush(state, held, 0, 3)
        for learner in range(3):
            r = samples.of(learner)[: first + 10]
            np.testing.assert_allclose(state.p[learner], np.linalg.inv(np.linalg.inv(p0) + r.T @ r), atol=1e-9)


def test_blocks_of_neurons_are_independent() -> None:
    samples = poisson_samples(40, 12, 12, 2, n_learners=5)
    p0, weights = problem(12, 12, 2, 5)
    together = run(samples, p0, weights, 8, np.float32)
    state = start(samples, p0, weights, 8, np.float32)
    trace, ff_trace, bias = (v.astype(np.float32) for v in (samples.trace, samples.ff_trace, samples.bias))
    held = 0
    for n in range(40):
        for first, last in ((3, 5), (0, 1), (1, 3)):
            assert (
                kernel.rls_step(state, held, np.float32(samples.rho), samples.pre, trace[n], ff_trace[n], bias[n], first, last)
                == -1
            )
        held = (held + 1) % 8
    kernel.flush(state, held, 0, 5)
    for a, b in zip(state, together, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("damage", ["indefinite", "nan", "infinite"])
def test_an_unusable_p_is_noticed_and_its_neuron_named(damage: str) -> None:
    samples = poisson_samples(5, 12, 12)
    p0, weights = problem(12, 12, 0, 3)
    state = start(samples, p0, weights, 4, np.float32)
    state.p[1] = {"indefinite": -state.p[1], "nan": np.nan, "infinite": np.inf}[damage]
    assert learn(state, samples, range(5))[1] == 1
    np.testing.assert_array_equal(state.weights[1], weights[1].astype(np.float32))


def test_silence_changes_nothing() -> None:
    samples = poisson_samples(20, 12, 12)
    p0, weights = problem(12, 12, 0, 3)
    state = start(samples, p0, weights, 4, np.float32)
    samples.trace[:] = 0
    learn(state, samples, range(20))
    np.testing.assert_array_equal(state.weights, weights.astype(np.float32))
    np.testing.assert_array_equal(state.p[0], p0.astype(np.float32))


def test_new_state_repeats_p_for_every_neuron() -> None:
    p0, weights = problem(4, 3, 2, 5)
    state = kernel.new_rls_state(p0, weights.astype(np.float32), 6)
    assert state.p.shape == (5, 9, 9)
    np.testing.assert_array_equal(state.p, np.stack([p0.astype(np.float32)] * 5))
    state.p[0] = 0  # of its own
    assert (state.p[1] != 0).any()
    assert state.g.shape == (5, 6, 9)


def test_refreshed_table_is_the_weights_in_fixed_point() -> None:
    weights: NDArray[np.float32] = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    row, slot = np.array([2, 0, 1], np.int32), np.array([3, 1, 0], np.int32)
    fixed = np.zeros(3, np.int64)
    kernel.refresh_fixed(fixed, weights, row, slot, 2, lif.FIXED_ONE)
    expected = [round(float(weights[r, s + 2]) * 2**32) for r, s in zip(row, slot, strict=True)]
    np.testing.assert_array_equal(fixed, expected)
