"""The benchmark of the time loop: its contract, and that it measures what it says."""

import json
from pathlib import Path

import numpy as np
import pytest

from fitrec.bench.compiled import CompiledLoop, compiler
from fitrec.bench.simulate import run
from fitrec.cli.failures import exit_status
from fitrec.cli.group import cli
from fitrec.simulate.simulator import Simulator
from tests.small_network import random_weights, small_network


def bench(*arguments: str) -> int:
    return exit_status(lambda: cli.main(["bench", *arguments], prog_name="fitrec", standalone_mode=False))


def test_contract(tmp_path: Path) -> None:
    file = tmp_path / "simulate.json"
    sizes = ["--neurons", "400", "--out-degree", "40", "--rate-hz", "20", "--steps", "2000"]
    assert bench("simulate", *sizes, "--json", str(file)) == 0
    found = json.loads(file.read_text())
    assert found["ns_per_neuron_step"] > 0
    assert found["ns_per_neuron_step_noise"] > 0
    assert found["rate_hz"] == pytest.approx(20, rel=0.02)
    assert found["ns_per_synaptic_event_procedural"] > 0
    assert {"ns_per_synaptic_event", "device", "threads", "versions", "processor", "date", "peak_memory_mb"} <= set(found)


def test_impossible_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("simulate", "--rate-hz", "0") == 2
    assert "--rate-hz is 0, but must be above 0 and at most 5000" in capsys.readouterr().err


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("index", ["uint16_t", "uint32_t"])
def test_the_loop_in_c_gives_the_same_bits(sigma: float, index: str) -> None:
    drive = np.full(700, 3.0, np.float32)
    network = small_network(350, 350, 40, n_trained=0, n_conditions=1, stimulus_sd=0.0, sigma=sigma, drive=drive)
    simulator = Simulator(network)
    wiring = simulator.wiring(random_weights(network), 0)
    wiring = wiring._replace(static_indices=wiring.static_indices.astype(index.removesuffix("_t")))
    ours, theirs = simulator.initial_state(0, 0), simulator.initial_state(0, 0)
    counts = [np.zeros(700, np.uint16) for _ in range(2)]
    simulator.advance(wiring, ours, 0, drive, 0, 600, trial=0, power=simulator.trace_power(600), counts=counts[0])
    CompiledLoop(index)(simulator.constants, wiring, theirs, drive, 600, counts[1])
    assert counts[0].sum() > 500
    np.testing.assert_array_equal(counts[0], counts[1])
    for name in ("v", "u_static", "in_static", "refractory"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_without_a_compiler_the_comparison_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = run(neurons=200, out_degree=10, rate_hz=20.0, steps=200, threads=1)
    assert found["c"] is None
    assert "no C compiler" in found["note"]
