"""What all inputs of a neuron have in common counts less; the rest of a gradient stays."""

import numpy as np
import pytest

from fitrec.learn.gradient.common_mode import CommonMode
from fitrec.learn.gradient.learned import weight_scales
from tests.tiny_fit import tiny_network


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_only_the_part_along_the_rates_is_shortened(share: float) -> None:
    network, rng = tiny_network(), np.random.default_rng(1)
    n_exc, n_ff = network.n_plastic_exc, network.n_feed_forward
    plastic = rng.normal(1, 1, network.plastic_pre.shape).astype(np.float32)
    feed_forward = rng.normal(1, 1, (2, len(network.trained), n_ff)).astype(np.float32)
    new_plastic, new_ff = CommonMode(network, share)(plastic, feed_forward)
    rates = network.untrained_rate_hz[network.plastic_pre].astype(np.float64)
    ff_rates = np.broadcast_to(network.ff_rate_hz.mean(axis=1)[:, None], feed_forward.shape)
    for old, new, hz in (
        (plastic[:, :n_exc], new_plastic[:, :n_exc], rates[:, :n_exc]),
        (plastic[:, n_exc:], new_plastic[:, n_exc:], rates[:, n_exc:]),
        (feed_forward, new_ff, ff_rates),
    ):
        np.testing.assert_allclose((new * hz).sum(axis=-1), share * (old * hz).sum(axis=-1), rtol=1e-3)
        change = (old - new).reshape(-1, old.shape[-1])
        direction = hz.reshape(-1, old.shape[-1])
        along = (change * direction).sum(axis=1, keepdims=True) / (direction**2).sum(axis=1, keepdims=True) * direction
        np.testing.assert_allclose(change, along, atol=1e-5)  # nothing but this direction has changed


def test_learning_rates_move_the_mean_input_alike() -> None:
    network = tiny_network()
    plastic, feed_forward = weight_scales(network)
    assert plastic == pytest.approx(np.abs(network.plastic_weight).mean())
    by_plastic = plastic * network.untrained_rate_hz[network.plastic_pre].sum(axis=1).mean()
    assert feed_forward * network.ff_rate_hz.mean(axis=(0, 1)).sum() == pytest.approx(by_plastic, rel=1e-6)
