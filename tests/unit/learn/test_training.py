"""All rules, driven loop by loop: the same bits for any number of threads and from any loop on, and they learn."""

from typing import Any

import numpy as np
import pytest

from fitrec.learn.psth_fit import validate
from fitrec.learn.rule import LoopResult
from fitrec.learn.training import Row, Training
from fitrec.networks.weights import Weights
from tests.tiny_fit import tiny_training
from tests.tiny_training import GRADIENT_RULES

RULES: dict[str, dict[str, Any]] = {
    "ridge": {
        "rule": "ridge",
        "ridge": {"forcing": [1.0, 0.5, 0.2, 0.0, 0.0], "trials": 3, "closed_loop_trials": 4, "correction_from": 2},
    },
    "rls": {"rule": "rls", "rls": {"loops": 4, "rank": 4, "evaluate_every": 2, "scaling": "relative"}},
    "rls, 16 bits, Dale": {"rule": "rls", "rls": {"loops": 3, "rank": 4, "p_storage": "int16", "dale": True}},
    "rls, instantaneous": {"rule": "rls", "rls": {"loops": 3, "rank": 7, "static_current": "instantaneous"}},
    **GRADIENT_RULES,
}


def start(rule: str, threads: int | None = 1) -> Training:
    return tiny_training(threads, validation_trials=2, **RULES[rule])


def same(a: Weights, b: Weights) -> bool:
    return bool(np.array_equal(a.plastic, b.plastic) and np.array_equal(a.feed_forward, b.feed_forward))


@pytest.mark.parametrize("rule", RULES)
def test_threads_change_no_bit(rule: str) -> None:
    one, two = start(rule, 1).rule, start(rule, 2).rule
    for index in range(3):
        results = one.loop(index), two.loop(index)
        assert vars(results[0]) == pytest.approx(vars(results[1]), nan_ok=True, abs=0)
        first, second = one.state(), two.state()
        assert first.keys() == second.keys()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_continues_bit_for_bit_from_any_loop(rule: str) -> None:
    whole = start(rule).rule
    states = []
    for index in range(whole.n_loops):
        whole.loop(index)
        states.append({name: values.copy() for name, values in whole.state().items()})
    for finished in range(1, whole.n_loops):
        resumed = start(rule).rule
        resumed.restore({name: values.copy() for name, values in states[finished - 1].items()})
        assert same(
            resumed.weights, Weights(plastic=states[finished - 1]["plastic"], feed_forward=states[finished - 1]["feed_forward"])
        )
        for index in range(finished, whole.n_loops):
            resumed.loop(index)
        for name, values in resumed.state().items():
            np.testing.assert_array_equal(values, states[-1][name], err_msg=f"{name}, resumed after loop {finished}")
    assert any((states[0][name] != states[-1][name]).any() for name in ("plastic", "feed_forward"))


def test_holding_back_updates_changes_the_speed_not_the_rule() -> None:
    """25 updates per trial are no multiple of 4 or 16: what is held back at a trial's end is applied there."""
    states = []
    for rank in (1, 4, 16):
        rule = tiny_training(rule="rls", rls={"loops": 1, "rank": rank, "penalty_row_sum": 0.0}).rule
        rule.loop(0)
        states.append(rule.state())
    n_inputs = states[0]["p"].shape[1]
    assert np.abs(states[0]["p"][:, :, :n_inputs] - np.eye(n_inputs) / 0.04).max() > 0.5
    for other in states[1:]:
        np.testing.assert_allclose(other["p"], states[0]["p"], atol=2e-3)
        np.testing.assert_allclose(other["plastic"], states[0]["plastic"], atol=1e-4)


@pytest.mark.parametrize("rule", ["ridge", "rls"])
def test_every_loop_sees_trials_of_its_own(rule: str) -> None:
    """The same loop twice gives the same result; another loop from the same state another one."""
    training = start(rule)
    training.rule.loop(0)
    state = {name: values.copy() for name, values in training.rule.state().items()}
    outcomes = []
    for index in (1, 1, 2):
        fresh = start(rule).rule
        fresh.restore({name: values.copy() for name, values in state.items()})
        outcomes.append((vars(fresh.loop(index)), fresh.weights))
    assert same(outcomes[0][1], outcomes[1][1])
    assert not same(outcomes[0][1], outcomes[2][1])


def closed_loop_correlation(training: Training, weights: Weights, first_trial: int = 800_000) -> float:
    return validate(training.problem, weights, 30, first_trial)[0]


def test_ridge_learns() -> None:
    training = start("ridge")
    untrained = closed_loop_correlation(training, training.rule.weights)
    rows: list[Row] = []
    tested, learn = [], training.rule.loop

    def loop(index: int) -> LoopResult:
        tested.append(learn(index))
        return tested[-1]

    training.rule.loop = loop  # type: ignore[method-assign]
    best = training.run(lambda _, row: rows.append(row))
    trained = closed_loop_correlation(training, best)
    print(f"untrained {untrained:.3f}, trained {trained:.3f}")  # shown with -rP
    assert abs(untrained) < 0.2
    assert trained > 0.6
    assert [row["loop"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["forcing"] for row in rows[:3]] == [1.0, 0.5, 0.2]
    assert np.all(np.diff([row["seconds"] for row in rows]) >= 0)
    own = [result.correlation for result in tested if result.frozen]
    assert len(own) == 2
    assert training.best_correlation == max(*own, rows[-1]["correlation"])
    assert same(best, training.best)


def test_rls_learns() -> None:
    training = tiny_training(
        validation_trials=4,
        rule="rls",
        rls={"loops": 20, "scaling": "relative", "penalty": 0.2, "penalty_row_sum": 0.0, "penalty_feed_forward": 0.2},
    )
    untrained = closed_loop_correlation(training, training.rule.weights)
    trained = closed_loop_correlation(training, training.run(lambda *_: None))
    print(f"untrained {untrained:.3f}, trained {trained:.3f}")  # shown with -rP
    assert trained > untrained + 0.2


def constant(training: Training, plastic: float) -> Weights:
    """Equal plastic weights; -30 silences the trained neurons."""
    initial = training.rule.weights
    return Weights(plastic=np.full_like(initial.plastic, plastic), feed_forward=np.zeros_like(initial.feed_forward))


def run_with(training: Training, weights: dict[int, Weights]) -> Weights:
    """Run a training whose rule arrives at the given weights in these loops."""
    rule, learn = training.rule, training.rule.loop

    def loop(index: int) -> LoopResult:
        result = learn(index)
        rule.weights = weights.get(index, rule.weights)
        return result

    rule.loop = loop  # type: ignore[method-assign]
    return training.run(lambda *_: None)


@pytest.mark.parametrize("bad", [-30.0, 0.0])
def test_the_best_weights_are_kept_not_the_last(bad: float) -> None:
    """A silent network has no correlation at all, one without plastic input hardly any."""
    training = start("ridge")
    worse = constant(training, bad)
    best = run_with(training, {4: worse})
    assert not same(best, worse)
    assert training.best_correlation > 0.4
    assert training.best_correlation >= np.nanmax([row["correlation"] for row in training.curve if row["frozen"]])


def test_without_any_correlation_the_newest_weights_are_taken() -> None:
    training = start("ridge")
    silent = {index: constant(training, -30.0 - index) for index in range(5)}
    assert same(run_with(training, silent), silent[4])
    assert training.best_correlation == float("-inf")


def test_closed_loops_are_averaged() -> None:
    """A closed loop that begins with the same state finds the same solution in either case."""
    ridge = {"forcing": [1.0, 0.0, 0.0], "trials": 2, "correction_from": 2}
    plain, averaged = (tiny_training(ridge={**ridge, "average_closed_loops": average}).rule for average in (False, True))
    plain.loop(0)
    averaged.loop(0)
    assert same(plain.weights, averaged.weights)
    for index, share in ((1, 1 / 2), (2, 1 / 3)):
        before = averaged.weights
        plain.restore({name: values.copy() for name, values in averaged.state().items()})
        plain.loop(index)
        averaged.loop(index)
        assert not same(plain.weights, before)
        for part in ("plastic", "feed_forward"):
            expected = (1 - share) * getattr(before, part) + share * getattr(plain.weights, part)
            np.testing.assert_allclose(getattr(averaged.weights, part), expected, rtol=1e-5, atol=1e-6)


def test_trials_of_a_closed_loop_test_the_weights_they_ran_with() -> None:
    ridge = {"forcing": [1.0, 0.3, 0.0, 0.0], "trials": 2, "closed_loop_trials": 4}
    training = tiny_training(ridge=ridge)
    rule = training.rule
    assert [k for k in range(4) if rule.validates(k)] == [3]
    for index in range(4):
        before = rule.weights
        result = rule.loop(index)
        assert result.frozen == (index >= 2)
        if result.frozen:
            assert result.tested is before
            found, _ = validate(training.problem, before, 4, 4 + 4 * (index - 2))
            assert result.correlation == pytest.approx(found, rel=1e-9)
        else:
            assert result.tested is None


def test_ridge_takes_later_solutions_unless_they_are_clearly_worse() -> None:
    training = start("ridge")
    a, b, c = (constant(training, plastic) for plastic in (1.0, 2.0, 3.0))
    for weights, correlation, kept in ((a, 0.5, a), (b, 0.49, b), (c, 0.47, b), (c, 0.6, c), (a, float("nan"), c)):
        training._consider(weights, correlation)
        assert training.best is kept
    assert training.best_correlation == 0.6
    other = start("rls")
    other._consider(a, 0.5)
    other._consider(b, 0.49)
    assert other.best is a
