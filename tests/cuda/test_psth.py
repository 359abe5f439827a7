"""PSTHs on the device, smoothed and compared with targets, and sums of static currents, equal the CPU's bit for bit."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cuda.lif import new_output
from fitrec.kernels.cuda.psth import Smoother
from fitrec.learn.psth_fit import moments
from fitrec.learn.trial_sums import DeviceTrialSums, TrialSums
from fitrec.simulate.record import TrialRecord
from fitrec.targets.smoothing import kernel_weights, smooth_with, within

BIN_S = 0.02


@pytest.mark.parametrize(("n_bins", "n_trained", "width_s"), [(25, 7, 0.03), (9, 300, 0.2), (1, 5, 0.05), (30, 40, 0.0)])
def test_sums_of_trials(n_bins: int, n_trained: int, width_s: float, device: Any) -> None:
    """Three trials in batches of two and one; the kernel reaches beyond the ends."""
    rng, n = np.random.default_rng(n_bins), n_trained + 3
    trained = np.sort(rng.permutation(n)[:n_trained]).astype(np.int32)
    counts = rng.poisson(1.0, (3, n_bins, n)).astype(np.uint16)
    current = rng.normal(0, 1, (3, n_bins, n)).astype(np.float32)
    on_host, on_device = TrialSums(n_bins, n, trained), DeviceTrialSums(device, n_bins, n, trained)
    none = np.zeros((n_bins, 0), np.float32)
    nothing = np.zeros(0, np.int32)
    empty = {"traces": none, "ff_traces": none, "spike_step": nothing, "spike_neuron": nothing}
    on_host.add([TrialRecord(counts=c, static_current=i, **empty) for c, i in zip(counts, current, strict=True)])
    for part in (slice(0, 2), slice(2, 3)):
        output = new_output(device, len(counts[part]), n_bins, n, 0, sample_every=1)
        given = {"counts": device.asarray(counts[part]), "static_current": device.asarray(current[part])}
        on_device.add(output._replace(**given))
    weights, covered = within(kernel_weights(BIN_S, "gaussian", width_s), n_bins)
    smoother = Smoother(device, weights, covered)
    expected = smooth_with(on_host.psth_hz(BIN_S), weights, 0)
    found = on_device.smoothed_hz(smoother, BIN_S)
    np.testing.assert_array_equal(device.to_host(found), expected)
    halves = device.to_host(on_device.smoothed_halves_hz(smoother, BIN_S))
    np.testing.assert_array_equal(halves, smooth_with(on_host.psths_hz(BIN_S), weights, 1))
    goal = rng.gamma(2, 3, (n_bins, n_trained))
    np.testing.assert_array_equal(smoother.moments(found, device.asarray(goal)), moments(expected[None], goal[None])[:, 0])
    np.testing.assert_array_equal(device.to_host(on_device.static_currents()), on_host.static_currents())
    np.testing.assert_array_equal(on_device.mean_static_current(), on_host.mean_static_current())
    # As NumPy adds: trial after trial, bin after bin.
    np.testing.assert_array_equal(on_host.mean_static_current(), current[:, :, trained].mean(axis=(0, 1), dtype=np.float64))
    assert on_device.mean_rates_hz(3, BIN_S) == on_host.mean_rates_hz(3, BIN_S)
