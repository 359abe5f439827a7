"""Threads that advance one trial together change no bit of it."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.errors import NetworkError
from fitrec.kernels.cpu import lif
from fitrec.networks.weights import Weights
from fitrec.simulate import wiring as module
from fitrec.simulate.simulator import Simulator
from fitrec.threads import together
from tests.small_network import projection_of, random_weights, small_network


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_NEURONS_PER_THREAD", 50)


def run(simulator: Simulator, threads: int, chunks: list[int], weights: Weights | None = None) -> list[NDArray[Any]]:
    """Advance a trial with all that may happen in it; returns everything that it leaves."""
    network = simulator.network
    n = network.n_neurons
    wiring = simulator.wiring(weights or random_weights(network), 1, threads)
    assert len(wiring.bounds) == threads + 1
    state, counts, step = simulator.initial_state(1, 4), np.zeros(n, np.uint16), 0
    room = (np.full(9999, -1, np.int32), np.full(9999, -1, np.int32))
    recorder = lif.Recorder(*room, np.zeros(1, np.int64), 10, np.zeros(n, np.float32))
    for size in chunks:
        team, power = lif.new_team(n, threads, np.zeros((threads, len(lif.PHASES)), np.int64)), simulator.trace_power(size)
        call = (simulator.constants, wiring, state, simulator.inputs(1), network.drive, np.float32(1), step, size, 4, 1, power)

        def part(k: int, call: Any = call, team: lif.Team = team) -> None:
            lif.advance(*call, recorder, counts, team, k)

        together(part, threads)
        assert (team.phase_ns[:, 1] > 0).all()
        step += size
    last = int(state.n_spikes[0])
    left = [*recorder[:3], recorder.sample_sum, counts, state.spikes[:last]]
    return left + [getattr(state, name) for name in state._fields if not name.endswith("spikes")]


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_they_change_no_bit(threads: int) -> None:
    network = small_network(130, 170, 20, sigma=0.4, n_ff=7)
    simulator = Simulator(network)
    alone, shared = (run(simulator, count, [150, 130, 7, 513]) for count in (1, threads))
    assert alone[2][0] > 500
    for a, b in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_part_may_hold_one_population_alone() -> None:
    simulator = Simulator(small_network(64, 236, 20, sigma=0.2, inh=[20.0, 1.0, 0.0, 0.3, 4]))
    for a, b in zip(run(simulator, 1, [400]), run(simulator, 3, [400]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_order_of_trained_neurons_does_not_matter() -> None:
    """Rows of plastic targets ascend whatever the order of the trained neurons; a row's weights stay with their synapses."""
    network = small_network(150, 150, 20, n_trained=40, n_ff=7)
    weights, order = random_weights(network), np.random.default_rng(1).permutation(40)
    moved = replace(network, trained=network.trained[order], plastic_pre=network.plastic_pre[order])
    moved_weights = Weights(plastic=weights.plastic[order], feed_forward=weights.feed_forward[:, order])
    for a, b in zip(run(Simulator(network), 1, [400], weights), run(Simulator(moved), 3, [400], moved_weights), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_that_do_not_ascend_are_refused() -> None:
    rows = [([5, 2] if i == 7 else [(i + 1) % 200], [1.0] * (2 if i == 7 else 1)) for i in range(200)]
    simulator = Simulator(small_network(100, 100, n_trained=0, projection=projection_of(rows)))
    simulator.wiring(random_weights(simulator.network), 0)
    with pytest.raises(NetworkError, match="static targets of neuron 7 do not ascend"):
        simulator.wiring(random_weights(simulator.network), 0, 2)


def test_together_runs_all_at_once_and_passes_errors_on() -> None:
    meeting = threading.Barrier(3, timeout=20)
    together(lambda part: meeting.wait(), 3)

    def fail(part: int) -> None:
        if part == 1:
            raise ValueError("part 1")

    with pytest.raises(ValueError, match="part 1"):
        together(fail, 3)
