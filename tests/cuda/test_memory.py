"""The planned memory of a device against the arrays that are made there."""

import re
from typing import Any

import numpy as np
import pytest

from fitrec.config.train import TrainConfig
from fitrec.errors import DeviceError
from fitrec.kernels.cuda import lif
from fitrec.kernels.cuda.device import reserving
from fitrec.learn.memory import FitSizes
from fitrec.stages import train_memory
from fitrec.stages.gradient_memory import gradient_trial
from fitrec.stages.train import make_training
from tests.cuda.host.device import HostDevice
from tests.small_network import small_network
from tests.tiny_fit import tiny_network, tiny_targets

RIDGE = {"forcing": [0.5], "trials": 3, "gram": "gathered"}


def bytes_of(thing: Any) -> int:
    """All arrays in a tuple, or among the attributes of what drives kernels."""
    values = thing if isinstance(thing, tuple) else vars(thing).values()
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    return sum(array.nbytes for array in arrays)


@pytest.mark.parametrize(
    "config",
    [
        {"rule": "ridge", "ridge": RIDGE},
        *({"rule": "rls", "rls": {"loops": 1, "p_storage": s}} for s in ("full", "packed", "int16")),
    ],
    ids=["ridge", "full", "packed", "int16"],
)
def test_the_plan_is_what_is_made(config: dict[str, Any]) -> None:
    network = small_network(
        600, 600, 40, n_trained=300, plastic=(60, 60), window_ms=500.0, condition_names=["left", "right"],
        fi_drive=np.linspace(-1, 3, 9), fi_rate_hz=np.linspace(0, 60, 9),
    )  # fmt: skip
    section, targets, device = TrainConfig.model_validate(config), tiny_targets(n_units=300), HostDevice()
    parts = train_memory.device_plan(FitSizes.of(network, targets.n_bins), section)
    rule = make_training(network, targets, section, 1, device=device).rule
    problem = rule._problem  # type: ignore[attr-defined]
    wiring = problem.simulator.device_wiring(rule.weights, 0)
    places = 12 * rule.weights.plastic.size  # of the weights, and the weights themselves
    made = bytes_of(wiring.projections._replace(procedural=())) + places
    assert made == pytest.approx(parts["static synapses"] + parts["plastic synapses"], rel=0.02)
    batch = problem.simulator.device_batch(wiring, 0, problem.bin_steps, np.zeros(1, np.int64))
    traces = config["rule"] == "ridge"
    output = lif.new_output(device, 1, targets.n_bins, network.n_neurons, 0, sample_every=10 * traces)
    assert bytes_of(batch.state) + bytes_of(output) == pytest.approx(parts["one trial"], rel=0.02)
    if traces:
        assert bytes_of(rule._statistics.store) == pytest.approx(parts["traces"], rel=0.1)  # type: ignore[attr-defined]
    else:
        learners = bytes_of(rule._trials.learner)  # type: ignore[attr-defined]
        assert learners == pytest.approx(parts["P, held-back updates and weights"], rel=0.02)
    total = sum(parts.values())
    assert train_memory.require_device_memory(FitSizes.of(network, targets.n_bins), section, HostDevice(memory=total)) == parts
    with pytest.raises(
        DeviceError, match=r"this training \(of which 0\.\d\d GB are for .*\) needs .* GB on host shim, of which .* --device cpu"
    ):
        train_memory.require_device_memory(FitSizes.of(network, targets.n_bins), section, HostDevice(memory=total - 1))


def test_memory_that_cannot_be_had_after_all() -> None:
    device = HostDevice(memory=10**9)
    with (
        pytest.raises(DeviceError, match=r"^a table needs 0\.5 GB on host shim, of which 1 GB are free; take less, or use --de"),
        reserving(device, 5 * 10**8, "a table", "take less"),
    ):
        raise device.out_of_memory


def test_the_dry_run_names_the_device() -> None:
    sizes = FitSizes(
        n_neurons=10**6, n_static=0, n_pool=10**6, n_trained=10**6, n_inputs=90, n_ff=0, n_conditions=1, n_bins=100,
        stimulus_steps=0,
    )  # fmt: skip
    section, device = TrainConfig(rule="rls"), HostDevice(memory=80 * 10**9)
    on_device = train_memory.require_device_memory(sizes, section, device)
    text = train_memory.describe(train_memory.plan(sizes, section, 1), on_device, device)
    assert "memory of host shim, of which 80.0 GB are free:" in text
    assert on_device["P, held-back updates and weights"] / 1e9 == pytest.approx(10**6 * 4e-9 * 96 * (90 + 10), rel=0.05)
    with pytest.raises(
        DeviceError, match=r"are for P, held-back updates and weights\) needs .* of which 24 GB are free; take fewer"
    ):
        train_memory.require_device_memory(sizes, section, HostDevice(memory=24 * 10**9))


@pytest.mark.parametrize("rule", ["local-adjoint", "with parameters", "bptt", "pp-prop", "d-rtrl"])
def test_the_tape_of_a_trial_is_planned(rule: str) -> None:
    """A trial is what a batch asks memory for; a window that is too long is refused with the longest one that fits."""
    network, targets, device = tiny_network(), tiny_targets(), HostDevice()
    gradient: dict[str, Any] = {"loops": 1, "trials": 2, "window_ms": 200.0}
    if rule == "with parameters":
        rule, gradient["trainable"] = "local-adjoint", {"tau_m": {}, "v_th": {"shared": True}}
    config = TrainConfig.model_validate({"rule": rule, "gradient": gradient})
    trial = gradient_trial(network, network.window_steps // targets.n_bins, config)
    assert trial is not None
    work = make_training(network, targets, config, 1, device=device).rule._work  # type: ignore[attr-defined]
    steps = trial.window_steps
    assert steps == round(200.0 / network.dt_ms)
    device.memory = sum(trial.parts().values())
    bytes_of_rule = work._rule.trial_bytes(steps)
    assert list(work._trials.batches(range(1), bytes_of_rule, steps, tapes=trial.tapes)) == [range(1)]
    with pytest.raises(DeviceError, match="one trial of this network"):
        list(work._trials.batches(range(1), bytes_of_rule + 4, steps, tapes=trial.tapes))
    sizes = FitSizes.of(network, targets.n_bins)
    needed = sum(train_memory.device_plan(sizes, config, trial).values())
    assert train_memory.require_device_memory(sizes, config, HostDevice(memory=needed), trial)["tape of one trial"] > 0
    little = HostDevice(memory=needed - 20_000)
    with pytest.raises(DeviceError, match=r"of one trial, but .* set train.gradient.window_ms to at most") as refused:
        train_memory.require_device_memory(sizes, config, little, trial)
    longest = float(re.search(r"at most ([\d.]+)", str(refused.value))[1])  # type: ignore[index]
    for more, fits in ((0, True), (targets.bin_size_s * 1e3, False)):
        window = config.model_copy(update={"gradient": config.gradient.model_copy(update={"window_ms": longest + more})})
        shorter = gradient_trial(network, network.window_steps // targets.n_bins, window)
        plan = train_memory.device_plan(sizes, window, shorter)
        assert (sum(plan.values()) <= little.memory) == fits
