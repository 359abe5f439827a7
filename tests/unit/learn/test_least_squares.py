"""The batch solution against one joint regression per neuron, written out with all its samples."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.learn.gathered_traces import GatheredTraces, HostTraces
from fitrec.learn.host_gram import HostGram
from fitrec.learn.least_squares import Penalties, Statistics, solve
from fitrec.learn.shared_gram import SharedGram

Array = NDArray[np.float64]
FORMS = ("shared", "gathered", "gathered16")
# Largest error over the largest weight: sums in float32, and traces in 16 bits, whose rounding adds to it.
TOLERANCE = {"shared": 1e-5, "gathered": 1e-5, "gathered16": 3e-5}


@dataclass(frozen=True, kw_only=True)
class Data:
    """Traces of trials, (condition, trial, time, pool or ff), and targets, (condition, time, neuron)."""

    traces: NDArray[np.float32]
    ff_traces: NDArray[np.float32]
    target: Array
    inputs: NDArray[np.int32]
    initial: NDArray[np.float32]
    n_exc_inputs: int = 7

    def empty(self, form: str, slots: int = 8, pool_size: int = 1) -> Statistics:
        n_conditions, _, n_bins, n_pool = self.traces.shape
        sizes = (n_conditions, n_bins, n_pool, self.ff_traces.shape[3])
        if form == "shared":
            return SharedGram(HostGram(*sizes, pool_size), *sizes)
        return GatheredTraces(HostTraces(*sizes[:3], slots, 16 if form == "gathered16" else 32), *sizes, slots)

    def add_to(self, statistics: Statistics, threads: int | None = 1) -> Statistics:
        for c in range(len(self.traces)):
            statistics.add(c, self.traces[c], self.ff_traces[c], threads)
        return statistics

    def statistics(self, form: str, threads: int | None = 1) -> Statistics:
        return self.add_to(self.empty(form), threads)


def make(n_ff: int = 6, n_conditions: int = 3, n_pool: int = 40, n_neurons: int = 5, n_trials: int = 4, seed: int = 0) -> Data:
    rng = np.random.default_rng(seed)
    n_bins, n_inputs = 30, 12

    def traces(n: int) -> NDArray[np.float32]:
        return rng.gamma(0.8, 6e-3, (n_conditions, n_trials, n_bins, n)).astype(np.float32)

    exc = np.stack([np.sort(rng.permutation(n_pool // 2)[:7]) for _ in range(n_neurons)])
    inh = np.stack([n_pool // 2 + np.sort(rng.permutation(n_pool // 2)[:5]) for _ in range(n_neurons)])
    return Data(
        traces=traces(n_pool),
        ff_traces=traces(n_ff),
        target=rng.normal(0.3, 0.2, (n_conditions, n_bins, n_neurons)),
        inputs=np.concatenate([exc, inh], axis=1).astype(np.int32),
        initial=rng.normal(0, 0.5, (n_neurons, n_inputs)).astype(np.float32),
    )


def joint_regression(data: Data, penalties: Penalties, trial_weight: Array) -> tuple[Array, Array]:
    """Minimise the module's cost for each neuron over [w, v_1, ..., v_C] at once, in float64, trials weighted."""
    n_conditions, n_trials, n_bins, _ = data.traces.shape
    n_ff, n_inputs = data.ff_traces.shape[3], data.inputs.shape[1]
    root = np.sqrt(trial_weight / trial_weight.sum())
    energy = np.einsum("cktp,k->p", data.traces.astype(np.float64) ** 2, trial_weight / trial_weight.sum()).mean()
    ff_energy = 0.0
    if n_ff:
        ff_energy = float(
            np.einsum("cktp,k->p", data.ff_traces.astype(np.float64) ** 2, trial_weight / trial_weight.sum()).mean()
        )
    plastic, feed_forward = np.empty(data.initial.shape), np.empty((n_conditions, len(data.initial), n_ff))
    for u, inputs in enumerate(data.inputs):
        columns, wanted = [], []
        for c in range(n_conditions):
            own = np.zeros((n_trials, n_bins, n_conditions * n_ff))
            own[:, :, c * n_ff : (c + 1) * n_ff] = data.ff_traces[c]
            x = np.concatenate([data.traces[c][:, :, inputs], own], axis=2)
            y = np.tile(data.target[c, :, u], (n_trials, 1))
            if penalties.fluctuations != 1:  # the squared miss of the mean, and the variance
                mean = np.average(x, axis=0, weights=trial_weight)
                x = np.concatenate([np.sqrt(penalties.fluctuations) * (x - mean) * root[:, None, None], mean[None]])
                y = np.concatenate([0 * y, data.target[c, :, u][None]])
            else:
                x, y = x * root[:, None, None], y * root[:, None]
            columns.append(x.reshape(-1, x.shape[2]))
            wanted.append(y.reshape(-1))
        x, y = np.concatenate(columns), np.concatenate(wanted)
        w0 = np.concatenate([data.initial[u].astype(np.float64), np.zeros(n_conditions * n_ff)])
        exc = np.r_[np.arange(n_inputs) < data.n_exc_inputs, np.zeros(n_conditions * n_ff, bool)].astype(float)
        inh = np.r_[np.arange(n_inputs) >= data.n_exc_inputs, np.zeros(n_conditions * n_ff, bool)].astype(float)
        diagonal = np.r_[
            np.full(n_inputs, penalties.plastic * energy), np.full(n_conditions * n_ff, penalties.feed_forward * ff_energy)
        ]
        penalty = np.diag(diagonal) + penalties.row_sum * energy * (np.outer(exc, exc) + np.outer(inh, inh))
        change = np.linalg.solve(x.T @ x + penalty, x.T @ (y - x @ w0))
        plastic[u] = (w0 + change)[:n_inputs]
        feed_forward[:, u] = change[n_inputs:].reshape(n_conditions, n_ff)
    return plastic, feed_forward


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_ff", [0, 6])
@pytest.mark.parametrize("n_conditions", [1, 3])
@pytest.mark.parametrize(
    "penalties",
    [
        Penalties(plastic=0.05, row_sum=0.0, feed_forward=0.05),
        Penalties(plastic=0.5, row_sum=2.0, feed_forward=0.01),
        Penalties(plastic=0.02, row_sum=8.0, feed_forward=1.0),
        Penalties(plastic=0.05, row_sum=0.0, feed_forward=0.05, fluctuations=0.1),
        Penalties(plastic=0.5, row_sum=2.0, feed_forward=0.05, fluctuations=0.0),
    ],
)
def test_equals_the_joint_regression(form: str, n_ff: int, n_conditions: int, penalties: Penalties) -> None:
    data = make(n_ff, n_conditions)
    plastic, feed_forward = solve(data.statistics(form), data.target, data.inputs, data.initial, 7, penalties, 1)
    expected, expected_ff = joint_regression(data, penalties, np.ones(4))
    assert np.abs(expected - data.initial).max() > 1.0
    # Gram matrices are float32: relative errors of 1e-7 grow by the condition number.
    np.testing.assert_allclose(plastic, expected, rtol=0, atol=TOLERANCE[form] * np.abs(expected).max())
    assert feed_forward.shape == (n_conditions, 5, n_ff)
    if n_ff:
        np.testing.assert_allclose(feed_forward, expected_ff, rtol=0, atol=TOLERANCE[form] * np.abs(expected_ff).max())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fluctuations", [1.0, 0.2])
def test_discounted_trials_weigh_less(form: str, fluctuations: float) -> None:
    old, new = make(seed=1), make(seed=2)
    statistics = old.statistics(form)
    statistics.discount(0.3)
    new.add_to(statistics)
    penalties = Penalties(plastic=0.05, row_sum=0.5, feed_forward=0.05, fluctuations=fluctuations)
    plastic, feed_forward = solve(statistics, old.target, old.inputs, old.initial, 7, penalties, 1)
    both = Data(
        traces=np.concatenate([old.traces, new.traces], axis=1),
        ff_traces=np.concatenate([old.ff_traces, new.ff_traces], axis=1),
        target=old.target,
        inputs=old.inputs,
        initial=old.initial,
    )
    expected, expected_ff = joint_regression(both, penalties, np.repeat([0.3, 1.0], 4))
    np.testing.assert_allclose(plastic, expected, rtol=0, atol=TOLERANCE[form] * np.abs(expected).max())
    np.testing.assert_allclose(feed_forward, expected_ff, rtol=0, atol=TOLERANCE[form] * np.abs(expected_ff).max())


@pytest.mark.parametrize("form", FORMS)
def test_trials_added_in_parts_are_the_same_as_at_once(form: str) -> None:
    data = make()
    whole, parts = data.statistics(form), data.empty(form)
    for c in range(3):
        for k in range(0, 4, 2):
            parts.add(c, data.traces[c, k : k + 2], data.ff_traces[c, k : k + 2], 1)
    for name, values in parts.state().items():
        np.testing.assert_allclose(values, whole.state()[name], rtol=1e-5)


def test_the_shared_gram_matrix_has_an_upper_triangle() -> None:
    data = make()
    rows = data.traces.reshape(-1, 40).astype(float)
    np.testing.assert_allclose(np.triu(data.statistics("shared").state()["gram"])[:40, :40], np.triu(rows.T @ rows), rtol=1e-5)


@pytest.mark.parametrize("n_neurons", [5, 40])
@pytest.mark.parametrize("pool_size", [3, 40])
def test_neurons_with_the_same_inputs_are_solved_together(n_neurons: int, pool_size: int) -> None:
    data = make(n_neurons=n_neurons)
    data.inputs[:] = data.inputs[np.arange(n_neurons) // pool_size * pool_size]
    penalties = Penalties(plastic=0.05, row_sum=0.5, feed_forward=0.05)
    alone, alone_ff = solve(data.statistics("shared"), data.target, data.inputs, data.initial, 7, penalties, 1)
    for threads in (1, 2):
        statistics = data.add_to(data.empty("shared", pool_size=pool_size))
        plastic, feed_forward = solve(statistics, data.target, data.inputs, data.initial, 7, penalties, threads)
        np.testing.assert_array_equal(plastic, alone)
        np.testing.assert_array_equal(feed_forward, alone_ff)


@pytest.mark.parametrize("n_ff", [0, 6])
def test_all_forms_agree(n_ff: int) -> None:
    data = make(n_ff, n_conditions=2, n_neurons=70)
    penalties = Penalties(plastic=0.05, row_sum=0.5, feed_forward=0.05)
    plastic, feed_forward = solve(data.statistics("shared"), data.target, data.inputs, data.initial, 7, penalties, 1)
    for form in FORMS[1:]:
        other, other_ff = solve(data.statistics(form), data.target, data.inputs, data.initial, 7, penalties, 1)
        np.testing.assert_allclose(other, plastic, rtol=0, atol=TOLERANCE[form] * np.abs(plastic).max())
        np.testing.assert_allclose(other_ff, feed_forward, rtol=0, atol=TOLERANCE[form] * np.abs(plastic).max())


def test_gathered_traces_keep_the_newest_trials() -> None:
    """Six slots for eight trials: the two oldest fall out, those of the first loop keep their discount."""
    old, new = make(seed=1), make(seed=2)
    statistics = old.add_to(old.empty("gathered", slots=6))
    statistics.discount(0.3)
    new.add_to(statistics)
    penalties = Penalties(plastic=0.05, row_sum=0.5, feed_forward=0.05)
    plastic, _ = solve(statistics, old.target, old.inputs, old.initial, 7, penalties, 1)
    newest = Data(
        traces=np.concatenate([old.traces[:, 2:], new.traces], axis=1),
        ff_traces=np.concatenate([old.ff_traces[:, 2:], new.ff_traces], axis=1),
        target=old.target,
        inputs=old.inputs,
        initial=old.initial,
    )
    expected, _ = joint_regression(newest, penalties, np.repeat([0.3, 1.0], [2, 4]))
    np.testing.assert_allclose(plastic, expected, rtol=0, atol=TOLERANCE["gathered"] * np.abs(expected).max())


def test_trials_without_weight_are_no_statistics() -> None:
    statistics = make().statistics("gathered")
    statistics.discount(0.0)
    with pytest.raises(TrainingError, match=r"raise train\.ridge\.discount"):
        statistics.system(0.05, 1.0, 1)


@pytest.mark.parametrize("form", FORMS)
def test_a_restored_state_continues_with_the_same_bits(form: str) -> None:
    first, second = make(seed=1), make(seed=2)
    whole = first.add_to(first.empty(form, slots=6))
    other = first.empty(form, slots=6)
    other.restore({name: values.copy() for name, values in whole.state().items()})
    results = []
    for statistics in (whole, other):
        statistics.discount(0.5)
        second.add_to(statistics)
        penalties = Penalties(plastic=0.05, row_sum=0.5, feed_forward=0.05)
        results.append(solve(statistics, first.target, first.inputs, first.initial, 7, penalties, 1))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("form", FORMS)
def test_threads_change_no_bit(form: str) -> None:
    """With a pool wider than one tile, more neurons than one block, and more samples than are gathered at a time."""
    data = make(n_ff=6, n_conditions=2, n_pool=1100, n_neurons=150, n_trials=36)
    penalties = Penalties(plastic=0.05, row_sum=0.5, feed_forward=0.05, fluctuations=0.5)
    results = []
    for threads in (1, 2, 5):
        statistics = data.add_to(data.empty(form, slots=36), threads)
        state = [values.copy() for values in statistics.state().values()]
        results.append((*state, *solve(statistics, data.target, data.inputs, data.initial, 7, penalties, threads)))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    expected, expected_ff = joint_regression(data, penalties, np.ones(36))
    np.testing.assert_allclose(results[0][-2], expected, rtol=0, atol=TOLERANCE[form] * np.abs(expected).max())
    np.testing.assert_allclose(results[0][-1], expected_ff, rtol=0, atol=TOLERANCE[form] * np.abs(expected_ff).max())


@pytest.mark.parametrize("form", FORMS)
def test_a_strong_penalty_keeps_the_initial_weights(form: str) -> None:
    data = make()
    plastic, feed_forward = solve(
        data.statistics(form), data.target, data.inputs, data.initial, 7, Penalties(plastic=1e7, row_sum=0.0, feed_forward=1e7), 1
    )
    np.testing.assert_allclose(plastic, data.initial, atol=1e-4)
    np.testing.assert_allclose(feed_forward, 0, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_row_sum_penalty_holds_the_sums_of_each_kind(form: str) -> None:
    data = make(n_ff=0)
    plastic, _ = solve(
        data.statistics(form),
        data.target,
        data.inputs,
        data.initial,
        7,
        Penalties(plastic=0.05, row_sum=1e4, feed_forward=1.0),
        1,
    )
    assert np.abs(plastic - data.initial).max() > 0.3
    for part in (slice(0, 7), slice(7, 12)):
        np.testing.assert_allclose(plastic[:, part].sum(axis=1), data.initial[:, part].sum(axis=1), atol=2e-2)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_ff", [0, 6])
def test_silence_keeps_the_initial_weights(form: str, n_ff: int) -> None:
    data = make(n_ff)
    data.traces[:], data.ff_traces[:] = 0, 0
    penalties = Penalties(plastic=0.05, row_sum=0.0, feed_forward=0.05)
    plastic, feed_forward = solve(data.statistics(form), data.target, data.inputs, data.initial, 7, penalties, 1)
    np.testing.assert_array_equal(plastic, data.initial)
    np.testing.assert_array_equal(feed_forward, 0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("damage", ["target", "initial", "statistics"])
def test_only_neurons_without_a_solution_get_nan(form: str, damage: str) -> None:
    """The second neuron alone: its target or weight is NaN, or what is known of one of its inputs is damaged."""
    data = make()
    data.inputs[1, 0] = 39  # no other neuron listens to it
    data.inputs[np.arange(5) != 1] = np.minimum(data.inputs[np.arange(5) != 1], 38)
    statistics = data.statistics(form)
    if damage == "target":
        data.target[0, 3, 1] = np.nan
    elif damage == "initial":
        data.initial[1, 2] = np.nan
    elif form == "shared":
        statistics.state()["gram"][39, 39] = -1.0
    else:
        statistics.state()["scale"][0, 39, 2] = np.nan
    penalties = Penalties(plastic=0.05, row_sum=0.0, feed_forward=0.05)
    plastic, feed_forward = solve(statistics, data.target, data.inputs, data.initial, 7, penalties, 1)
    bad = ~(np.isfinite(plastic).all(axis=1) & np.isfinite(feed_forward).all(axis=(0, 2)))
    np.testing.assert_array_equal(np.flatnonzero(bad), [1])
