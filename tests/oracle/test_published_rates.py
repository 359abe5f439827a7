"""Mean rates of untrained networks against the published ones (rls.md 1.4): static synapses and constant drive only.

They count every spike from the random initial voltages on; about a sixth of the neurons start above threshold.
"""

from typing import Any

import numpy as np
import pytest

from fitrec.simulate.simulator import Simulator
from fitrec.threads import thread_map
from tests.small_network import random_weights, static_only


def rates_hz(n: int, k: int, seconds: float, seeds: int, **changes: Any) -> tuple[float, float]:
    """Mean E and I rates over networks drawn with different seeds."""

    def one(seed: int) -> tuple[float, float]:
        network = static_only(n // 2, n // 2, k, 1e3 * seconds, seed=seed, **changes)
        simulator = Simulator(network)
        counts = simulator.run_trial(simulator.wiring(random_weights(network), 0), 0, 0, chunk_steps=network.window_steps).counts
        exc, inh = counts[0, : n // 2].mean() / seconds, counts[0, n // 2 :].mean() / seconds
        return float(exc), float(inh)

    exc, inh = np.mean(thread_map(one, range(1, seeds + 1), None), axis=0)
    print(f"N {n}, K {k}: E {exc:.4f} Hz, I {inh:.4f} Hz")  # shown with -rP
    return float(exc), float(inh)


@pytest.mark.parametrize(
    ("n", "k", "seconds", "seeds", "changes", "published"),
    [
        pytest.param(4096, 205, 2.0, 4, {}, (3.428, 6.154), id="TrainSpikingNet's default"),
        pytest.param(4096, 205, 2.0, 4, {"connectivity": "procedural"}, (3.428, 6.154), id="procedural connectivity"),
        pytest.param(10_000, 512, 2.0, 2, {}, (4.0659, 7.3334), id="TrainSpikingNet's sinusoid benchmark"),
        pytest.param(5000, 500, 4.0, 2, {"drives": (0.18, 0.12)}, (6.6, 12.0), id="Kim et al. 2023, ALM"),
    ],
)
def test_balanced_networks(
    n: int, k: int, seconds: float, seeds: int, changes: dict[str, Any], published: tuple[float, float]
) -> None:
    assert rates_hz(n, k, seconds, seeds, **changes) == pytest.approx(published, rel=0.03)


def test_unconnected_noisy_neurons() -> None:
    """TrainSpikingNet's Neuropixels network: no static synapses, no drive, sigma 0.65; 4 s."""
    assert rates_hz(5000, 0, 4.0, 1, sigma=0.65) == pytest.approx((5.876, 5.889), rel=0.03)
