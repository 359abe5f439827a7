import numpy as np
import pytest

from fitrec.simulate.constants import lif_constants
from fitrec.simulate.fi import drive_grid, measure_fi, white_noise_fi
from fitrec.simulate.untrained import network_fi, untrained_rates
from fitrec.targets import siegert
from tests.small_network import small_network, static_only


def test_threads_change_no_bit() -> None:
    network = small_network(sigma=0.3, n_ff=4)
    one, two = (untrained_rates(network, trials=3, trial_ms=700.0, threads=threads) for threads in (1, 2))
    assert one.mean() > 1.0
    np.testing.assert_array_equal(one, two)


def test_untrained_rates_leave_out_everything_but_static_synapses() -> None:
    network = small_network(sigma=0.3, n_ff=4)
    bare = static_only(40, 40, 10, 60.0, sigma=0.3, drive=network.drive)
    options = {"trials": 2, "trial_ms": 700.0, "threads": 1}
    np.testing.assert_array_equal(untrained_rates(network, **options), untrained_rates(bare, **options))  # type: ignore[arg-type]


def test_rates_are_in_hz() -> None:
    """A neuron that fires every 21 steps of 0.1 ms fires at 476 Hz."""
    network = static_only(2, 2, 0, 60.0, drive=np.full(4, 1e4, np.float32), refractory_steps=20)
    np.testing.assert_allclose(untrained_rates(network, trials=1, trial_ms=1000.0, threads=1), 1e4 / 21, rtol=2e-3)


def test_simulated_curve_lies_below_the_closed_form_by_what_was_measured() -> None:
    """At dt = 0.1 ms and sigma 0.65: 5.855 Hz against 7.004 at drive 0, and 25.507 against 28.387 at 0.48 (rls.md 2.3)."""
    constants = lif_constants(
        dt_ms=0.1,
        integration="euler",
        tau_m_ms=10.0,
        tau_static_ms=3.0,
        tau_plastic_ms=150.0,
        threshold=1.0,
        reset=0.0,
        sigma=0.65,
        refractory_steps=1,
        seed=3,
    )
    quiet = np.zeros((400, 101_000), np.float32)  # 4,000 s of a neuron: its rate is known to 1 %
    found = measure_fi(constants, np.array([0.0, 0.48]), quiet, 0.1, threads=1)
    np.testing.assert_allclose(found, [5.855, 25.507], rtol=0.03)
    np.testing.assert_allclose(siegert.rate(np.array([0.0, 0.48]), 0.65, 10.0), [7.0036, 28.3873], rtol=1e-5)
    np.testing.assert_array_equal(found, measure_fi(constants, np.array([0.0, 0.48]), quiet, 0.1, threads=2))


def test_curve_without_noise_is_that_of_the_membrane_equation() -> None:
    """Between spikes v_n = x (1 - decay^n): it passes 1 in step n = floor(log(1 - 1/x) / log(decay)) + 1; one step is skipped."""
    drives, rates = white_noise_fi(
        tau_m_ms=10.0, threshold=1.0, reset=0.0, refractory_steps=1, sigma=0.0, dt_ms=0.1, integration="euler"
    )
    np.testing.assert_array_equal(drives, drive_grid(1.0, 0.0))
    assert (rates[drives <= 1.0] == 0).all()
    above = drives > 1.01
    steps = np.floor(np.log(1 - 1 / drives[above]) / np.log(0.99)) + 1
    np.testing.assert_allclose(rates[above], 1e4 / (steps + 1), rtol=6e-3)


def test_network_curve_includes_the_fluctuations_of_the_network() -> None:
    """Below threshold neurons fire on fluctuations only; the curve grows with the drive and does not depend on threads."""
    network = small_network(200, 200, 40, drives=(0.24, 0.16))
    drives, rates = network_fi(network, n_sampled=20, duration_ms=700.0, threads=2)
    assert (np.diff(rates) >= 0).all()
    assert rates[np.searchsorted(drives, 0.9)] > 0.5
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(1e3 / (10 * np.log(4 / 3) + 0.1), rel=0.1)
    np.testing.assert_array_equal(rates, network_fi(network, n_sampled=20, duration_ms=700.0, threads=1)[1])
