"""The benchmarks on a device: their figures are there, and what they timed is what the CPU computes."""

from typing import Any

import pytest

from fitrec.bench import gradient, gradient_device, gradient_quality, loop, machine, ridge, rls, rls_device, simulate
from fitrec.bench.anchors import readout
from fitrec.kernels.cuda import lif, model


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is fast on the host: small blocks, and little memory and products to compare with."""
    monkeypatch.setattr(lif, "BLOCK", 64)
    monkeypatch.setattr(model, "BLOCK", 64)
    for name, value in (("device_bandwidth", 2e9), ("device_flops", 3e9)):
        for module in (machine, ridge, rls_device):
            monkeypatch.setattr(module, name, lambda device, value=value: value, raising=False)


@pytest.mark.parametrize(("storage", "flush"), [("full", "half"), ("int16", "whole")])
def test_rls(storage: str, flush: str, one_device: Any) -> None:
    p = {"storage": storage, "flush": flush}
    sizes = {"neurons": 3, "inputs": 20, "rate_hz": 8.0, "updates": 24, "every_ms": 10.0, "rank": 8, **p}
    found, expected = rls_device.run(one_device, **sizes), rls.run(**sizes, threads=1)
    for name in ("relative_difference", "relative_error_float64", "gigabytes_moved"):  # the same bits
        assert found[name] == expected[name]
    for form in ("two_pass", "one_pass", "event_driven"):
        assert found[f"{form}_ms"] > 0
        percent = 100 * 1e9 * found["gigabytes_moved"][form] / (1e-3 * found[f"{form}_ms"]) / 2e9
        assert found["percent_of_bandwidth"][form] == pytest.approx(percent)


def test_ridge(one_device: Any) -> None:
    sizes = {"neurons": 40, "inputs": 10, "samples": 300, "solved": 3, "rate_hz": 5.0, "gram": "gathered", "trace_bits": 16}
    options = {**sizes, "memory_gb": 1.0, "threads": 1}
    found, expected = ridge.run(**options, device=one_device), ridge.run(**options)
    assert found["relative_error_float64"] == expected["relative_error_float64"]
    assert found["percent_of_peak"] == pytest.approx(100 * found["gflops"] * 1e9 / 3e9)
    assert "gflops_per_core" not in found
    assert ridge.run(**{**options, "gram": "shared"}, device=one_device)["gram"] == "shared"  # on the CPU


def test_loop(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash of weights, P and the neurons' state is the CPU's."""
    short = loop.presets.replace(loop.presets.PRESETS["sinusoid-10k"], window_ms=30.0)
    monkeypatch.setitem(loop.presets.PRESETS, "sinusoid-10k", short)
    for name, value in (("SETTLE_MS", 30.0), ("STIMULUS_MS", 20.0)):
        monkeypatch.setattr(loop.presets, name, value)
    monkeypatch.setattr(loop, "WARM_UP_NEURONS", 20)
    sizes = {"preset": "sinusoid-10k", "neurons": 60, "loops": 1, "threads": 1}
    found, expected = loop.run(**sizes, device=one_device), loop.run(**sizes)
    assert found["state_sha256"] == expected["state_sha256"]
    assert found["rate_hz"] == found["window_rate_hz"] == expected["window_rate_hz"]
    assert {"lif_run", "rls_step", "rest"} <= set(found["breakdown"])


def test_gradient(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gradient, gradient_device):
        monkeypatch.setattr(module, "REPEATS", 1)
    sizes: dict[str, Any] = {
        "neurons": 60,
        "synapses": 600,
        "rate_hz": 20.0,
        "steps": 200,
        "rule": "e-prop",
        "model": "lif_psc_delta",
    }

    def both(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        asked = gradient.Asked(**sizes | changes)
        return gradient_device.run(one_device, asked), gradient.run(asked, threads=1)

    found, expected = both()
    for name in ("gradient_sha256", "rate_hz", "bytes_per_synapse"):
        assert found[name] == expected[name]
    assert {*expected} <= {*found}
    assert found["simulate_ms_per_step"] > 0
    for rule in ("bptt", "e-prop-plus"):
        found, expected = both(rule=rule, steps=30)
        assert found["gradient_sha256"] == expected["gradient_sha256"]


def test_gradient_quality(one_device: Any) -> None:
    anchor = readout(5, 12, 2, 40, inside=True)
    assert gradient_quality.compare("M2", anchor, one_device) == gradient_quality.compare("M2", anchor, None)


def test_simulate(one_device: Any) -> None:
    sizes = {"neurons": 100, "out_degree": 10, "rate_hz": 50.0, "steps": 60, "threads": 1}
    found, expected = simulate.run(**sizes, device=one_device), simulate.run(**sizes)
    assert found["rate_hz"] == expected["rate_hz"] > 0
    assert found["ns_per_neuron_step"] > 0
    assert (found["clock"], found["c"], found["note"]) == ("device", None, None)


def test_what_a_device_can_do(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert machine.device_bandwidth(one_device, megabytes=4) > 1e6
    assert machine.device_flops(one_device, size=128) > 1e6
