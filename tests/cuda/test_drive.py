"""The drives that ridge aims at, on the device, equal the host's bit for bit."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cuda import recurring
from fitrec.learn.drive_arrays import DeviceDrives, HostDrives
from fitrec.targets.drive import inverse_curve
from fitrec.targets.smoothing import kernel_weights


def pair(device: Any, points: int = 40, seed: int = 0) -> tuple[HostDrives, DeviceDrives]:
    rng = np.random.default_rng(seed)
    drives, rates = np.sort(rng.uniform(-4, 4, points)), np.cumsum(rng.uniform(1e-3, 1, points) ** 6 + 1e-6)
    curve = inverse_curve(drives, rates)
    return HostDrives(curve, 1), DeviceDrives(device, curve)


def same(found: Any, expected: np.ndarray, device: Any) -> None:
    np.testing.assert_array_equal(device.to_host(found), expected, strict=True)


@pytest.mark.parametrize("points", [2, 40])
def test_misses(points: int, device: Any) -> None:
    """Below, between, on and above the curve's knots, and rates that are not finite."""
    host, found = pair(device, points)
    rng = np.random.default_rng(1)
    rates = np.geomspace(1e-7, 100, 2 * 30 * 11).reshape(2, 30, 11)
    rates[0, 0, :4] = 0.0, np.nan, np.inf, -1.0
    wanted = rng.normal(size=rates.shape)
    expected = host.misses(wanted, rates, 1e-5)
    assert np.isfinite(expected).sum() == expected.size - 2
    same(found.misses(device.asarray(wanted), device.asarray(rates), 1e-5), expected, device)


def test_arithmetic(device: Any) -> None:
    host, found = pair(device)
    a, b, c = np.random.default_rng(2).normal(0, 0.3, (3, 2, 30, 11))
    b[1, 2, 3] = np.nan
    put = device.asarray
    for name, *numbers in (("move", 0.37), ("correct", 0.4, 0.3)):
        expected, on_device = a.copy(), put(a)
        getattr(host, name)(expected, b, *numbers)
        getattr(found, name)(on_device, put(b), *numbers)
        same(on_device, expected, device)
    same(found.plastic(put(a), put(b), put(c)), host.plastic(a, b, c), device)
    same(found.forced(put(a), 0.3), host.forced(a, 0.3), device)
    for drive in (a, b, np.where(a > 0.9 * a.max(), np.inf, a), np.finfo(float).max * np.sign(a)):
        assert found.all_finite(put(drive)) == host.all_finite(drive) == np.isfinite(drive).all()


@pytest.mark.parametrize("width_s", [0.05, 0.02, 5.0])
def test_smoothing(width_s: float, device: Any) -> None:
    """Over several bins, not at all, and beyond both ends."""
    host, found = pair(device)
    halves, weights = np.random.default_rng(3).normal(size=(2, 3, 20, 7)), kernel_weights(0.02, "boxcar", width_s)
    same(found.smooth(device.asarray(halves), weights), host.smooth(halves, weights), device)


def halves(n_time: int, n_units: int) -> np.ndarray:
    """Two measurements (half, condition, time, unit) of two time courses; the first unit is without noise."""
    rng = np.random.default_rng(n_units)
    signal = np.einsum("ctm,mu->ctu", rng.normal(size=(2, n_time, 2)), rng.normal(size=(2, n_units)))
    measured = np.stack([signal + rng.normal(0, 0.5, signal.shape) for _ in range(2)])
    measured[1, :, :, 0] = measured[0, :, :, 0]
    return measured


@pytest.mark.parametrize(("n_time", "n_units"), [(1, 1), (10, 70), (35, 20)])
def test_recurring_part(n_time: int, n_units: int, device: Any) -> None:
    host, found = pair(device)
    one, other = halves(n_time, n_units)
    same(found.recurring_part(device.asarray(one), device.asarray(other)), host.recurring_part(one, other), device)


def test_recurring_part_of_several_groups_of_units(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two groups in one launch, the third in the next."""
    monkeypatch.setattr(recurring, "PARTS_BYTES", 2 * 3 * 8 * 8**2)
    host, found = pair(one_device)
    one, other = halves(4, 4500)
    same(found.recurring_part(one_device.asarray(one), one_device.asarray(other)), host.recurring_part(one, other), one_device)
