"""Optimisers: textbook Adam, clipping, schedules, Dale's law, resuming, and gradients that are not finite."""

import logging
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitrec.errors import ConfigError, TrainingError
from fitrec.learn.gradient import updates
from fitrec.learn.gradient.constraints import Limits, Parameter
from fitrec.learn.gradient.optimisers import Optimiser, Settings
from fitrec.learn.gradient.schedules import Schedule


def test_adam_is_the_textbook_one() -> None:
    """Kingma & Ba 2015, algorithm 1, but for where epsilon stands."""
    values, settings = np.array([1.0, -2.0]), Settings(learning_rate=0.1)
    optimiser = Optimiser([Parameter("w", values)], settings)
    w, m, v = values.copy(), np.zeros(2), np.zeros(2)
    for t in range(1, 6):
        g = w * np.array([1.0, 3.0]) + t
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        optimiser.step({"w": values * np.array([1.0, 3.0]) + t})
        np.testing.assert_allclose(values, w, rtol=1e-7)


def test_clipping_counts_all_parameters_together() -> None:
    a, b = np.zeros(2), np.zeros(1)
    optimiser = Optimiser([Parameter("a", a), Parameter("b", b, rate=2.0)], Settings(kind="sgd", learning_rate=1, clip_norm=1.3))
    assert optimiser.step({"a": np.array([3.0, 4.0]), "b": np.array([12.0])}).norm == 13
    np.testing.assert_allclose([*a, *b], [-0.3, -0.4, -2.4])
    optimiser = Optimiser([Parameter("a", a)], Settings(kind="sgd", learning_rate=1, clip_value=0.5))
    a[:] = 0
    optimiser.step({"a": np.array([3.0, -0.1])})
    np.testing.assert_allclose(a, [-0.5, 0.1])


def test_the_norm_is_that_of_what_the_optimiser_moves() -> None:
    w = np.array([0.5, -0.25])
    found = Optimiser([Parameter("w", w, Limits(dale="exponential"))], Settings()).step({"w": np.array([6.0, 16.0])})
    assert found.norm == 5


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        (Schedule(), [1, 1, 1, 1, 1]),
        (Schedule(kind="step", every=2, factor=0.5), [1, 1, 0.5, 0.5, 0.25]),
        (Schedule(kind="cosine", total=4, final=0.2), [1, 0.2 + 0.4 * (1 + 0.5**0.5), 0.6, 0.2 + 0.4 * (1 - 0.5**0.5), 0.2]),
        (Schedule(warm_up=4), [0.25, 0.5, 0.75, 1, 1]),
    ],
)
def test_schedules(schedule: Schedule, wanted: list[float]) -> None:
    np.testing.assert_allclose([schedule(iteration) for iteration in range(1, 6)], wanted)
    w = np.zeros(1)
    optimiser = Optimiser([Parameter("w", w)], Settings(kind="sgd", learning_rate=0.1, schedule=schedule))
    rates = [optimiser.step({"w": np.ones(1)}).learning_rate for _ in range(5)]
    assert w[0] == pytest.approx(-sum(rates)) == -0.1 * sum(wanted)


@settings(max_examples=50)
@given(
    dale=st.sampled_from(["clip", "exponential", "softplus"]),
    kind=st.sampled_from(["sgd", "adam"]),
    precision=st.sampled_from(["float32", "float64"]),
    learning_rate=st.floats(1e-4, 1e3),
    seed=st.integers(0, 2**32),
    bounded=st.booleans(),
)
def test_dales_law_holds_after_any_step(
    dale: Any, kind: Any, precision: str, learning_rate: float, seed: int, bounded: bool
) -> None:
    random = np.random.default_rng(seed)
    w = (random.normal(0, 0.5, 64) * 10.0 ** -random.integers(0, 40, 64)).astype(precision).clip(-1, 1)
    w[:4] = [0.0, -0.0, 1e-45, -1e-45]
    signs = np.signbit(w)
    limits = Limits(dale=dale, w_min=-1, w_max=1) if bounded else Limits(dale=dale)
    optimiser = Optimiser([Parameter("w", w, limits)], Settings(kind=kind, learning_rate=learning_rate), threads=1)
    for _ in range(5):
        gradient = (random.normal(size=64) * 10.0 ** random.integers(-20, 10, 64)).astype(precision)
        with suppress(TrainingError):  # a weight without bounds may grow until its derivative overflows
            optimiser.step({"w": gradient})
        assert np.isfinite(w).all()
        np.testing.assert_array_equal(np.signbit(w), signs)
        assert not bounded or np.abs(w).max() <= 1


@pytest.mark.parametrize("dale", ["exponential", "softplus"])
def test_theta_descends(dale: Any) -> None:
    """A step of gradient descent in theta, by its definition."""
    w, g = np.array([0.5, -0.3, 2.0]), np.array([1.0, 2.0, -0.5])
    scale, sign, magnitude = np.abs(w).mean(), np.sign(w), np.abs(w)
    if dale == "exponential":
        theta, slope = np.log(magnitude), magnitude
        wanted = sign * np.exp(theta - 0.1 * g * sign * slope)
    else:
        theta = scale * np.log(np.expm1(magnitude / scale))
        slope = 1 / (1 + np.exp(-theta / scale))
        wanted = sign * scale * np.log1p(np.exp((theta - 0.1 * g * sign * slope) / scale))
    Optimiser([Parameter("w", w, Limits(dale=dale))], Settings(kind="sgd", learning_rate=0.1)).step({"w": g})
    np.testing.assert_allclose(w, wanted, rtol=1e-14)


def test_clipped_weights_come_back_with_their_sign() -> None:
    w = np.array([0.1, -0.1])
    optimiser = Optimiser([Parameter("w", w, Limits(dale="clip"))], Settings(kind="sgd", learning_rate=1))
    optimiser.step({"w": np.array([1.0, -1.0])})
    np.testing.assert_array_equal(w, 0)
    optimiser.step({"w": np.array([0.2, 0.2])})
    np.testing.assert_array_equal(w, [0, -0.2])


def test_zero_weights_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Parameter("recurrent", np.array([0.0, 1.0, 0.0]), Limits(dale="exponential"))
    assert "recurrent: 2 of 3 elements are 0" in caplog.text
    caplog.clear()
    Parameter("recurrent", np.array([0.0, 1.0, 0.0]), Limits(dale="clip"))
    assert not caplog.text


def test_frozen_parameters_stay() -> None:
    w, v = np.ones(3), np.ones(3)
    optimiser = Optimiser([Parameter("w", w, frozen=True), Parameter("v", v)], Settings())
    optimiser.step({"v": np.ones(3)})
    assert (w == 1).all()
    assert (v < 1).all()


@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("dale", ["none", "clip", "exponential", "softplus"])
def test_resuming_and_threads_change_no_bit(kind: Any, dale: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "BLOCK", 64)
    random = np.random.default_rng(2)
    initial = random.normal(0, 0.1, 1000).astype(np.float32)
    gradients = random.normal(0, 1, (6, 1000)).astype(np.float32)
    settings = Settings(kind=kind, clip_norm=5, schedule=Schedule(kind="step", every=2))

    def start(values: Any, threads: int) -> Optimiser:
        return Optimiser([Parameter("w", values, Limits(dale=dale))], settings, threads=threads)

    whole = initial.copy()
    optimiser = start(whole, 1)
    for g in gradients:
        optimiser.step({"w": g})
    resumed = initial.copy()
    optimiser = start(resumed, 3)
    for g in gradients[:3]:
        optimiser.step({"w": g})
    state, resumed = optimiser.state(), resumed.copy()
    optimiser = start(resumed, 2)
    optimiser.restore(state)
    for g in gradients[3:]:
        optimiser.step({"w": g})
    np.testing.assert_array_equal(resumed, whole)
    assert (whole != initial).any()


def test_a_gradient_that_is_not_finite_stops_before_anything_changes() -> None:
    w, b = np.ones(4), np.ones(2)
    optimiser = Optimiser([Parameter("recurrent", w, neuron=np.array([7, 8, 9, 7])), Parameter("bias", b)], Settings())
    optimiser.step({"recurrent": np.ones(4), "bias": np.ones(2)})
    kept, state = w.copy(), optimiser.state()
    with pytest.raises(TrainingError, match=r"recurrent is nan at element 2, of neuron 9, in iteration 2 \(1 of 4"):
        optimiser.step({"recurrent": np.array([0, 0, np.nan, 0]), "bias": np.ones(2)})
    with pytest.raises(TrainingError, match=r"bias is inf at element 1, of neuron 1"):
        optimiser.step({"recurrent": np.ones(4), "bias": np.array([0, np.inf])})
    np.testing.assert_array_equal(w, kept)
    assert all((optimiser.state()[name] == array).all() for name, array in state.items())


def test_a_gradient_whose_mean_square_would_be_infinite_stops_adam() -> None:
    """The weight would stand still for ever, and nobody would know."""
    huge, w = np.array([1.0, -3e25], np.float32), np.ones(2, np.float32)
    with pytest.raises(TrainingError, match=r"too large to go on with: the gradient of w is -[\d.]+e\+25 at element 1"):
        Optimiser([Parameter("w", w)], Settings()).step({"w": huge})
    assert (w == 1).all()
    for clipped in (Settings(clip_norm=1.0), Settings(clip_value=1.0), Settings(kind="sgd", learning_rate=1e-26)):
        values = np.ones(2, np.float32)
        Optimiser([Parameter("w", values)], clipped).step({"w": huge})
        assert values[1] > 1
    many = np.full(10, 1.2e19, np.float32)
    values = np.ones(10, np.float32)
    Optimiser([Parameter("w", values)], Settings()).step({"w": many})
    assert (values < 1).all()


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="learning_rate of the optimiser is 0"):
        Settings(learning_rate=0)
    with pytest.raises(ConfigError, match=r"beta_1 of the optimiser is 1; it has to lie in \[0, 1\)"):
        Settings(beta_1=1)
    with pytest.raises(ConfigError, match="cosine"):
        Schedule(kind="cosine")
    with pytest.raises(ConfigError, match=r"w: 1 of 2 elements begin outside the bounds \[-1, 1\], element 1 at -3"):
        Parameter("w", np.array([0.0, -3.0]), Limits(w_min=-1, w_max=1))
    with pytest.raises(ConfigError, match="element 1, of neuron 1, begins at nan"):
        Parameter("w", np.array([0.0, np.nan]))


def test_a_state_of_something_else_is_refused() -> None:
    state = Optimiser([Parameter("w", np.ones(3))], Settings()).state()
    with pytest.raises(TrainingError, match="moments/w is float64 of shape"):
        Optimiser([Parameter("w", np.ones(4))], Settings()).restore(state)
    with pytest.raises(TrainingError, match="moments/v is missing"):
        Optimiser([Parameter("v", np.ones(3))], Settings()).restore(state)
