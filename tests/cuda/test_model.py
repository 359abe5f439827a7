"""Compiled neuron models on the device equal numba, bit for bit: trials, and gradients of every rule."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cpu.model_state import Events
from fitrec.kernels.cuda import model as cuda
from fitrec.kernels.cuda import model_gradient
from fitrec.learn.gradient.device_rules import device_rule, device_signals
from fitrec.learn.gradient.rules import Bptt, DRtrl, LocalAdjoint, PpProp, Signals
from fitrec.neurons.compile import compile_model
from fitrec.simulate.device_network import DeviceModelNetwork
from fitrec.simulate.model_network import Recording, Trial, events
from tests.model_cases import N_INPUTS, STEPS, Case, make_case, model_of

TRIALS = [4, 0, 9]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "BLOCK", 32)
    monkeypatch.setattr(model_gradient, "CHUNK", 48)


def inputs_of(case: Case, trial: int, steps: int = STEPS) -> Events:
    rng = np.random.default_rng(100 + trial)
    raster = rng.random((steps, N_INPUTS)) < 0.15
    given = events(raster, case.net.n)
    twice = np.repeat(given.source, 2)  # a source may spike more than once in a step
    return Events(given.indptr * 2, twice) if trial == 9 else given


def on_host(case: Case, trial: int, recording: Recording) -> Trial:
    counters = {"trial": trial, "condition": 1, "first_step": 5}
    return case.net.run(case.net.plastic.weight, inputs_of(case, trial), recording=recording, current=case.current, **counters)


def assert_equal(found: Trial, expected: Trial, n: int) -> None:
    """Everything but padding."""
    width = -(-n // 16) * 16
    for part in ("inputs", "spikes", "emitted", "pending"):
        a, b = getattr(found, part), getattr(expected, part)
        np.testing.assert_array_equal(a.indptr, b.indptr, part)
        np.testing.assert_array_equal(a.source[: a.indptr[-1]], b.source[: b.indptr[-1]], part)
    for name, values in expected.state._asdict().items():
        if name not in ("last", "buffers") or values.any():
            of_device = getattr(found.state, name).reshape(-1, width)[:, :n]
            np.testing.assert_array_equal(of_device, values.reshape(-1, width)[:, :n], name, strict=True)
    steps = len(expected.tape)
    np.testing.assert_array_equal(
        found.tape.reshape(steps, -1, width)[:, :, :n], expected.tape.reshape(steps, -1, width)[:, :, :n], "tape", strict=True
    )
    np.testing.assert_array_equal(found.sampled, expected.sampled, "sampled", strict=True)


def case_of(name: str, dtype: str, delay: int, **options: Any) -> Case:
    model = model_of(name, None)
    compiled = compile_model(
        model,
        per_neuron=options.get("per_neuron", ()),
        trainable=options.pop("trainable", ()),
        spike_signal=options.pop("spike_signal", True),
    )
    return make_case(compiled, delay=delay, dtype=dtype, n=75, **options)


CASES: dict[str, dict[str, Any]] = {
    "everything": {"dtype": "float32", "delay": 3, "per_neuron": ("tau_m", "v_th"), "changed": {"sigma": 0.3}},
    "coba": {"dtype": "float64", "delay": 1, "trainable": ("g_leak", "e_leak")},
}


@pytest.mark.parametrize("name", CASES)
def test_trials_equal_numba(name: str, device: Any) -> None:
    case = case_of(name, **CASES[name])
    rows = tuple(s.name for s in case.net.compiled.model.states)
    recording = Recording(tape=True, rows=rows, every=3)
    net = DeviceModelNetwork(device, case.net)
    given = [inputs_of(case, trial) for trial in TRIALS]
    options = {"current": case.current, "condition": 1, "first_step": 5, "trials": TRIALS}
    found = net.to_host(net.run(net.wiring(case.net.plastic.weight), given, recording=recording, **options), given)
    for trial, result in zip(TRIALS, found, strict=True):
        expected = on_host(case, trial, recording)
        assert len(expected.spikes.source) > 40
        assert_equal(result, expected, case.net.n)


def signals_of(case: Case, rule: str, part: int, trial: int) -> Signals:
    """Signals of one half of a trial, by states now and then, and by the spikes of some steps together."""
    rng = np.random.default_rng([part, trial])
    rows, half = case.net.compiled.blocks.rows[:2][::-1], STEPS // 2
    states = rng.normal(size=(half // 7, 2, case.net.n))
    if rule in ("local-adjoint, states", "d-rtrl"):
        return Signals(rows=rows, every=7, states=states)
    return Signals(rows=rows, every=7, states=states, spikes=rng.normal(size=(half // 5, case.net.n)), spikes_every=5)


RULES = {
    "local-adjoint": LocalAdjoint,
    "local-adjoint, states": LocalAdjoint,
    "bptt": Bptt,
    "pp-prop": lambda net: PpProp(net, decay_pre=0.9, decay_post=0.95),
    "d-rtrl": lambda net: DRtrl(net, cutoff_steps=9),
    "d-rtrl, spikes": DRtrl,
}


def half(given: Events, part: int) -> Events:
    middle = STEPS // 2
    return Events(given.indptr[part * middle : (part + 1) * middle + 1], given.source)


@pytest.mark.parametrize(
    ("name", "rule"),
    [*(("everything", rule) for rule in RULES), *(("coba", rule) for rule in ("local-adjoint", "bptt"))],
    ids=lambda value: value,
)
def test_gradients_equal_numba(name: str, rule: str, device: Any) -> None:
    """Trials in two windows, from each of which the gradient is taken; the second is looked at for the first."""
    case = case_of(name, **CASES[name])
    on_cpu, recording, weights = RULES[rule](case.net), Recording(tape=True), case.net.plastic.weight
    net = DeviceModelNetwork(device, case.net)
    on_device, wiring = device_rule(net, on_cpu), net.wiring(weights)
    starts = [{"first_step": p * STEPS // 2, "current": case.current[p * STEPS // 2 :]} for p in range(2)]
    shared = rule == "pp-prop"  # by all trials: their signals

    def signals(part: int, trial: int) -> Signals:
        return signals_of(case, rule, part, 0 if shared else trial)

    windows, found = [], on_device.new_gradient(len(TRIALS))
    for part in range(2):
        given = [half(inputs_of(case, trial), part) for trial in TRIALS]
        before = windows[0][0] if part else None
        run = net.run(wiring, given, recording=recording, trials=TRIALS, before=before, **starts[part])
        windows.append((run, device_signals(on_cpu, [signals(part, trial) for trial in TRIALS][: 1 if shared else None], net)))
    on_device.begin(len(TRIALS))
    on_device.add(wiring, *windows[0], found, on_device.look_back(wiring, *windows[1]))
    on_device.add(wiring, *windows[1], found)
    by_synapse, by_parameter = device.to_host(found.plastic), device.to_host(found.parameters)
    by_parameter = by_parameter.reshape(len(TRIALS), net.shape.trainable, net.shape.width)[:, :, : net.shape.n]
    for b, trial in enumerate(TRIALS):
        runs: list[Any] = [None]
        for part in range(2):
            given = half(inputs_of(case, trial), part)
            runs.append(case.net.run(weights, given, recording=recording, trial=trial, before=runs[-1], **starts[part]))
        expected = on_cpu.new_gradient()
        on_cpu.begin()
        on_cpu.add(weights, runs[1], signals(0, trial), expected, on_cpu.look_back(weights, runs[2], signals(1, trial)))
        on_cpu.add(weights, runs[2], signals(1, trial), expected)
        assert (expected.plastic != 0).mean() > 0.25
        np.testing.assert_array_equal(by_synapse[b], expected.plastic, strict=True)
        np.testing.assert_array_equal(by_parameter[b], expected.parameters, strict=True)
