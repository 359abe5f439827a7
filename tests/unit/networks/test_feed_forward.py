from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.networks.feed_forward import feed_forward_rates


def draw(**changes: Any) -> NDArray[np.float32]:
    options: dict[str, Any] = {
        "n_conditions": 2,
        "n_inputs": 300,
        "duration_ms": 3000,
        "rate_hz": 20.0,
        "rate_sd_hz": 3.0,
        "tau_ms": 200.0,
        "smooth_ms": 1.0,
        "seed": 4,
    }
    return feed_forward_rates(**{**options, **changes})


def test_stationary_from_the_first_millisecond() -> None:
    rates = draw(n_inputs=2000, duration_ms=400)
    assert rates.shape == (2, 400, 2000)
    for time in (0, 200, 399):
        assert rates[0, time].mean() == pytest.approx(20.0, abs=0.3)
        assert rates[0, time].std() == pytest.approx(3.0, rel=0.08)
    assert np.corrcoef(rates[0, 0], rates[0, 200])[0, 1] == pytest.approx(np.exp(-1), abs=0.08)


def test_conditions_and_inputs_are_independent() -> None:
    rates = draw(n_inputs=2000, duration_ms=5)
    assert abs(np.corrcoef(rates[0, 0], rates[1, 0])[0, 1]) < 0.1
    assert abs(np.corrcoef(rates[0, 0, :-1], rates[0, 0, 1:])[0, 1]) < 0.1
    assert (rates != draw(n_inputs=2000, duration_ms=5, seed=5)).mean() > 0.99


def test_smoothing_is_a_centred_moving_average() -> None:
    rough, smooth = draw(smooth_ms=1.0, duration_ms=200), draw(smooth_ms=21.0, duration_ms=180)
    # Both paths start half a window before the window: the smooth one's first value is the mean of the first 21 of the path.
    expected = np.stack([rough[:, t : t + 21].mean(axis=1) for t in range(180)], axis=1)
    np.testing.assert_allclose(smooth, expected, rtol=1e-5)


def test_published_inputs_stay_positive_and_vary() -> None:
    rates = draw(rate_hz=5.0, rate_sd_hz=2.83, tau_ms=400.0, smooth_ms=101.0)
    assert rates.min() == 0.0
    assert (rates == 0).mean() < 0.1
    # Clamping at zero raises the mean a little.
    assert rates.mean() == pytest.approx(5.0, abs=0.3)
    variation = rates.std(axis=1).mean()
    assert 1.5 < variation < 2.8


def test_none() -> None:
    assert draw(n_inputs=0, duration_ms=70).shape == (2, 70, 0)
