"""Optimisers on the device equal those on the CPU, bit for bit."""

from typing import Any

import numpy as np
import pytest

from fitrec.errors import TrainingError
from fitrec.kernels.cpu import optimise as cpu
from fitrec.kernels.cuda import optimise as cuda
from fitrec.kernels.optimise import PART, Change, Constraint, Optimization, Optimizer
from fitrec.learn.gradient.constraints import Limits, Parameter
from fitrec.learn.gradient.optimisers import Optimiser, Settings
from fitrec.learn.gradient.schedules import Schedule

N = 1203


def weights_of(dtype: str, random: np.random.Generator) -> Any:
    """Zeros of both signs, tiny ones, and some where softplus is linear among the weights."""
    w = random.normal(0, 0.3, N).astype(dtype)
    w[:20], w[20:40] = 0.0, -0.0
    w[40:60] *= 1e-30 if dtype == "float32" else 1e-300
    w[60:80] *= 60
    return w


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("constraint", list(Constraint))
@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_updates_equal_numba(dtype: str, constraint: Constraint, optimizer: Optimizer, device: Any) -> None:
    random, tiny = np.random.default_rng(3), float(np.finfo(dtype).tiny)
    expected = weights_of(dtype, random)
    moments = np.zeros((2, N), dtype)
    found, found_moments = device.asarray(expected), device.asarray(moments)
    optimization = Optimization(int(optimizer), 0.1, 0.9, 0.999, 1e-8, -20.0 if constraint else -0.4, 20.0)
    for iteration in range(1, 4):
        g = (random.normal(0, 1, N) * 10.0 ** random.integers(-30, 3, N)).astype(dtype)
        change = Change(iteration, int(constraint), 0.2, 0.7, 1.2 if iteration == 2 else np.inf)
        gradient = device.asarray(g)
        parts = cpu.squares(int(constraint), 0.2, expected, g, 0, N)
        np.testing.assert_array_equal(
            device.to_host(cuda.squares(device, int(constraint), 0.2, found, gradient)), parts, strict=True
        )
        cpu.update(optimization, change, expected, g, *moments, tiny, 0, N)
        cuda.update(device, optimization, change, found, gradient, *found_moments, tiny)
    for a, b in ((found, expected), (found_moments, moments)):
        np.testing.assert_array_equal(device.to_host(a), b, strict=True)
        np.testing.assert_array_equal(np.signbit(device.to_host(a)), np.signbit(b))
    assert (expected != weights_of(dtype, np.random.default_rng(3))).any()


def test_squares_of_several_parts_equal_numba(device: Any) -> None:
    random = np.random.default_rng(4)
    w, g = random.normal(size=(2, 2 * PART + 77)).astype(np.float32)
    parts = cpu.squares(int(Constraint.EXPONENTIAL), 1.0, w, g, 0, len(w))
    assert len(parts) == 3
    on_device = cuda.squares(device, int(Constraint.EXPONENTIAL), 1.0, device.asarray(w), device.asarray(g))
    np.testing.assert_array_equal(device.to_host(on_device), parts, strict=True)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_an_optimiser_goes_on_where_it_was_on_another_device(kind: Any, one_device: Any) -> None:
    """One array on the device and one on the CPU, clipped by their common norm; a state says nothing of where it was made."""
    random = np.random.default_rng(5)
    settings = Settings(kind=kind, learning_rate=0.05, clip_norm=3.0, schedule=Schedule(kind="cosine", total=6))
    first = random.normal(0, 0.1, 300).astype(np.float32), random.normal(0, 0.1, 7).astype(np.float32)
    gradients = [(random.normal(size=300).astype(np.float32), random.normal(size=7).astype(np.float32)) for _ in range(6)]

    def start(values: tuple[Any, Any], device: Any) -> tuple[Optimiser, Any]:
        parameters = [Parameter("w", values[0], Limits(dale="softplus")), Parameter("tau", values[1])]
        if device is None:
            return Optimiser(parameters, settings, threads=1), values[0]
        there = device.asarray(values[0])
        return Optimiser(parameters, settings, threads=1, device=device, on_device={"w": there}), there

    def run(devices: list[Any]) -> tuple[Any, Any, Any, list[float]]:
        values, state, norms = (first[0].copy(), first[1].copy()), None, []
        for k, device in enumerate(devices):
            optimiser, w = start(values, device)
            if state is not None:
                optimiser.restore(state)
            for by_w, by_tau in gradients[2 * k : 2 * k + 2]:
                norms.append(optimiser.step({"w": by_w if device is None else device.asarray(by_w), "tau": by_tau}).norm)
            values = (w if device is None else device.to_host(w)), values[1]
            state = optimiser.state()
        return *values, state, norms

    expected, found = run([None] * 3), run([None, one_device, one_device])
    assert min(expected[3]) > settings.clip_norm
    assert found[3] == expected[3]
    for a, b in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    for name, values in expected[2].items():
        np.testing.assert_array_equal(found[2][name], values, err_msg=name, strict=True)


def test_a_gradient_that_is_not_finite_is_found_on_the_device(one_device: Any) -> None:
    w = np.ones(4, np.float32)
    there = one_device.asarray(w)
    parameter = Parameter("recurrent", w, neuron=np.array([7, 8, 9, 7]))
    optimiser = Optimiser([parameter], Settings(), device=one_device, on_device={"recurrent": there})
    with pytest.raises(TrainingError, match=r"recurrent is nan at element 2, of neuron 9, in iteration 1 \(1 of 4"):
        optimiser.step({"recurrent": one_device.asarray(np.array([0, 0, np.nan, 0], np.float32))})
    np.testing.assert_array_equal(one_device.to_host(there), w)
