"""RLS equals ridge regression around the initial weights (rls.md 2.1), and what float32 costs."""

import numpy as np
import pytest

from fitrec.kernels.reference import rls as reference
from tests.rls_learners import Array, Samples, poisson_samples, problem, run

SETTINGS = {
    "ALM, with feed-forward inputs": ((40, 35, 12), {}),
    "TrainSpikingNet": ((29, 29, 0), {"penalty": 0.8, "penalty_row_sum": 0.01}),
    "Neuropixels": ((64, 64, 0), {"penalty": 0.04, "penalty_row_sum": 0.0}),
}


def ridge(samples: Samples, learner: int, p0: Array, w0: Array) -> Array:
    """Minimiser of sum e^2 + (w - w0)' P0^-1 (w - w0), solved as one least-squares problem."""
    r, bias = samples.of(learner), samples.bias[:, learner]
    root = np.linalg.cholesky(np.linalg.inv(p0)).T
    change = np.linalg.lstsq(np.concatenate([r, root]), np.concatenate([-(r @ w0 + bias), np.zeros(len(w0))]), rcond=None)[0]
    return np.asarray(w0 + change)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("rank", [1, 16])
def test_float64(setting: str, rank: int) -> None:
    (n_exc, n_inh, n_ff), penalties = SETTINGS[setting]
    samples = poisson_samples(450, n_exc, n_inh, n_ff)
    p0, weights = problem(n_exc, n_inh, n_ff, 3, **penalties)
    state = run(samples, p0, weights, rank)
    for learner in range(3):
        expected = ridge(samples, learner, p0, weights[learner])
        assert np.abs(expected - weights[learner]).max() > 0.02
        np.testing.assert_allclose(state.weights[learner], expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("setting", SETTINGS)
def test_textbook_form(setting: str) -> None:
    (n_exc, n_inh, n_ff), penalties = SETTINGS[setting]
    samples = poisson_samples(300, n_exc, n_inh, n_ff, n_learners=1)
    p0, weights = problem(n_exc, n_inh, n_ff, 1, **penalties)
    p, w, r = p0.copy(), weights[0].copy(), samples.of(0)
    for n in range(300):
        reference.rls_step(p, w, r[n], float(samples.bias[n, 0]))
    np.testing.assert_allclose(w, ridge(samples, 0, p0, weights[0]), rtol=0, atol=1e-8)


@pytest.mark.parametrize(("setting", "rank"), [*((name, 16) for name in SETTINGS), ("TrainSpikingNet", 1)])
def test_float32_after_ten_thousand_updates(setting: str, rank: int) -> None:
    (n_exc, n_inh, n_ff), penalties = SETTINGS[setting]
    samples = poisson_samples(10_000, n_exc, n_inh, n_ff, n_learners=2)
    p0, weights = problem(n_exc, n_inh, n_ff, 2, **penalties)
    single = run(samples, p0, weights, rank, np.float32).weights
    double = np.stack([ridge(samples, learner, p0, weights[learner]) for learner in range(2)])
    error = np.abs(single - double).max(axis=1) / np.sqrt((double**2).mean(axis=1))
    print(f"{setting}, rank {rank}: {error.max():.1e}")  # shown with -rP
    assert error.max() < 1e-4
