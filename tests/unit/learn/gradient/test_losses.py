"""Losses and readouts: every derivative against finite differences; masks; what has to be refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from fitrec.errors import TargetsError
from fitrec.learn.gradient.losses import (
    CrossEntropy,
    FiringRate,
    Loss,
    MeanSquared,
    PoissonCounts,
    RegionMean,
    one_hot,
)
from fitrec.learn.gradient.readout import make_readout
from fitrec.learn.regions import Regions

T, N = 12, 5
RANDOM = np.random.default_rng(8)
OBSERVED = RANDOM.uniform(0.5, 20, (T, N))
SPIKING = RANDOM.poisson(1.5, (T, N))
SMOOTH = RANDOM.normal(size=(T, N)) + 0.2 * OBSERVED
CLASSES = one_hot(RANDOM.integers(0, N, T), N, T)
REGIONS = Regions(["b", "a", "", "b", "a"])


def differences(function: Callable[[Any], float], at: Any, step: float = 1e-5) -> Any:
    """Central differences of a function of an array."""
    result = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[place] += step
        down[place] -= step
        result[place] = (function(up) - function(down)) / (2 * step)
    return result


CASES = {
    "squared": (MeanSquared(), SMOOTH),
    "poisson": (PoissonCounts(bin_s=0.1, floor_hz=0.3), SPIKING),
    "cross-entropy": (CrossEntropy(), CLASSES),
    "regions": (RegionMean(REGIONS, MeanSquared()), SMOOTH),
    "counts of regions": (RegionMean(REGIONS, PoissonCounts(bin_s=0.1)), SPIKING),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("masked", ["no", "times", "units", "elements"])
def test_derivatives(name: str, masked: str) -> None:
    loss, target = CASES[name]
    if masked in ("units", "elements") and isinstance(loss, CrossEntropy):
        pytest.skip("a class distribution has no parts that could be missing")
    seen = np.random.default_rng(9).random(target.shape) < 0.7
    mask = {"no": None, "times": seen[:, :1], "units": np.arange(target.shape[1]) != 1, "elements": seen}[masked]
    value, signal = loss(OBSERVED, target, mask)
    assert isinstance(value, float)
    assert signal.shape == OBSERVED.shape
    wanted = differences(lambda observed: loss(observed, target, mask)[0], OBSERVED)
    assert np.abs(wanted).max() > 1e-4
    np.testing.assert_allclose(signal, wanted, rtol=1e-6, atol=1e-9)
    assert loss(OBSERVED.astype(np.float32), target, mask)[1].dtype == np.float32


@pytest.mark.parametrize("loss", [MeanSquared(), PoissonCounts(bin_s=0.1), RegionMean(REGIONS, MeanSquared())])
def test_what_was_not_observed_does_not_matter(loss: Loss) -> None:
    mask = np.random.default_rng(10).random((T, N)) < 0.6
    with_gaps = np.where(mask, SPIKING, np.nan)
    value, signal = loss(OBSERVED, with_gaps, mask)
    filled = np.where(mask, SPIKING, 3.0)
    other_value, other_signal = loss(OBSERVED, filled, mask)
    assert value == other_value
    np.testing.assert_array_equal(signal, other_signal)
    assert not signal[~mask].any()


def test_values() -> None:
    assert MeanSquared()(OBSERVED, SMOOTH)[0] == pytest.approx(np.mean((OBSERVED - SMOOTH) ** 2))
    found = PoissonCounts(bin_s=0.1, floor_hz=0.3)(OBSERVED, SPIKING)[0]
    assert found == pytest.approx(-(stats.poisson.logpmf(SPIKING, 0.1 * (OBSERVED + 0.3)) + gammaln(SPIKING + 1)).mean())
    found = CrossEntropy()(1e4 * np.eye(2), np.eye(2)[::-1])[0]
    assert found == 1e4


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_squared_error_of_any_number_of_elements(size: int, dtype: Any) -> None:
    rng = np.random.default_rng(size)
    observed, target = (rng.normal(size=(size, 1)).astype(dtype) for _ in range(2))
    value, signal = MeanSquared()(observed, target.astype(np.float64))
    assert value == pytest.approx(np.mean((observed - target).astype(np.float64) ** 2), rel=1e-13)
    np.testing.assert_array_equal(signal, dtype(2 / size) * (observed - target), strict=True)


def test_regions() -> None:
    """Means over the neurons that were seen; those without a region do not count, and have no derivative."""
    means = np.stack([OBSERVED[:, [1, 4]].mean(axis=1), OBSERVED[:, [0, 3]].mean(axis=1)], axis=1)
    wanted = np.stack([SMOOTH[:, [1, 4]].mean(axis=1), SMOOTH[:, [0, 3]].mean(axis=1)], axis=1)
    value, signal = RegionMean(REGIONS, MeanSquared())(OBSERVED, SMOOTH)
    assert REGIONS.names == ("a", "b")
    assert value == pytest.approx(np.mean((means - wanted) ** 2))
    np.testing.assert_allclose(signal[:, [1, 4]], ((means - wanted)[:, :1] / (2 * T)).repeat(2, axis=1))
    assert not signal[:, 2].any()
    some = np.array([True, False, True, True, False])
    value = RegionMean(REGIONS, MeanSquared())(OBSERVED, SMOOTH, some)[0]
    assert value == pytest.approx(np.mean((means - wanted)[:, 1] ** 2))  # nothing of region a was seen


def test_firing_rates() -> None:
    counts = np.array([4.0, 0.0, 30.0])
    loss = FiringRate(strength=0.7, target_hz=np.array([10.0, 5.0, 2.0]))
    value, signal = loss(counts, 2.0)
    assert value == pytest.approx(0.35 * np.mean((counts / 2 - [10, 5, 2]) ** 2))
    np.testing.assert_allclose(signal, differences(lambda c: loss(c, 2.0)[0], counts), rtol=1e-7)


@pytest.mark.parametrize(
    ("loss", "target", "mask", "wanted"),
    [
        (MeanSquared(), SMOOTH[:3], None, r"shape \(3, 5\), the observation \(12, 5\)"),
        (MeanSquared(), SMOOTH, np.zeros(N, bool), "no element of the target is observed"),
        (MeanSquared(), np.full((T, N), np.nan), np.arange(N) > 1, "at time 0 of unit 2 is nan"),
        (MeanSquared(), np.full((T, N), np.inf), None, "at time 0 of unit 0 is inf"),
        (CrossEntropy(), CLASSES, np.ones(N, bool), r"mask of times, \(12, 1\)"),
        (PoissonCounts(bin_s=0.1, floor_hz=-30), SPIKING, None, "cannot be negative"),
    ],
)
def test_refused(loss: Loss, target: Any, mask: Any, wanted: str) -> None:
    with pytest.raises(TargetsError, match=wanted):
        loss(OBSERVED, target, mask)


def test_a_symmetric_readout_has_exact_derivatives() -> None:
    random = np.random.default_rng(11)
    activity, target = random.normal(size=(T, N)), random.normal(size=(T, 2))
    readout = make_readout(random.normal(size=(N, 2)), kappa=0.8, gain=0.5)

    def value(x: Any, w: Any) -> float:
        return MeanSquared()(make_readout(w, kappa=0.8, gain=0.5).respond(x), target)[0]

    error = MeanSquared()(readout.respond(activity), target)[1]
    found = readout.backward(activity, error)
    np.testing.assert_allclose(found.signal, differences(lambda x: value(x, readout.w_out), activity), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found.gradient, differences(lambda w: value(activity, w), readout.w_out), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive"])
def test_feedback(feedback: Any) -> None:
    random = np.random.default_rng(12)
    w_out, drawn = random.normal(size=(N, 2)), random.normal(size=(2, N))
    readout = make_readout(w_out.copy(), kappa=0.8, feedback=feedback, drawn=drawn, decay=0.5)
    readout.parameter.values[:] += 0.25
    np.testing.assert_array_equal(readout.w_out, w_out + 0.25)
    readout.follow(w_out, 0.1)
    wanted = {"symmetric": (w_out + 0.25).T, "random": drawn, "adaptive": 0.95 * (drawn + 0.25)}[feedback]
    np.testing.assert_allclose(readout.feedback, wanted)
    if feedback != "symmetric":
        with pytest.raises(ValueError, match="has to be drawn"):
            make_readout(w_out, kappa=0.8, feedback=feedback)
