"""The traces of e-prop-plus on the device equal numba, bit for bit."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cpu.model_state import Events
from fitrec.kernels.cuda import model as cuda
from fitrec.learn.gradient.device_rules import device_rule, device_signals
from fitrec.learn.gradient.rules import EPropPlus, Signals
from fitrec.simulate.device_network import DeviceModelNetwork
from fitrec.simulate.model_network import Recording
from tests.cuda.test_model import TRIALS, case_of, inputs_of
from tests.model_cases import STEPS, Case

CASES: dict[str, dict[str, Any]] = {
    "everything": {"dtype": "float32", "delay": 3, "per_neuron": ("tau_m", "v_th"), "changed": {"sigma": 0.3}},
    "coba": {"dtype": "float64", "delay": 1},
}
CUTS = (0, 70, *range(72, 96, 3), STEPS)  # the first bin has two stretches, the short ones lie in all slots


def bin_of(given: Events, first: int, last: int) -> Events:
    return Events(given.indptr[first : last + 1], given.source)


def signals_of(case: Case, steps: int, trial: int) -> Signals:
    rows = case.net.compiled.blocks.rows[:2][::-1]
    return Signals(rows=rows, every=steps, states=np.random.default_rng([steps, trial]).normal(size=(1, 2, case.net.n)))


def planned(rule: Any) -> int:
    """Bytes of the traces and maps of a trial."""
    return int(rule.trial_bytes(0)) - rule.network.network.plastic.weight.nbytes


@pytest.mark.parametrize("name", CASES)
def test_gradients_equal_numba(name: str, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "BLOCK", 32)
    case = case_of(name, spike_signal=False, **CASES[name])
    on_cpu, weights, net = EPropPlus(case.net, cutoff_steps=20), case.net.plastic.weight, DeviceModelNetwork(device, case.net)
    on_device, wiring = device_rule(net, on_cpu), net.wiring(weights)
    before, found, recording = None, on_device.new_gradient(len(TRIALS)), Recording(tape=True)
    on_device.begin(len(TRIALS))
    for first, last in pairwise(CUTS):
        given = [bin_of(inputs_of(case, trial), first, last) for trial in TRIALS]
        start: dict[str, Any] = {"first_step": first, "current": case.current[first:]}
        before = net.run(wiring, given, recording=recording, trials=TRIALS, before=before, **start)
        signals = device_signals(on_cpu, [signals_of(case, last - first, trial) for trial in TRIALS], net)
        on_device.add(wiring, before, signals, found)
    eligibility = on_device._eligibility  # type: ignore[attr-defined]
    assert 0.6 < sum(getattr(eligibility, f).nbytes for f in ("rows", "vectors")) / len(TRIALS) / planned(on_device) < 1
    by_synapse = device.to_host(found.plastic)
    for b, trial in enumerate(TRIALS):
        on_cpu.begin()
        run, expected = None, on_cpu.new_gradient()
        for first, last in pairwise(CUTS):
            start = {"first_step": first, "current": case.current[first:], "trial": trial, "before": run}
            run = case.net.run(weights, bin_of(inputs_of(case, trial), first, last), recording=recording, **start)
            on_cpu.add(weights, run, signals_of(case, last - first, trial), expected)
        assert (expected.plastic != 0).mean() > 0.2
        np.testing.assert_array_equal(by_synapse[b], expected.plastic, strict=True)
