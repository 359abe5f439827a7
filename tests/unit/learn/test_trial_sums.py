"""Sums over trials, and that it does not matter how many trials are simulated together."""

import numpy as np
import pytest

from fitrec.learn import trial_sums
from fitrec.learn.trial_sums import TrialSums, trials_together
from fitrec.simulate.record import TrialRecord
from tests.tiny_fit import tiny_training


def record(rng: np.random.Generator) -> TrialRecord:
    """Five bins of eight neurons."""
    return TrialRecord(
        counts=rng.integers(0, 4, (5, 8)).astype(np.uint16),
        traces=np.zeros((5, 8), np.float32),
        ff_traces=np.zeros((5, 0), np.float32),
        static_current=rng.normal(size=(5, 8)).astype(np.float32),
        spike_step=np.zeros(0, np.int32),
        spike_neuron=np.zeros(0, np.int32),
    )


def test_means_over_trials() -> None:
    rng = np.random.default_rng(1)
    records, trained = [record(rng) for _ in range(3)], np.array([1, 2, 6], np.int32)
    sums = TrialSums(5, 8, trained)
    sums.add(records[:1])
    sums.add(records[1:])
    counts, current = np.stack([r.counts for r in records]), np.stack([r.static_current for r in records])
    for half, part in enumerate((slice(0, None, 2), slice(1, None, 2))):
        np.testing.assert_allclose(sums.psths_hz(0.02)[half], counts[part][:, :, trained].mean(axis=0) / 0.02)
        np.testing.assert_allclose(sums.static_currents()[half], current[part][:, :, trained].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(sums.psth_hz(0.02), counts[:, :, trained].mean(axis=0) / 0.02)
    assert sums.mean_rates_hz(6, 0.02) == pytest.approx((counts[:, :, :6].mean() / 0.02, counts[:, :, 6:].mean() / 0.02))


def test_trials_together_depend_on_their_size() -> None:
    assert trials_together(100, 5000) > 100
    assert trials_together(150, 66_002) == int(trial_sums.RECORD_BYTES // (150 * 18 * 66_002))
    assert trials_together(100, 10**8) == 1


def test_trials_one_by_one_give_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = []
    for limit in (2e9, 1.0):
        monkeypatch.setattr(trial_sums, "RECORD_BYTES", limit)
        rule = tiny_training(rule="ridge", ridge={"forcing": [0.5, 0.0], "trials": 3, "gram": "gathered"}).rule
        rule.loop(0)
        rule.loop(1)
        weights.append(rule.weights)
    np.testing.assert_array_equal(weights[0].plastic, weights[1].plastic)
    np.testing.assert_array_equal(weights[0].feed_forward, weights[1].feed_forward)
