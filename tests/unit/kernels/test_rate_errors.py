"""Learning signals of fits of rates equal what matrices and the losses' own derivatives give."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cpu import rate_errors as kernel
from fitrec.learn.gradient.losses import MeanSquared, PoissonCounts
from fitrec.learn.gradient.rate_errors import banded, causal_filter
from fitrec.targets.smoothing import kernel_weights, smooth_with

BIN_S, FLOOR_HZ = 0.02, PoissonCounts.floor_hz


def matrix(kind: str, n_bins: int) -> Any:
    if kind == "causal":
        return causal_filter(n_bins, BIN_S * 1e3, 50.0)
    return np.ascontiguousarray(smooth_with(np.eye(n_bins)[None], kernel_weights(BIN_S, "gaussian", 0.05), 1)[0])


@pytest.mark.parametrize("kind", ["causal", "gaussian"])
@pytest.mark.parametrize("is_poisson", [False, True])
def test_equal_the_textbook_forms(kind: str, is_poisson: bool) -> None:
    rng = np.random.default_rng(4)
    n_bins, n, trials = 40, 60, 7
    trained = rng.permutation(n)[:33].astype(np.int32)
    mean = (rng.poisson(3.0, (n_bins, n)) / trials).astype(np.float32)
    target, pull = rng.gamma(2, 3, (n_bins, 33)), rng.normal(size=n)
    target[:5, 2] = target[:, 7] = np.nan
    m = matrix(kind, n_bins)
    smooth = np.empty((n_bins, 33))
    for tile in ((0, 20), (20, 33)):
        kernel.smoothed(mean, trained, *banded(m), BIN_S, smooth, *tile)
    np.testing.assert_allclose(smooth, m @ mean[:, trained].astype(np.float64) / BIN_S, rtol=1e-13)
    loss, factor = (PoissonCounts(bin_s=BIN_S), BIN_S) if is_poisson else (MeanSquared(), 1.0)
    seen = np.isfinite(target)
    expected = loss(smooth, target * factor, seen)[1]
    slopes = np.empty(smooth.shape)
    scale = (BIN_S if is_poisson else 2.0) / seen.sum()
    kernel.slopes(is_poisson, smooth, target, scale, BIN_S, FLOOR_HZ, slopes, 0, 33)
    np.testing.assert_allclose(slopes, expected, rtol=1e-12, atol=1e-18)
    assert not slopes[~seen].any()
    found = np.full((n_bins, n), np.nan, np.float32)
    for tile in ((0, 20), (20, 33)):
        kernel.signals(slopes, trained, *banded(np.ascontiguousarray(m.T)), BIN_S, pull, float(trials), found, *tile)
    wanted = (m.T @ expected / BIN_S + pull[trained]) / trials
    np.testing.assert_allclose(found[:, trained], wanted, rtol=1e-6)
    assert np.isnan(np.delete(found, trained, axis=1)).all()
    totals = np.zeros(n)
    kernel.totals(mean, totals)
    np.testing.assert_allclose(totals, mean.sum(axis=0, dtype=np.float64), rtol=1e-15)


def test_spans_hold_all_that_is_not_0() -> None:
    for kind in ("causal", "gaussian"):
        m, span = banded(matrix(kind, 50))
        inside = (np.arange(50) >= span[:, :1]) & (np.arange(50) < span[:, 1:])
        assert not m[~inside].any()
        assert (m[np.arange(50), span[:, 0]] != 0).all()
        assert (m[np.arange(50), span[:, 1] - 1] != 0).all()
