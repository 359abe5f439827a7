"""PSTH correlation and R2: known answers, invariances, and a reason for every undefined value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitrec.evaluate.psth import correlate, correlate_conditions, pearson, r_squared, reasons


def psths(seed: int, shape: tuple[int, int, int] = (3, 40, 5)) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 3.0, shape)


def test_pearson_equals_numpy() -> None:
    x, y = psths(1), psths(2)
    expected = [np.corrcoef(x[:, :, u].ravel(), y[:, :, u].ravel())[0, 1] for u in range(5)]
    np.testing.assert_allclose(pearson(x, y, axis=(0, 1)), expected, rtol=1e-12)


def test_per_condition_is_the_mean_over_conditions() -> None:
    x, y = psths(1), psths(2)
    expected = [[np.corrcoef(x[c, :, u], y[c, :, u])[0, 1] for u in range(5)] for c in range(3)]
    np.testing.assert_allclose(correlate_conditions(x, y), expected, rtol=1e-12)
    np.testing.assert_allclose(correlate(x, y, "per_condition"), np.mean(expected, axis=0), rtol=1e-12)


def test_wrong_difference_between_conditions_shows_only_when_concatenated() -> None:
    shape = np.sin(np.linspace(0, 6, 50))
    recorded = np.stack([shape + 10, shape + 20])[:, :, None]
    swapped = recorded[::-1]
    assert correlate(swapped, recorded, "per_condition")[0] == pytest.approx(1.0)
    assert correlate(swapped, recorded)[0] < -0.9


@given(seed=st.integers(0, 2**16), gain=st.floats(0.01, 100), offset=st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_correlation_ignores_gain_and_offset_but_r2_does_not(seed: int, gain: float, offset: float) -> None:
    x, y = psths(seed), psths(seed + 1)
    np.testing.assert_allclose(correlate(gain * x + offset, y), correlate(x, y), atol=1e-7)
    assert np.all(r_squared(gain * x + offset, y) <= correlate(x, y) ** 2 + 1e-9)  # the best affine fit explains r squared


def test_r2_known_answers() -> None:
    y = psths(3)
    np.testing.assert_allclose(r_squared(y, y), 1.0)
    np.testing.assert_allclose(r_squared(np.broadcast_to(y.mean(axis=(0, 1)), y.shape), y), 0.0, atol=1e-12)
    expected = 1 - ((y - 2 * y) ** 2).sum(axis=(0, 1)) / ((y - y.mean(axis=(0, 1))) ** 2).sum(axis=(0, 1))
    np.testing.assert_allclose(r_squared(2 * y, y), expected)


def test_every_undefined_value_has_a_reason() -> None:
    model, recorded = psths(1, (2, 30, 7)), psths(2, (2, 30, 7))
    model[:, :, 0] = np.nan
    recorded[:, :, 1] = np.nan
    recorded[:, :, 2] = 0
    recorded[:, :, 3] = 0.1 + 1e-13 * np.arange(30)  # constant but for rounding
    model[:, :, 4] = 0
    model[:, :, 5] = 3.5
    assert reasons(model, recorded) == [
        "no neuron stands for it",
        "not recorded",
        "recorded PSTH is silent",
        "recorded PSTH is constant",
        "model PSTH is silent",
        "model PSTH is constant",
        "",
    ]
    for method in ("concatenated", "per_condition"):
        np.testing.assert_array_equal(np.isnan(correlate(model, recorded, method)), [True] * 6 + [False])
    assert np.isnan(r_squared(model, recorded)[[0, 1, 2, 3]]).all()
    assert np.isfinite(r_squared(model, recorded)[[4, 5, 6]]).all()


def test_a_condition_that_was_not_recorded_does_not_enter() -> None:
    x, y = psths(1), psths(2)
    missing = y.copy()
    missing[1, :, 0] = np.nan
    expected = np.corrcoef(x[[0, 2], :, 0].ravel(), y[[0, 2], :, 0].ravel())[0, 1]
    assert correlate(x, missing)[0] == pytest.approx(expected)
    np.testing.assert_allclose(correlate(x, missing)[1:], correlate(x, y)[1:])
