"""RLS equals ridge regression around the initial weights (rls.md 2.1), and what float32 costs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fitrec.kernels.reference import rls as reference
from tests.rls_learners import Array, Samples, poisson_samples, problem, run

SETTINGS = {
    "ALM, with feed-forward inputs": ((40, 35, 12), {}),
    "TrainSpikingNet": ((29, 29, 0), {"penalty": 0.8, "penalty_row_sum": 0.01}),
    "Neuropixels": ((64, 64, 0), {"penalty": 0.04, "penalty_row_sum": 0.0}),
}


# Forms that hold to float64, and what they store P as.
FORMS: dict[str, dict[str, Any]] = {
    "events, rank 1": {"rank": 1},
    "events, rank 16": {"rank": 16},
    "events, packed": {"storage": "packed"},
    "one pass": {"form": "one pass"},
    "two passes": {"form": "two passes"},
}
# Largest error of a weight after 10,000 updates in float32, relative to the root mean square weight.
SINGLE = {
    "events": ({}, 1e-4),
    "int16": ({"storage": "int16"}, 3e-2),
}


def ridge(samples: Samples, learner: int, p0: Array, w0: Array) -> Array:
    """Minimiser of sum e^2 + (w - w0)' P0^-1 (w - w0), solved as one least-squares problem."""
    r, bias = samples.of(learner), samples.bias[:, learner]
    root = np.linalg.cholesky(np.linalg.inv(p0)).T
    change = np.linalg.lstsq(np.concatenate([r, root]), np.concatenate([-(r @ w0 + bias), np.zeros(len(w0))]), rcond=None)[0]
    return np.asarray(w0 + change)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("form", FORMS)
def test_float64(setting: str, form: str) -> None:
    (n_exc, n_inh, n_ff), penalties = SETTINGS[setting]
    samples = poisson_samples(450, n_exc, n_inh, n_ff)
    p0, weights = problem(n_exc, n_inh, n_ff, 3, **penalties)
    learners = run(samples, p0, weights, **FORMS[form])
    for learner in range(3):
        expected = ridge(samples, learner, p0, weights[learner])
        assert np.abs(expected - weights[learner]).max() > 0.02
        np.testing.assert_allclose(learners.weights[learner], expected, rtol=0, atol=1e-8)


def test_a_pool_is_ridge_for_each_of_its_neurons() -> None:
    """Two pools of two neurons and one of a single neuron, each neuron with its own target."""
    samples = poisson_samples(450, 30, 25, 4, n_learners=5)
    shared = replace(samples, pre=np.repeat(samples.pre[::2], 2, axis=0)[:5])
    p0, weights = problem(30, 25, 4, 5)
    learners = run(shared, p0, weights, pool_size=2)
    assert learners.p.shape[0] == 3
    for learner in range(5):
        np.testing.assert_allclose(learners.weights[learner], ridge(shared, learner, p0, weights[learner]), rtol=0, atol=1e-8)


@pytest.mark.parametrize("setting", SETTINGS)
def test_textbook_form(setting: str) -> None:
    (n_exc, n_inh, n_ff), penalties = SETTINGS[setting]
    samples = poisson_samples(300, n_exc, n_inh, n_ff, n_learners=1)
    p0, weights = problem(n_exc, n_inh, n_ff, 1, **penalties)
    p, w, r = p0.copy(), weights[0].copy(), samples.of(0)
    for n in range(300):
        reference.rls_step(p, w, r[n], float(samples.bias[n, 0]))
    np.testing.assert_allclose(w, ridge(samples, 0, p0, weights[0]), rtol=0, atol=1e-8)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("form", SINGLE)
def test_float32_after_ten_thousand_updates(setting: str, form: str) -> None:
    options, bound = SINGLE[form]
    (n_exc, n_inh, n_ff), penalties = SETTINGS[setting]
    samples = poisson_samples(10_000, n_exc, n_inh, n_ff, n_learners=2)
    p0, weights = problem(n_exc, n_inh, n_ff, 2, **penalties)
    single = run(samples, p0, weights, 16, np.float32, **options).weights
    double = np.stack([ridge(samples, learner, p0, weights[learner]) for learner in range(2)])
    error = np.abs(single - double).max(axis=1) / np.sqrt((double**2).mean(axis=1))
    print(f"{setting}, {form}: {error.max():.1e}")  # shown with -rP
    assert error.max() < bound
