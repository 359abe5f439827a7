"""A whole training with its trials on the device equals one on the CPU, bit for bit."""

from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from fitrec.config.network import NetworkConfig
from fitrec.config.train import TrainConfig
from fitrec.evaluate.simulated import simulate
from fitrec.kernels.cuda import lif, model
from fitrec.learn.training import Training
from fitrec.networks.network import Network
from fitrec.simulate.simulator import Simulator
from fitrec.simulate.untrained import network_fi, untrained_rates
from fitrec.stages import build
from fitrec.stages.build import build_network
from fitrec.stages.train import make_training
from fitrec.targets.targets import Targets
from tests.small_network import fields_of, random_weights, with_model
from tests.tiny_continuous import NETWORK, make_targets
from tests.tiny_fit import tiny_config, tiny_network, tiny_targets

ONE = {"loops": 1, "trials": 2, "evaluate_every": 2}
PARAMETERS = {"tau_m": {"learning_rate": 0.05}, "v_th": {"shared": True, "min": 0.9, "max": 1.1}}
FEW = {"forcing": [1.0, 0.0], "trials": 3, "closed_loop_trials": 2, "correction_from": 1, "correction_gain": 0.5}


@cache
def short_fit() -> tuple[Network, Targets]:
    """A fit whose trials have few steps: they are slow on the host."""
    targets = tiny_targets(n_bins=5)
    return build_network(targets, tiny_config(settle_ms=20.0, stimulus={"duration_ms": 10.0}), seed=3, threads=1), targets


def train(device: Any, **config: Any) -> Training:
    return watched(device, **config)[0]


def watched(device: Any, **config: Any) -> tuple[Training, list[str]]:
    """Train; returns what was told on the way, too."""
    told = []

    def progress(condition: int, rates_hz: Any, correlation: Any = None, frozen: bool = False) -> None:
        told.append(repr((condition, rates_hz, correlation and correlation(), frozen)))  # of which NaN equals NaN

    section = TrainConfig.model_validate({"validation_trials": 2, **config})
    network, targets = short_fit() if "gradient" in config else (tiny_network(), tiny_targets())
    training = make_training(network, targets, section, 1, progress, device)
    training.run(lambda training, row: None)
    return training, told


def curve(training: Training) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in training.curve]


def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks are faster on the host."""
    monkeypatch.setattr(lif, "BLOCK", 64)
    monkeypatch.setattr(model, "BLOCK", 64)


CONFIGS: dict[str, dict[str, Any]] = {
    "ridge, shared": {"rule": "ridge", "ridge": {"forcing": [0.5], "trials": 2, "gram": "shared"}},
    "ridge, gathered": {"rule": "ridge", "ridge": {**FEW, "gram": "gathered"}},
    "rls": {"rule": "rls", "rls": {"loops": 1}},
    "rls, 16 bits": {"rule": "rls", "rls": {"loops": 1, "p_storage": "int16", "static_current": "instantaneous"}},
    "local-adjoint": {
        "rule": "local-adjoint",
        "gradient": {**ONE, "loops": 2, "window_ms": 40.0, "trainable": PARAMETERS, "rate_penalty": 0.01, "loss": "calcium"},
    },
    "pp-prop": {"rule": "pp-prop", "gradient": {**ONE, "dale": "exponential", "loss_of": "areas", "loss": "poisson"}},
    "e-prop": {
        "rule": "e-prop",
        "gradient": {**ONE, "loops": 3, "loss": "poisson", "rate_penalty": 0.01, "conditions_per_loop": 1},
    },
    "bptt": {"rule": "bptt", "gradient": {**ONE, "trials": 1, "window_ms": 20.0, "overlap": False}},
    "e-prop-plus": {
        "rule": "e-prop-plus",
        "gradient": {**ONE, "dale": "softplus", "clip_norm": 0.1, "loss": "calcium", "calcium_ms": 60.0, "calcium_rise_ms": 20.0},
    },
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_training_equals_the_cpu(config: dict[str, Any], one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)
    (expected, told), (found, told_there) = watched(None, **config), watched(one_device, **config)
    assert told_there == told
    for name, values in fields_of(expected.best).items():
        assert np.any(values)
        np.testing.assert_array_equal(getattr(found.best, name), values)
    assert curve(found) == curve(expected)


def test_continuous_fits_equal_the_cpu(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments take turns, and share their feed-forward weights."""
    small_blocks(monkeypatch)
    targets = make_targets({"segment_s": 0.1, "stop_s": 1.0})
    settings = NetworkConfig.model_validate({**NETWORK, "settle_ms": 20.0})
    network = build_network(targets, settings, seed=3, threads=1)
    section = TrainConfig.model_validate(
        {"rule": "local-adjoint", "validation_trials": 2, "gradient": {**ONE, "loops": 2, "conditions_per_loop": 2}}
    )
    trainings = [make_training(network, targets, section, 1, device=device) for device in (None, one_device)]
    expected, found = (training.run(lambda training, row: None) for training in trainings)
    assert expected.feed_forward.shape == (1, 5, 4)
    assert expected.feed_forward.any()
    np.testing.assert_array_equal(found.feed_forward, expected.feed_forward)
    np.testing.assert_array_equal(found.plastic, expected.plastic)
    assert curve(trainings[1]) == curve(trainings[0])


def rls_loops(device: Any, state: Any, loops: range) -> Any:
    """Run loops of rls from a state, under Dale's law; returns the new state."""
    options = {"static_current": "instantaneous", "rank": 7, "dale": True}
    section = TrainConfig.model_validate({"rule": "rls", "rls": {"loops": 3, "evaluate_every": 3, **options}})
    rule = make_training(tiny_network(), tiny_targets(), section, 1, device=device).rule
    if state is not None:
        rule.restore(state)
    for index in loops:
        rule.loop(index)
    return {name: np.array(values) for name, values in rule.state().items()}


def test_rls_goes_on_where_it_was_on_another_device(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU, device, CPU: a state says nothing of where it was made."""
    monkeypatch.setattr(lif, "BLOCK", 64)
    expected = rls_loops(None, None, range(3))
    found = rls_loops(None, None, range(1))
    for where, index in ((one_device, 1), (None, 2)):
        found = rls_loops(where, found, range(index, index + 1))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)


def test_an_untrained_network_equals_the_cpus(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its wiring, rates, f-I curve, and the neurons that are chosen by their rates."""
    small_blocks(monkeypatch)
    monkeypatch.setattr(build, "untrained_rates", partial(untrained_rates, trials=2, trial_ms=650.0))
    monkeypatch.setattr(build, "network_fi", partial(network_fi, duration_ms=320.0))
    monkeypatch.setattr("fitrec.simulate.untrained.RECORDED_BYTES", 2**20)  # in several launches
    expected, found = (
        build_network(tiny_targets(), tiny_config(), seed=3, threads=1, device=device) for device in (None, one_device)
    )
    assert expected.untrained_rate_hz.max() > 10
    for name, values in fields_of(expected).items():
        np.testing.assert_array_equal(fields_of(found)[name], values, err_msg=name)


def test_evaluation_equals_the_cpu(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lif, "BLOCK", 64)
    weights = train(None, rule="ridge", ridge=FEW).best
    options = {"trials": 4, "bin_steps": 200, "recorded_trials": 2, "threads": 1}
    expected, found = (simulate(tiny_network(), weights, device=where, **options) for where in (None, one_device))
    assert len(expected.spike_neuron) > 500
    for name, values in fields_of(expected).items():
        np.testing.assert_array_equal(fields_of(found)[name], values, err_msg=name)


def ridge_loops(device: Any, state: Any, loops: range) -> Any:
    """Run loops of ridge with gathered traces from a state; returns the new state."""
    section = TrainConfig.model_validate({"rule": "ridge", "ridge": {**FEW, "gram": "gathered"}})
    rule = make_training(tiny_network(), tiny_targets(), section, 1, device=device).rule
    if state is not None:
        rule.restore(state)
    for index in loops:
        rule.loop(index)
    return {name: np.array(values) for name, values in rule.state().items()}


def test_ridge_goes_on_where_it_was_on_another_device(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lif, "BLOCK", 64)
    expected = ridge_loops(None, None, range(2))
    for first, second in ((one_device, None), (None, one_device)):
        found = ridge_loops(second, ridge_loops(first, None, range(1)), range(1, 2))
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)


def gradient_loops(device: Any, state: Any, loops: range) -> Any:
    """Run loops of local-adjoint from a state; returns the new state."""
    config = {**ONE, "loops": 2, "dale": "exponential", "trainable": PARAMETERS}
    section = TrainConfig.model_validate({"rule": "local-adjoint", "gradient": config})
    network, targets = short_fit()
    rule = make_training(network, targets, section, 1, device=device).rule
    if state is not None:
        rule.restore(state)
    for index in loops:
        rule.loop(index)
    return {name: np.array(values) for name, values in rule.state().items()}


def test_a_gradient_fit_goes_on_where_it_was_on_another_device(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)
    expected = gradient_loops(None, None, range(2))
    assert (expected["parameters"] != gradient_loops(None, None, range(1))["parameters"]).any(axis=1).all()
    for first, second in ((one_device, None), (None, one_device)):
        found = gradient_loops(second, gradient_loops(first, None, range(1)), range(1, 2))
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)


def test_weights_that_are_not_finite_are_found_on_the_device(one_device: Any) -> None:
    section = TrainConfig.model_validate({"rule": "local-adjoint", "gradient": ONE})
    network, targets = short_fit()
    rule: Any = make_training(network, targets, section, 1, device=one_device).rule
    assert rule.not_finite() is None
    rule._weights._learned.weights[2 * network.n_plastic_exc + 1] = np.nan  # of the third neuron's E inputs
    rule._weights._current = None  # as a step does
    assert rule.not_finite() == (2, 1)


def test_trials_of_a_networks_own_model_equal_the_cpu(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)
    network = with_model("lif", {"sigma": 0.3}, n_ff=5)
    options = {"chunk_steps": 50, "spikes": True, "threads": 1}
    expected, found = (
        Simulator(network, device).map_trials(lambda record: record, random_weights(network), 1, [2, 7], **options)
        for device in (None, one_device)
    )
    assert min(len(record.spike_step) for record in expected) > 20
    for a, b in zip(found, expected, strict=True):
        for name, values in fields_of(b).items():
            np.testing.assert_array_equal(fields_of(a)[name], values, err_msg=name, strict=True)
