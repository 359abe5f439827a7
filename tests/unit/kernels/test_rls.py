from dataclasses import replace

import numpy as np
import pytest

from fitrec.kernels.cpu.rls_state import new_state, p_bytes, padded
from fitrec.kernels.reference import rls as reference
from tests.rls_learners import Learners, dense_p, poisson_samples, problem, run


@pytest.mark.parametrize("rank", [1, 2, 3, 16])
@pytest.mark.parametrize("n_ff", [0, 5])
@pytest.mark.parametrize("storage", ["full", "packed"])
def test_equals_the_dense_textbook_form(rank: int, n_ff: int, storage: str) -> None:
    """77 updates are no multiple of any rank but 1, so the rest is applied by the final flush."""
    samples = poisson_samples(77, 20, 17, n_ff)
    p0, weights = problem(20, 17, n_ff, 3)
    learners = run(samples, p0, weights, rank, storage=storage)
    for learner in range(3):
        p, w, r = p0.copy(), weights[learner].copy(), samples.of(learner)
        for n in range(77):
            reference.rls_step(p, w, r[n], float(samples.bias[n, learner]))
        assert np.abs(w - weights[learner]).max() > 0.1
        np.testing.assert_allclose(learners.weights[learner], w, rtol=0, atol=1e-11)
        np.testing.assert_allclose(learners.p[learner], p, rtol=0, atol=1e-10)


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
    learners = run(samples, p0, weights, rank, np.float32)
    for p in learners.p:
        np.testing.assert_array_equal(p, p.T)
        assert np.linalg.eigvalsh(p).min() > 0
    assert np.abs(learners.p - p0).max() > 1


def test_p_of_16_bits_stays_symmetric_and_near_the_exact_one() -> None:
    samples = poisson_samples(1500, 30, 30)
    p0, weights = problem(30, 30, 0, 3)
    exact = run(samples, p0, weights).p
    learners = run(samples, p0, weights, 16, np.float32, storage="int16")
    codes, p = learners.state.p[:, :, :60], learners.p
    np.testing.assert_array_equal(codes, codes.transpose(0, 2, 1))
    root = np.sqrt(np.diagonal(exact, axis1=1, axis2=2))
    assert np.abs((p - exact) / (root[:, :, None] * root[:, None, :])).max() < 1e-3
    np.testing.assert_allclose(np.diagonal(p, axis1=1, axis2=2), root**2, rtol=1e-3)


@pytest.mark.parametrize("inputs", [(8, 8), (20, 17), (30, 30)])
def test_packed_p_gives_the_bits_of_full_p(inputs: tuple[int, int]) -> None:
    samples = poisson_samples(60, *inputs, 3)
    p0, weights = problem(*inputs, 3, 3)
    full, packed = (run(samples, p0, weights, 8, np.float32, storage=storage) for storage in ("full", "packed"))
    np.testing.assert_array_equal(full.weights, packed.weights)
    np.testing.assert_array_equal(full.p, packed.p)


@pytest.mark.parametrize("inputs", [(4, 4), (13, 16), (20, 17), (30, 31)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_half_of_p_gives_the_bits_of_all_of_it(inputs: tuple[int, int], dtype: type) -> None:
    """11, 32, 40 and 64 inputs, of which 0, 32, 32 and 64 are whole blocks."""
    samples = poisson_samples(60, *inputs, 3)
    p0, weights = problem(*inputs, 3, 3)
    whole, half = (run(samples, p0, weights, 8, dtype, half_flush=half) for half in (False, True))
    for name, found in half.state._asdict().items():
        np.testing.assert_array_equal(found, getattr(whole.state, name), err_msg=name)


@pytest.mark.parametrize(("inputs", "share"), [(58, 0.69), (90, 0.63), (400, 0.53), (1000, 0.52)])
def test_packed_p_takes_little_more_than_half_the_memory(inputs: int, share: float) -> None:
    assert 0.5 < p_bytes(inputs, "packed") / p_bytes(inputs, "full") < share


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_p_is_whole_after_each_trial(rank: int) -> None:
    """Trials of 10 updates, as in training: everything held back is applied, and traces start anew."""
    samples = poisson_samples(30, 12, 12)
    p0, weights = problem(12, 12, 0, 3)
    learners = Learners(samples, p0, weights, rank)
    for first in (0, 10, 20):
        learners.restart()
        learners.learn(range(first, first + 10))
        learners.flush()
        for learner in range(3):
            r = samples.of(learner)[: first + 10]
            np.testing.assert_allclose(learners.p[learner], np.linalg.inv(np.linalg.inv(p0) + r.T @ r), atol=1e-9)


@pytest.mark.parametrize("storage", ["full", "packed", "int16"])
def test_blocks_of_pools_are_independent(storage: str) -> None:
    samples = poisson_samples(40, 12, 12, 2, n_learners=9)
    samples = replace(samples, pre=np.repeat(samples.pre[::2], 2, axis=0)[:9])
    p0, weights = problem(12, 12, 2, 9)
    options = {"storage": storage, "pool_size": 2}
    together = run(samples, p0, weights, 8, np.float32, **options)
    apart = Learners(samples, p0, weights, 8, np.float32, **options)
    assert apart.learn(range(40), [(3, 5), (0, 1), (1, 3)]) == -1
    apart.flush()
    for a, b in zip(apart.state, together.state, strict=True):
        np.testing.assert_array_equal(a, b)


def test_dale_keeps_signs_and_the_rest_as_it_was() -> None:
    """One update by hand: the projection follows it; later updates start from the projected weights."""
    samples = poisson_samples(300, 12, 12, 3)
    p0, weights = problem(12, 12, 3, 3)
    weights[:, 3:15], weights[:, 15:] = np.abs(weights[:, 3:15]), -np.abs(weights[:, 15:])
    learners = Learners(samples, p0, weights, 4, dale_from=(3, 15))
    p, w, reached = p0.copy(), weights.copy()[0], 0
    for n in range(300):
        learners.learn(range(n, n + 1))
        reference.rls_step(p, w, samples.of(0)[n], float(samples.bias[n, 0]))
        w[3:15], w[15:] = np.maximum(w[3:15], 0), np.minimum(w[15:], 0)
        reached += int((w == 0).sum())
    assert reached > 0
    np.testing.assert_allclose(learners.weights[0], w, rtol=0, atol=1e-11)
    assert (learners.weights[:, 3:15] >= 0).all()
    assert (learners.weights[:, 15:] <= 0).all()
    assert (learners.weights[:, :3] < 0).any()
    assert (learners.weights[:, :3] > 0).any()


@pytest.mark.parametrize("damage", ["indefinite", "nan", "infinite"])
@pytest.mark.parametrize("form", ["events", "one pass", "two passes"])
def test_an_unusable_p_is_noticed_and_its_neuron_named(damage: str, form: str) -> None:
    samples = poisson_samples(5, 12, 12)
    p0, weights = problem(12, 12, 0, 3)
    learners = Learners(samples, p0, weights, 4, np.float32, form=form)
    learners.state.p[1] = {"indefinite": -learners.state.p[1], "nan": np.nan, "infinite": np.inf}[damage]
    assert learners.learn(range(5)) == 1
    np.testing.assert_array_equal(learners.weights[1], weights[1].astype(np.float32))


def test_an_infinite_error_is_noticed_and_its_neuron_named() -> None:
    samples = poisson_samples(5, 12, 12)
    samples.bias[3, 2] = np.nan
    p0, weights = problem(12, 12, 0, 3)
    learners = Learners(samples, p0, weights, 4, np.float32)
    assert learners.learn(range(5)) == 2
    assert learners.held == 3
    assert np.isfinite(learners.weights).all()


def test_silence_changes_nothing() -> None:
    samples = poisson_samples(20, 12, 12)
    p0, weights = problem(12, 12, 0, 3)
    samples.trace[:] = 0
    learners = Learners(samples, p0, weights, 4, np.float32)
    learners.learn(range(20))
    np.testing.assert_array_equal(learners.weights, weights.astype(np.float32))
    np.testing.assert_array_equal(learners.p[0], p0.astype(np.float32))


@pytest.mark.parametrize("storage", ["full", "packed", "int16"])
def test_new_state_repeats_p_for_every_pool(storage: str) -> None:
    p0, weights = problem(40, 3, 2, 5)
    state = new_state(p0, weights.astype(np.float32), 6, storage=storage, pool_size=2)
    assert len(state.p) == 3
    assert state.p[0].nbytes == p_bytes(45, storage)
    assert state.h.shape == (3, 6)
    assert state.g.shape == (3, padded(45) // 16, 6, 16)
    tolerance = 0.5 / 32000 * p0.max() * 1.01 if storage == "int16" else 0
    np.testing.assert_allclose(dense_p(state, 45), np.stack([p0.astype(np.float32)] * 3), rtol=0, atol=tolerance)
    state.p[0] = 0  # of its own
    assert (state.p[1] != 0).any()
