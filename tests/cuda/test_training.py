"""A whole training with its trials on the device equals one on the CPU, bit for bit."""

from typing import Any

import numpy as np
import pytest

from fitrec.config.train import TrainConfig
from fitrec.evaluate.simulated import simulate
from fitrec.kernels.cuda import lif
from fitrec.learn.training import Training
from fitrec.stages.train import make_training
from tests.small_network import fields_of
from tests.tiny_fit import tiny_network, tiny_targets

FEW = {"forcing": [1.0, 0.0], "trials": 3, "closed_loop_trials": 2}


def train(device: Any, **config: Any) -> Training:
    section = TrainConfig.model_validate({"validation_trials": 2, **config})
    training = make_training(tiny_network(), tiny_targets(), section, 1, device=device)
    training.run(lambda training, row: None)
    return training


def curve(training: Training) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in training.curve]


@pytest.mark.parametrize("config", [{"rule": "ridge", "ridge": FEW}, {"rule": "rls", "rls": {"loops": 1}}], ids=["ridge", "rls"])
def test_training_equals_the_cpu(config: dict[str, Any], one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lif, "BLOCK", 64)  # small blocks are faster on the host
    expected, found = train(None, **config), train(one_device, **config)
    for name, values in fields_of(expected.best).items():
        assert np.any(values)
        np.testing.assert_array_equal(getattr(found.best, name), values)
    assert curve(found) == curve(expected)


def test_evaluation_equals_the_cpu(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lif, "BLOCK", 64)
    weights = train(None, rule="ridge", ridge=FEW).best
    options = {"trials": 3, "bin_steps": 200, "recorded_trials": 2, "threads": 1}
    expected, found = (simulate(tiny_network(), weights, device=where, **options) for where in (None, one_device))
    assert len(expected.spike_neuron) > 500
    for name, values in fields_of(expected).items():
        np.testing.assert_array_equal(fields_of(found)[name], values, err_msg=name)
