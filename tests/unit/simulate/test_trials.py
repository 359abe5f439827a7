"""What may not change a trial: chunks, threads, other trials, processes, the order of neurons."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator
from fitrec.simulate.trials import TrialActivity, run_trials
from tests.small_network import advance, fields_of, projection_of, random_weights, small_network

EVERYTHING: dict[str, Any] = {"sigma": 0.4, "n_ff": 7}


def activity(threads: int | None = 1, trials: tuple[int, ...] = (0, 1, 2, 3, 4), **options: Any) -> TrialActivity:
    network = small_network(**EVERYTHING)
    settings: dict[str, Any] = {"bin_steps": 100, "neurons": network.trained, "record_spikes": 3, **options}
    return run_trials(network, random_weights(network), 1, np.array(trials), threads=threads, **settings)


def digest(result: TrialActivity) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in fields_of(result).values())).hexdigest()


@pytest.mark.parametrize("threads", [2, 3, None])
def test_threads_change_no_bit(threads: int | None) -> None:
    assert digest(activity(threads)) == digest(activity(1))


def test_another_process_gives_the_same_bits() -> None:
    code = "from tests.unit.simulate.test_trials import activity, digest; print(digest(activity(2)))"
    folder = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == digest(activity(1)), done.stderr


def test_a_trial_is_independent_of_the_others() -> None:
    together = activity(trials=(5, 9, 2))
    for position, trial in enumerate((5, 9, 2)):
        alone = activity(trials=(trial,))
        np.testing.assert_array_equal(alone.counts[0], together.counts[position])
        np.testing.assert_array_equal(alone.total_spikes[0], together.total_spikes[position])
        span = slice(*together.spike_indptr[position : position + 2])
        np.testing.assert_array_equal(alone.spike_step, together.spike_step[span])
        np.testing.assert_array_equal(alone.spike_neuron, together.spike_neuron[span])
    assert (together.counts[0] != together.counts[1]).any()


def test_counts_are_the_binned_spikes() -> None:
    network = small_network(**EVERYTHING)
    result = activity(bin_steps=50, neurons=np.arange(network.n_neurons, dtype=np.int32), record_spikes=2)
    assert result.counts.shape == (5, 12, network.n_neurons)
    assert result.bin_ms == pytest.approx(5.0)
    assert len(result.spike_indptr) == 3
    for trial in range(2):
        span = slice(*result.spike_indptr[trial : trial + 2])
        steps, neurons = result.spike_step[span], result.spike_neuron[span]
        assert len(steps) > 100
        assert 0 <= steps.min() <= steps.max() < network.window_steps
        expected = np.zeros((12, network.n_neurons), np.int64)
        np.add.at(expected, (steps // 50, neurons), 1)
        np.testing.assert_array_equal(result.counts[trial], expected)
    np.testing.assert_array_equal(result.total_spikes, result.counts.sum(axis=1))


def test_every_spike_is_recorded_also_when_there_are_more_than_expected() -> None:
    network = small_network(n_trained=0, k=0, drive=np.full(80, 50.0, np.float32), sigma=0.4)
    simulator = Simulator(network)
    record = simulator.run_trial(simulator.wiring(random_weights(network), 0), 0, 0, chunk_steps=100, traces=True, spikes=True)
    assert len(record.spike_step) == record.counts.sum() > 20 * network.n_neurons
    expected = np.zeros(record.counts.shape, np.int64)
    np.add.at(expected, (record.spike_step // 100, record.spike_neuron), 1)
    np.testing.assert_array_equal(record.counts, expected)
    assert (np.diff(record.spike_step) >= 0).all()
    # What was recorded besides the spikes does not come from two runs.
    plain = simulator.run_trial(simulator.wiring(random_weights(network), 0), 0, 0, chunk_steps=100, traces=True)
    np.testing.assert_array_equal(record.traces, plain.traces)
    np.testing.assert_array_equal(record.static_current, plain.static_current)


def advance_in_chunks(simulator: Simulator, weights: Weights, chunks: list[int]) -> tuple[list[NDArray[Any]], lif.State]:
    """Advance from the start of the trial; returns what is comparable at the end, and the state."""
    network = simulator.network
    state, counts, step = simulator.initial_state(1, 4), np.zeros(network.n_neurons, np.uint16), 0
    room = (np.empty(9999, np.int32), np.empty(9999, np.int32))
    recorder = lif.Recorder(*room, np.zeros(1, np.int64), 0, np.zeros(0, np.float32))
    for size in chunks:
        counts += advance(simulator, weights, state, size, step=step, condition=1, trial=4, recorder=recorder)
        step += size
    kept = int(recorder.spike_count[0])
    same = [recorder.spike_step[:kept], recorder.spike_neuron[:kept], counts, state.v, state.u_static, state.u_plastic]
    return [*same, state.in_static, state.in_plastic, state.refractory], state


def test_chunks_change_no_spike() -> None:
    """The window begins at step 200 and the stimulus at 100: chunks end there, before and beyond."""
    network = small_network(**EVERYTHING)
    simulator, weights = Simulator(network), random_weights(network)
    whole, whole_state = advance_in_chunks(simulator, weights, [800])
    assert len(whole[0]) > 200
    for chunks in ([1] * 800, [150, 130, 7, 513], [200, 300, 300], [400] * 2):
        parts, state = advance_in_chunks(simulator, weights, chunks)
        for a, b in zip(whole, parts, strict=True):
            np.testing.assert_array_equal(a, b)
        # Traces only differ by rounding: a spike in the last step of a chunk counts from the next one on, decayed as much.
        np.testing.assert_allclose(state.trace, whole_state.trace, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(state.ff_trace, whole_state.ff_trace, rtol=1e-4, atol=1e-9)


def test_trials_may_be_advanced_by_turns() -> None:
    """Nothing of one trial stays behind in the kernel for the next, feed-forward words least of all: four steps share them."""
    network = small_network(**EVERYTHING)
    simulator, weights = Simulator(network), random_weights(network)
    alone = {trial: simulator.initial_state(0, trial) for trial in (0, 1)}
    by_turns = {trial: simulator.initial_state(0, trial) for trial in (0, 1)}
    for trial, state in alone.items():
        advance(simulator, weights, state, 500, trial=trial)
    for step in range(500):
        for trial, state in by_turns.items():
            advance(simulator, weights, state, 1, step=step, trial=trial)
    for trial, state in alone.items():
        np.testing.assert_array_equal(by_turns[trial].v, state.v)
        np.testing.assert_allclose(by_turns[trial].ff_trace, state.ff_trace, rtol=1e-4)
    assert (alone[0].ff_trace != alone[1].ff_trace).any()


@pytest.mark.parametrize("n_ff", [0, 7])
def test_weights_that_change_between_steps_count_at_once(n_ff: int) -> None:
    """Plastic weights taken from a learner's array at each spike equal a new table after every change, bit for bit."""
    network = small_network(n_trained=20, n_ff=n_ff)
    simulator = Simulator(network)
    weights = [random_weights(network, seed=seed) for seed in (1, 2, 3)]
    learned = np.zeros((20, n_ff + network.plastic_pre.shape[1] + 2), np.float32)  # wider than needed, as a learner's may be
    live, frozen = simulator.initial_state(0, 0), simulator.initial_state(0, 0)
    for chunk, now in enumerate(weights):
        learned[:, n_ff:-2] = now.plastic
        span = {"step": 250 * chunk, "n_steps": 250}
        advance(simulator, now, live, wiring=simulator.wiring(now, 0, learned=learned), **span)
        advance(simulator, now, frozen, **span)
    assert np.abs(live.u_plastic).max() > 0.05
    for name in ("v", "u_plastic", "in_plastic", "trace"):
        np.testing.assert_array_equal(getattr(live, name), getattr(frozen, name))


def test_a_spike_in_the_last_step_is_read_one_chunk_later() -> None:
    network = small_network(
        2, 2, 0, n_trained=0, settle_ms=0.0, stimulus_ms=0.0, stimulus_sd=0.0, drive=np.full(4, 1e4, np.float32)
    )
    simulator = Simulator(network)  # all fire in steps 0, 2, 4, ...
    record = simulator.run_trial(simulator.wiring(random_weights(network), 0), 0, 0, chunk_steps=3, traces=True)
    d, c = np.float64(simulator.constants.decay_p), np.float64(simulator.constants.charge_p)
    spikes = [0, 2, 4, 6, 8]
    expected = [sum(c * d ** (end - 2 - s) for s in spikes if s <= end - 2) for end in (3, 6, 9)]
    np.testing.assert_allclose(record.traces[:3], np.array(expected)[:, None] * np.ones(4), rtol=1e-6)
    np.testing.assert_array_equal(record.counts[:3, 0], [2, 1, 2])


def test_the_numbering_of_neurons_does_not_matter() -> None:
    n = 90
    rng = np.random.default_rng(2)
    rows = [(np.sort(rng.permutation(n)[:12]).tolist(), rng.normal(0, 2, 12).tolist()) for _ in range(n)]
    order = rng.permutation(n)  # neuron i becomes neuron place[i]
    place = np.argsort(order)
    moved = []
    for old in order:
        targets, weights = rows[old]
        new = place[targets]
        moved.append((np.sort(new).tolist(), np.array(weights)[np.argsort(new)].tolist()))
    drive = rng.uniform(0.8, 1.8, n).astype(np.float32)
    v = rng.uniform(-1, 1, n).astype(np.float32)

    def run(rows: Any, drive: NDArray[np.float32], v: NDArray[np.float32]) -> tuple[NDArray[np.uint16], lif.State]:
        network = small_network(n // 2, n // 2, n_trained=0, stimulus_sd=0.0, drive=drive, projection=projection_of(rows))
        simulator = Simulator(network)
        state = simulator.initial_state(0, 0)
        state.v[:] = v
        return advance(simulator, random_weights(network), state, 2000), state

    counts, state = run(rows, drive, v)
    moved_counts, moved_state = run(moved, drive[order], v[order])
    assert counts.sum() > 300
    np.testing.assert_array_equal(moved_counts, counts[order])
    np.testing.assert_array_equal(moved_state.v, state.v[order])
    np.testing.assert_array_equal(moved_state.u_static, state.u_static[order])


def test_trials_conditions_and_seeds_are_different_draws() -> None:
    def initial(seed: int, condition: int, trial: int) -> NDArray[np.float32]:
        return Simulator(small_network(seed=seed)).initial_state(condition, trial).v

    first = initial(1, 0, 0)
    np.testing.assert_array_equal(first, initial(1, 0, 0))
    for other in (initial(1, 0, 1), initial(1, 1, 0), initial(2, 0, 0)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.5
    # With the same start and no stimulus, noise alone separates trials and conditions.
    network = small_network(n_trained=0, stimulus_sd=0.0, sigma=0.5, k=0, drive=np.full(80, 0.5, np.float32))
    simulator = Simulator(network)
    wiring = simulator.wiring(random_weights(network), 0)
    records = [simulator.run_trial(wiring, c, t, chunk_steps=600).counts for c, t in ((0, 0), (0, 1), (1, 0))]
    assert all((records[0] != other).any() for other in records[1:])


def test_initial_voltages_are_normal_around_reset() -> None:
    network = small_network(5000, 5000, 0, n_trained=0, threshold=2.0, reset=0.5)
    v = Simulator(network).initial_state(0, 0).v
    assert v.mean() == pytest.approx(0.5, abs=0.06)
    assert v.std() == pytest.approx(1.5, rel=0.03)
