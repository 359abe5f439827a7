"""Weights that are on the device, in fixed point and checked, as the host has them."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cuda.weights import all_finite
from fitrec.simulate.simulator import Simulator
from tests.small_network import random_weights, small_network

F = np.float32


def test_fixed_point_equals_the_hosts(device: Any) -> None:
    """From the host's weights, those of another condition, other ones, and those of a learner, padded."""
    network = small_network(n_ff=7, n_trained=11, condition_names=["left", "right"])
    simulator = Simulator(network, device)
    given = [random_weights(network, seed) for seed in (1, 2)]
    for weights, condition in ((given[0], 0), (given[0], 1), (given[1], 1), (given[0], 1)):
        found, expected = simulator.device_wiring(weights, condition).projections, simulator.wiring(weights, condition)
        np.testing.assert_array_equal(device.to_host(found.plastic_fixed), expected.plastic_fixed)
        np.testing.assert_array_equal(device.to_host(found.ff_fixed), expected.ff_fixed)
    for weights in given:
        learned = np.pad(np.hstack((weights.feed_forward[1], weights.plastic)), ((0, 0), (0, 5)))
        on_device = device.asarray(learned)
        found, expected = simulator.device_wiring_of(on_device).projections, simulator.wiring(weights, 1)
        np.testing.assert_array_equal(device.to_host(found.plastic_fixed), expected.plastic_fixed)
        np.testing.assert_array_equal(device.to_host(found.ff_fixed), expected.ff_fixed)
        simulator.device_weights_are(on_device, weights.plastic)  # nothing is copied, and nothing is wrong
        again = simulator.device_wiring(weights, 0).projections
        np.testing.assert_array_equal(device.to_host(again.plastic_fixed), expected.plastic_fixed)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_noticed(value: float, device: Any) -> None:
    good, nothing = device.asarray(np.full((40, 30), -3e38, F)), device.asarray(np.zeros((0, 30), F))
    bad = np.ones((40, 30), F)
    bad[39, 29] = value
    assert all_finite(device, nothing, good)
    assert not all_finite(device, good, device.asarray(bad))
