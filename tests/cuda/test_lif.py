"""The time loop on the device equals numba's, bit for bit, in everything it records."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cuda import lif
from fitrec.networks.network import Network
from fitrec.simulate.record import TrialRecord
from fitrec.simulate.simulator import Simulator
from tests.small_network import fields_of, projection_of, random_weights, small_network

CHUNK = 100

CASES: dict[str, dict[str, Any]] = {
    "static": {"stimulus_sd": 0.0, "n_trained": 0},
    "noise": {"sigma": 0.5, "n_trained": 0},
    "plastic and stimulus": {},
    "everything": {"sigma": 0.3, "n_ff": 9, "refractory_steps": 7},
    "feed-forward input before the window": {"n_ff": 9, "ff_lead_steps": 50, "ff_rate_hz": np.full((2, 65, 9), 60, np.float32)},
    "I neurons of their own": {"sigma": 0.3, "n_ff": 3, "inh": [6.0, 0.8, -0.2, 0.1, 4]},
    "procedural": {"sigma": 0.3, "n_exc": 33, "n_inh": 50, "k": 41, "connectivity": "procedural"},
    "procedural, few targets": {"sigma": 0.3, "k": 3, "connectivity": "procedural"},
    "exact": {"sigma": 0.3, "n_ff": 9, "integration": "exact", "dt_ms": 0.2, "threshold": 1.2, "reset": -0.3},
}


def records(network: Network, device: Any, trials: list[int], **options: Any) -> list[TrialRecord]:
    options = {"chunk_steps": CHUNK, "traces": True, "spikes": True, "threads": 1, **options}
    return Simulator(network, device).map_trials(lambda record: record, random_weights(network), 1, trials, **options)


def assert_equal(found: list[TrialRecord], expected: list[TrialRecord]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        for name, values in fields_of(b).items():
            np.testing.assert_array_equal(fields_of(a)[name], values, err_msg=name, strict=True)


@pytest.mark.parametrize("case", CASES)
def test_equals_numba(case: str, device: Any) -> None:
    network = small_network(**CASES[case])
    expected = records(network, None, [3, 0])
    assert min(len(r.spike_step) for r in expected) > 40
    assert_equal(records(network, device, [3, 0]), expected)


def test_teacher_forcing(device: Any) -> None:
    network = small_network(n_ff=9, sigma=0.3)
    forced = np.random.default_rng(1).normal(0.5, 1.0, (6, len(network.trained))).astype(np.float32)
    options = {"own": 0.25, "forced": forced}
    assert_equal(records(network, device, [8], **options), records(network, None, [8], **options))


def test_denormal_numbers_are_kept(device: Any) -> None:
    """Some neurons fire at the beginning, then all are silent until their traces and currents are almost zero."""
    network = small_network(
        dt_ms=1.0, tau_static_ms=1.5, tau_plastic_ms=2.0, window_ms=300.0, stimulus_sd=0.0, drive=np.zeros(80, np.float32)
    )
    expected = records(network, None, [0], chunk_steps=20)
    smallest = np.finfo(np.float32).tiny
    for values in (expected[0].traces, expected[0].static_current):
        assert np.any((values != 0) & (np.abs(values) < smallest))
    assert_equal(records(network, device, [0], chunk_steps=20), expected)


@pytest.mark.parametrize("block", [32, 64, 160, 512])
@pytest.mark.parametrize("blocks", [1, 2, 7])
def test_grid_and_block_change_nothing(block: int, blocks: int, monkeypatch: pytest.MonkeyPatch, device: Any) -> None:
    network = small_network(n_ff=9, sigma=0.3)
    monkeypatch.setattr(lif, "BLOCK", block)
    monkeypatch.setattr(device, "blocks", blocks, raising=False)
    options = {"chunk_steps": 200}
    assert_equal(records(network, device, [5, 6], **options), records(network, None, [5, 6], **options))


def test_batching_of_trials_changes_nothing(monkeypatch: pytest.MonkeyPatch, device: Any) -> None:
    from fitrec.simulate import batches

    network = small_network(n_ff=5, sigma=0.3)
    together = records(network, device, [1, 2, 3, 4, 5])
    monkeypatch.setattr(batches, "_HOST_BYTES", 1)
    assert_equal(records(network, device, [1, 2, 3, 4, 5]), together)


@pytest.mark.parametrize("wide", [False, True])
def test_weights_without_runs_and_wide_indices(wide: bool, device: Any) -> None:
    """A connectome: rows of differing length, all weights different, targets that occur twice, neurons without targets."""
    rng = np.random.default_rng(4)
    n = 70_000 if wide else 200
    rows: list[tuple[list[int], list[float]]] = [([], []) for _ in range(n)]
    for i in rng.choice(n, 150, replace=False):
        targets = np.sort(rng.integers(0, n, rng.integers(1, 60)))
        rows[i] = (targets.tolist(), rng.normal(0, 2, len(targets)).tolist())
    steps = {"settle_ms": 1.0, "stimulus_ms": 1.0, "window_ms": 2.0} if wide else {}
    network = small_network(n - 90, 90, projection=projection_of(rows), drive=np.full(n, 2.0, np.float32), **steps)
    options = {"chunk_steps": 10, "traces": False}
    expected = records(network, None, [0], **options)
    assert len(expected[0].spike_step) > 100
    assert_equal(records(network, device, [0], **options), expected)


@pytest.mark.parametrize("refractory_steps", [0, 1])
def test_no_spike_is_lost_when_all_fire(refractory_steps: int, device: Any) -> None:
    """Every neuron fires whenever it may, so that all lists are full; there are more spikes than room was made for."""
    network = small_network(300, 300, 40, n_ff=20, refractory_steps=refractory_steps, drive=np.full(600, 1e5, np.float32))
    expected = records(network, None, [0])
    (found,) = records(network, device, [0])
    assert found.counts.sum() == len(found.spike_step) == 600 * 600 // (1 + refractory_steps)
    assert_equal([found], expected)


@pytest.mark.parametrize("fitting", [0, 2])
def test_memory_that_is_gone_at_the_moment(fitting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches become smaller; a single trial that does not fit is refused."""
    from fitrec.errors import DeviceError
    from tests.cuda.host.device import HostDevice

    make = lif.new_output

    def scarce(device: Any, n_trials: int, *args: Any, **kwargs: Any) -> lif.Output:
        if n_trials > fitting:
            raise MemoryError
        return make(device, n_trials, *args, **kwargs)

    monkeypatch.setattr(lif, "new_output", scarce)
    network = small_network(n_ff=5, sigma=0.3)
    if fitting:
        assert_equal(records(network, HostDevice(), [1, 2, 3, 4, 5]), records(network, None, [1, 2, 3, 4, 5]))
    else:
        with pytest.raises(DeviceError, match=r"one trial needs .* GB on host shim, of which 1.1e\+03 GB are free"):
            records(network, HostDevice(), [1, 2])


@pytest.mark.parametrize(("memory", "what"), [(1000, "the wiring"), (13_500, "simulating one trial")])
def test_what_does_not_fit_is_refused(memory: int, what: str) -> None:
    from fitrec.errors import DeviceError
    from tests.cuda.host.device import HostDevice

    free = rf"{memory / 1e9:.3g} GB are free"
    with pytest.raises(DeviceError, match=rf"{what} needs .* GB on host shim, of which {free}; take fewer .* --device cpu"):
        records(small_network(), HostDevice(memory=memory), [0])


@pytest.mark.parametrize("case", ["everything", "exact", "I neurons of their own"])
def test_every_state_variable_equals_numba(case: str, device: Any) -> None:
    """Also those that no trial records; chunks run one launch at a time, as learning does."""
    network = small_network(**CASES[case])
    simulator, weights, start = Simulator(network, device), random_weights(network), network.window_start_step
    wiring, state, power = simulator.wiring(weights, 1), simulator.initial_state(1, 2), simulator.trace_power(start)
    batch = lif.Batch(device, simulator.device_setting(1, CHUNK), simulator.device_wiring(weights, 1), np.array([2]))
    np.testing.assert_array_equal(device.to_host(batch.state.v)[0], state.v)
    for chunk in range(-1, 2):
        step, n_steps = (0, start) if chunk < 0 else (start + chunk * CHUNK, CHUNK)
        counts = np.zeros(network.n_neurons, np.uint16)
        simulator.advance(wiring, state, 1, network.drive, step, n_steps, trial=2, power=power, counts=counts)
        output = lif.new_output(device, 1, 1, network.n_neurons, network.n_feed_forward)
        batch.advance(step, 1, n_steps, output)
        np.testing.assert_array_equal(device.to_host(output.counts)[0, 0], counts)
        for name in ("v", "u_static", "u_plastic", "refractory", "trace", "ff_trace"):
            found = device.to_host(getattr(batch.state, name))[0]
            np.testing.assert_array_equal(found, getattr(state, name), err_msg=name, strict=True)
