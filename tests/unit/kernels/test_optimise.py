"""The kernel of the optimisers equals its reference; blocks do not matter."""

import numpy as np
import pytest

from fitrec.kernels.cpu import optimise as cpu
from fitrec.kernels.cpu import readout as cpu_readout
from fitrec.kernels.optimise import Change, Constraint, Optimization, Optimizer
from fitrec.kernels.reference import optimise as reference
from fitrec.kernels.reference import readout as reference_readout

N = 5003


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
@pytest.mark.parametrize("constraint", list(Constraint))
@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_update_equals_the_reference(dtype: str, tolerance: float, constraint: Constraint, optimizer: Optimizer) -> None:
    random = np.random.default_rng(5)
    w = random.normal(0, 0.3, N).astype(dtype)
    w[:20], w[20:40] = 0.0, -0.0
    w[40:60] *= 1e-20 if dtype == "float32" else 1e-200
    w[60:80] *= 60  # where softplus is linear
    wanted, whole = w.copy(), w.copy()
    moments = [np.zeros((2, N), dtype) for _ in range(3)]
    numbers = np.finfo(dtype)
    optimization = Optimization(int(optimizer), 0.1, 0.9, 0.999, 1e-8, -2.0 if constraint < 2 else -30.0, float(numbers.max))
    for iteration in range(1, 5):
        g = random.normal(0, 1, N).astype(dtype)
        change = Change(iteration, int(constraint), 0.2, 0.5, 1.2)
        for start, stop in ((0, 1000), (1000, 1001), (1001, N)):
            cpu.update(optimization, change, w, g, *moments[0], float(numbers.tiny), start, stop)
        cpu.update(optimization, change, whole, g, *moments[1], float(numbers.tiny), 0, N)
        reference.update(optimization, change, wanted, g, *moments[2], float(numbers.tiny))
    np.testing.assert_array_equal(w, whole)
    np.testing.assert_array_equal(moments[0], moments[1])
    np.testing.assert_allclose(w, wanted, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(moments[0], moments[2], rtol=10 * tolerance, atol=tolerance)
    if constraint != Constraint.NONE:
        np.testing.assert_array_equal(np.signbit(w), np.signbit(wanted))


@pytest.mark.parametrize("constraint", list(Constraint))
def test_squares(constraint: Constraint) -> None:
    random = np.random.default_rng(6)
    w, g = random.normal(0, 0.3, (2, N)).astype(np.float32)
    wanted = np.sum(reference.inner(int(constraint), 0.2, w.astype(float), g.astype(float))[7:4000] ** 2)
    parts = cpu.squares(int(constraint), 0.2, w, g, 7, 4000)
    assert len(parts) == 2
    assert cpu.total(parts) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
@pytest.mark.parametrize("spikes", [True, False])
def test_readout_equals_the_reference(dtype: str, tolerance: float, spikes: bool) -> None:
    random = np.random.default_rng(7)
    activity = random.random((60, 11)) < 0.2 if spikes else random.normal(size=(60, 11)).astype(dtype)
    w_out = random.normal(size=(11, 3)).astype(dtype)
    error, feedback = random.normal(size=(60, 3)).astype(dtype), random.normal(size=(3, 11)).astype(dtype)
    y, wanted = (form.respond(activity, w_out, 0.9, 0.7) for form in (cpu_readout, reference_readout))
    assert y.dtype == wanted.dtype == dtype
    np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)
    for found, of_reference in zip(
        cpu_readout.backward(activity, error, feedback, 0.9, 0.7),
        reference_readout.backward(activity, error, feedback, 0.9, 0.7),
        strict=True,
    ):
        assert found.dtype == of_reference.dtype == dtype
        np.testing.assert_allclose(found, of_reference, rtol=10 * tolerance, atol=10 * tolerance)
