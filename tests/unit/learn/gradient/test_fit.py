"""Fits of PSTHs by gradients: every rule runs through the train stage, what must hold does at every loop, and they learn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fitrec.config.train import TrainConfig
from fitrec.errors import ModelError, TrainingError
from fitrec.learn.gradient.fit import GradientFit
from fitrec.learn.gradient.rate_errors import RateErrors, causal_filter
from fitrec.learn.gradient.schedules import Schedule
from fitrec.learn.gradient.windows import first_bad_step
from fitrec.learn.psth_fit import mean_correlation, validate
from fitrec.neurons.load import library_model
from fitrec.neurons.observation import observe_calcium
from fitrec.stages.train import make_training
from tests.tiny_fit import AREAS, tiny_network, tiny_targets, tiny_training
from tests.tiny_training import GRADIENT, run_training, save_inputs
from tests.unit.neurons.test_observation import observed

CALCIUM = {"loss": "calcium", "calcium_ms": 60.0, "calcium_rise_ms": 20.0}
GRADIENT_NAMES = ("local-adjoint", "pp-prop", "d-rtrl", "e-prop", "e-prop-plus")


def start(rule: str = "local-adjoint", **gradient: Any) -> Any:
    return tiny_training(rule=rule, validation_trials=2, gradient={**GRADIENT, **gradient}).rule


@pytest.mark.parametrize("rule", GRADIENT_NAMES)
def test_every_rule_trains(tmp_path: Path, rule: str) -> None:
    config = TrainConfig.model_validate(
        {"rule": rule, "validation_trials": 2, "gradient": {"loops": 2, "trials": 2, "evaluate_every": 1}}
    )
    weights = run_training(save_inputs(tmp_path), tmp_path / "fit", config)
    curve = pd.read_csv(tmp_path / "fit" / "curve.csv")
    assert curve["loop"].tolist() == [1, 2]
    assert curve["frozen"].all()
    assert curve["correlation"].notna().all()
    assert (weights.plastic != tiny_network().plastic_weight).mean() > 0.8  # some sources are silent
    assert (weights.feed_forward != 0).mean() > 0.9


@pytest.mark.parametrize(
    ("rule", "loss"),
    [
        *(("local-adjoint", {}), ("pp-prop", {}), ("e-prop", {})),
        ("local-adjoint", CALCIUM),
    ],
)
def test_rules_learn(rule: str, loss: dict[str, Any]) -> None:
    fit = start(rule, loops=25, trials=8, surrogate={"height": 1.0, "width": 1.0}, **loss)
    results = [fit.loop(index).correlation for index in range(fit.n_loops)]
    assert np.mean(results[-3:]) > np.mean(results[:3]) + 0.15


def test_d_rtrl_is_the_local_adjoint_in_another_order() -> None:
    one, other = (start(rule, loops=1, trials=2, optimizer="sgd") for rule in ("local-adjoint", "d-rtrl"))
    before = one.weights
    one.loop(0)
    other.loop(0)
    for part in ("plastic", "feed_forward"):
        step = getattr(one.weights, part) - getattr(before, part)
        difference = getattr(other.weights, part) - getattr(one.weights, part)
        assert np.abs(difference).max() < 1e-4 * np.abs(step).max()


@pytest.mark.parametrize("loss", [{}, CALCIUM], ids=["rates", "calcium"])
def test_e_prop_plus_learns(loss: dict[str, Any]) -> None:
    """In its own measure: the squared error of single trials falls."""
    training = tiny_training(
        rule="e-prop-plus", gradient={"loops": 40, "learning_rate": 0.02, "surrogate": {"height": 1.0, "width": 1.0}, **loss}
    )
    rule, problem = training.rule, training.problem

    def correlation() -> float:
        counts = np.stack(
            [
                np.mean(
                    [r.counts[:, problem.simulator.network.trained] for r in problem.run_trials(rule.weights, c, range(16))],
                    axis=0,
                )
                for c in range(2)
            ]
        )
        return mean_correlation(problem.smooth(counts / problem.bin_s), problem.rate_hz)

    before = correlation()
    for index in range(rule.n_loops):
        rule.loop(index)
    assert correlation() > before + 0.1


@pytest.mark.parametrize(("rule", "updates"), [("local-adjoint", 1), ("e-prop-plus", 2 * 25)])
def test_what_is_averaged_over_loops_is_so_whatever_the_updates_per_loop(rule: str, updates: int) -> None:
    """A rule that updates after every bin of both conditions forgets as much in a loop as one that updates at its end."""
    fit = start(rule, loops=7, beta_2=0.8)
    settings = fit._options.optimiser
    assert settings.beta_2**updates == pytest.approx(0.8)
    assert settings.schedule == Schedule(kind="cosine", total=7 * updates)
    optimiser = fit._weights._optimiser
    fit.loop(0)
    assert optimiser.iterations == updates


@pytest.mark.parametrize("rule", ["local-adjoint", "e-prop-plus"])
@pytest.mark.parametrize("dale", ["clip", "exponential", "softplus"])
def test_weights_keep_their_signs_at_every_loop(dale: str, rule: str) -> None:
    n_exc = tiny_network().n_plastic_exc
    signs = {}
    for mode in (dale, "none"):
        fit = start(rule, dale=mode, learning_rate=1.0, schedule="constant")
        kept = []
        for index in range(3):
            fit.loop(index)
            kept.append((fit.weights.plastic[:, :n_exc] >= 0).all() and (fit.weights.plastic[:, n_exc:] <= 0).all())
        signs[mode] = kept
    assert all(signs[dale])
    assert not all(signs["none"])  # with these steps the law would be broken without it


def test_weights_stay_within_bounds() -> None:
    fit = start(w_min=-0.4, w_max=0.7, learning_rate=1.0, schedule="constant")
    for index in range(3):
        fit.loop(index)
        assert fit.weights.plastic.min() >= np.float32(-0.4)
        assert fit.weights.plastic.max() <= np.float32(0.7)
    assert (fit.weights.plastic == np.float32(0.7)).any()
    assert np.abs(fit.weights.feed_forward).max() > 0.7  # only plastic weights are bounded


@pytest.mark.parametrize("frozen", ["exc", "inh", "feed_forward"])
def test_frozen_projections_stay_as_they_are(frozen: str) -> None:
    fit, n_exc = start(frozen=[frozen]), tiny_network().n_plastic_exc
    before = fit.weights
    for index in range(2):
        fit.loop(index)
    parts = {
        name: (w.plastic[:, :n_exc], w.plastic[:, n_exc:], w.feed_forward)
        for name, w in (("before", before), ("after", fit.weights))
    }
    same = [np.array_equal(a, b) for a, b in zip(parts["before"], parts["after"], strict=True)]
    assert same == [name == frozen for name in ("exc", "inh", "feed_forward")]


def test_nothing_left_to_learn_is_refused() -> None:
    with pytest.raises(
        TrainingError, match=r"nothing is left to learn: train.gradient.frozen is \['exc', 'inh', 'feed_forward'\]"
    ):
        start(frozen=["exc", "inh", "feed_forward"])


@pytest.mark.parametrize("changes", [{}, {"loss": "poisson"}, {"rate_penalty": 0.1}, {"loss_of": "areas"}, CALCIUM])
def test_the_signal_is_the_derivative_of_the_loss_by_the_spikes(changes: dict[str, Any]) -> None:
    """A spike more in a bin of one trial changes the loss by the signal there, to first order."""
    fit: GradientFit = start(trials=50, **changes)
    problem, o = fit._problem, fit._options
    network, rng = problem.simulator.network, np.random.default_rng(1)
    counts = rng.poisson(3.0, (problem.rate_hz.shape[1], network.n_neurons)).astype(np.float64)  # of 50 trials

    def loss(c: Any) -> float:
        value = o.loss(smoothing @ c[:, network.trained] / o.trials / problem.bin_s, goal)[0]
        if o.regularisation is not None:
            value += o.regularisation(c.sum(axis=0), len(c) * problem.bin_s * o.trials)[0]
        return value

    smoothing, goal = problem.smooth(np.eye(len(counts))[None])[0], problem.rate_hz[0]
    if changes is CALCIUM:
        indicator = causal_filter(len(counts), 20.0, 60.0, 20.0)
        smoothing, goal = indicator @ smoothing, indicator @ goal
    change, h = rng.normal(size=counts.shape), 1e-4
    difference = (loss(counts + h * change) - loss(counts - h * change)) / (2 * h)
    mean = fit._errors.per_trial(counts.astype(np.int64))
    assert (fit._errors.signal(mean, 0) * change).sum() == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize("rule", ["local-adjoint", "e-prop-plus"])
def test_mean_rates_of_areas_are_learned(rule: str) -> None:
    """Validations judge them too; a neuron whose unit has no area is left alone."""
    training = tiny_training(
        rule=rule,
        validation_trials=20,
        gradient={**GRADIENT, "loops": 15, "trials": 8, "loss_of": "areas", "surrogate": {"height": 1.0, "width": 1.0}},
    )
    fit, problem, initial = training.rule, training.problem, training.rule.weights
    assert problem.regions is not None
    assert problem.regions.names == ("M2", "S1")
    before, _ = validate(problem, fit.weights, 20, 0)
    for index in range(fit.n_loops):
        fit.loop(index)
    after, _ = validate(problem, fit.weights, 20, 0)
    network = problem.simulator.network
    alone = AREAS[network.trained_unit % 4] == ""
    changed = (fit.weights.plastic != initial.plastic).any(axis=1)
    np.testing.assert_array_equal(changed, ~alone)
    psth = np.stack(
        [np.mean([r.counts[:, network.trained] for r in problem.run_trials(fit.weights, c, range(20))], axis=0) for c in (0, 1)]
    )
    areas = [AREAS[network.trained_unit % 4] == name for name in ("M2", "S1")]
    found, wanted = (np.stack([x[..., a].mean(axis=2) for a in areas], 2) for x in (problem.smooth(psth / 0.02), problem.rate_hz))
    assert after == pytest.approx(mean_correlation(found, wanted))
    assert after > before + 0.2


def test_areas_have_to_be_known() -> None:
    targets = tiny_targets()
    section = TrainConfig.model_validate({"rule": "e-prop", "gradient": {"loss_of": "areas"}})
    for units in (targets.units.drop(columns="area"), targets.units.assign(area="")):
        with pytest.raises(TrainingError, match=r"none of the 12 fitted units has an area .*; use loss_of: units, or name"):
            make_training(tiny_network(), replace(targets, units=units), section, 1)


def test_errors_come_from_the_loops_before() -> None:
    """Of the first loop itself, then of a mean in which a loop's share falls by the factor `averaging` with every further one."""
    fit: GradientFit = start(averaging=0.6, learning_rate=1e-12)
    seen: list[Any] = []
    errors = fit._errors
    signal = errors.signal
    errors.signal = lambda mean, condition: seen.append(mean) or signal(mean, condition)  # type: ignore[method-assign, func-returns-value]
    begun = [fit._begin([0], index, fit._work, errors)[:2] for index in range(3)]
    trials = [fit._work.count(asked, starts)[0] / 3 for asked, starts in begun]
    seen.clear()
    for index in range(4):
        fit.loop(index)
    of_first_condition = seen[::2]
    np.testing.assert_allclose(of_first_condition[0], trials[0])
    np.testing.assert_allclose(of_first_condition[1], trials[0], rtol=1e-5)
    weights = np.array([0.36, 0.6, 1.0])
    expected = np.tensordot(weights / weights.sum(), trials, 1)
    np.testing.assert_allclose(of_first_condition[3], expected, rtol=1e-4, atol=1e-6)


def test_the_causal_filter_sees_no_later_bin_and_keeps_the_mean() -> None:
    matrix = causal_filter(30, 20.0, 50.0)
    assert np.triu(matrix, 1).max() == 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    np.testing.assert_allclose(matrix[20, 19] / matrix[20, 20], np.exp(-20 / 50))


def test_calcium_with_a_rise_is_that_of_a_neuron_that_observes_it() -> None:
    matrix = causal_filter(30, 20.0, 90.0, 35.0)
    assert np.triu(matrix, 1).max() == 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    calcium = observed(observe_calcium(library_model("lif"), 90.0, 35.0), "calcium", [1.0] + 29 * [0.0], 20.0)
    np.testing.assert_allclose(matrix[-1, ::-1], calcium / calcium.sum())


def test_e_prop_plus_sees_calcium_through_its_readout() -> None:
    calcium, rate = (
        start("e-prop-plus", loops=1, **seen) for seen in ({"loss": "calcium", "calcium_ms": 50.0}, {"readout_ms": 50.0})
    )
    for fit in (calcium, rate):
        fit.loop(0)
    np.testing.assert_array_equal(calcium.weights.plastic, rate.weights.plastic)


def test_traces_that_forget_what_is_still_seen_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    start("pp-prop", trace_ms=30.0)
    assert "forget" not in caplog.text
    start("pp-prop", trace_ms=30.0, **CALCIUM)
    assert "the traces of pp-prop forget within 30 ms, but a rate is smoothed over" in caplog.text


def test_memory_that_holds_no_bin_is_refused_and_the_longest_window_is_told() -> None:
    with pytest.raises(TrainingError, match=r"memory_gb is 1e-06, but the derivatives of one bin of 20 ms need .*; raise it"):
        start(memory_gb=1e-6)
    with pytest.raises(TrainingError, match=r"window_ms is 400, but 0.003 GB \(memory_gb\) hold .* at most (\d+) ms") as caught:
        start(memory_gb=0.003, window_ms=400.0)
    longest = float(caught.value.args[0].split("at most ")[1].split(" ms")[0])
    assert longest % 20 == 0
    start(memory_gb=0.003, window_ms=longest)
    with pytest.raises(TrainingError, match="window_ms is"):
        start(memory_gb=0.003, window_ms=longest + 20)


def test_short_memory_cuts_trials_the_same_for_any_number_of_threads(caplog: pytest.LogCaptureFixture) -> None:
    fits = [tiny_training(threads, rule="local-adjoint", gradient={**GRADIENT, "memory_gb": 0.003}).rule for threads in (1, 2)]
    assert "derivatives go back through windows of" in caplog.text
    for fit in fits:
        fit.loop(0)
    np.testing.assert_array_equal(fits[0].weights.plastic, fits[1].weights.plastic)


def gradients(**changes: Any) -> Any:
    """Gradient of one loop, before any update."""
    fit: GradientFit = start(**{"trials": 2, **changes})
    asked, starts, signals, _ = fit._begin([0, 1], 0, fit._work, fit._errors)
    return np.concatenate([found.synapses for found in fit._work.gradient(asked, starts, signals)]).astype(np.float64)


@pytest.mark.parametrize("surrogate", [{"height": 0.3, "width": 1.0}, {"kind": "arctan", "height": 1.0, "width": 0.2}])
def test_overlapping_windows_come_closer_to_the_whole_trial(surrogate: dict[str, Any]) -> None:
    """The window of a trial has 500 ms; the neuron's slowest time constant is 150 ms."""
    whole = gradients(surrogate=surrogate)

    def distance(**changes: Any) -> float:
        return float(np.linalg.norm(gradients(surrogate=surrogate, **changes) - whole) / np.linalg.norm(whole))

    for window_ms in (60.0, 120.0):
        assert distance(window_ms=window_ms) < 0.7 * distance(window_ms=window_ms, overlap=False)
    # Two windows that overlap are the whole.
    assert distance(window_ms=260.0) < 1e-5 < distance(window_ms=260.0, overlap=False)


@pytest.mark.parametrize(
    ("poison", "window_ms", "what"), [(1e38, 0.0, "not finite"), (1e38, 60.0, "not finite"), (1e24, 60.0, "too large")]
)
def test_gradients_that_cannot_be_gone_on_with_are_traced_to_their_step(
    poison: float, window_ms: float, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A huge learning signal in the 13th bin of the second condition overflows there, on the way back, or its square does."""
    signal = RateErrors.signal

    def poisoned(self: RateErrors, mean: Any, condition: int) -> Any:
        values = signal(self, mean, condition)
        if condition == 1:
            values[12, self._problem.simulator.network.trained[5]] = poison
        return values

    monkeypatch.setattr(RateErrors, "signal", poisoned)
    fit = start(surrogate={"height": 1e3, "width": 1.0}, window_ms=window_ms)
    neuron = tiny_network().trained[5]
    with pytest.raises(TrainingError) as caught:
        fit.loop(0)
    text = str(caught.value)
    assert text.startswith("loop 1: the gradient of " if what == "not finite" else "loop 1: a value too large to go on with: ")
    assert f", of neuron {neuron}, " in text
    assert "condition 'right', trial 1" in text
    step = int(text.split(f"{what} from step ")[1].split(" of 5000")[0])
    assert 12 * 200 < step <= 13 * 200
    np.testing.assert_array_equal(fit.weights.plastic, tiny_network().plastic_weight)


def test_first_bad_step() -> None:
    for backward in (False, True):
        for bad in (0, 7, 99):
            steps = np.zeros(100)
            steps[bad] = np.nan
            assert first_bad_step(lambda span, s=steps: bool(np.isfinite(s[slice(*span)]).all()), 100, backward=backward) == bad  # type: ignore[misc]


def test_bptt_that_explodes_says_what_to_do() -> None:
    for window_ms in (0.0, 240.0):
        with pytest.raises(TrainingError, match=r"bptt explodes .*: shorten train\.gradient\.window_ms, or use local-adjoint"):
            tiny_training(rule="bptt", gradient={"loops": 1, "trials": 1, "window_ms": window_ms}).rule.loop(0)
    tiny_training(rule="bptt", gradient={"loops": 1, "trials": 1, "window_ms": 40.0, "overlap": False}).rule.loop(0)


def test_parameters_of_neurons_are_learned_within_bounds_and_evaluated() -> None:
    """With weights that stay nearly as they are, only time constants and thresholds can follow."""
    trainable = {"tau_m": {"learning_rate": 0.02, "min": 9.5}, "v_th": {"learning_rate": 0.02, "shared": True, "min": 0.97}}
    training = tiny_training(
        rule="local-adjoint",
        gradient={
            **GRADIENT,
            "loops": 8,
            "trials": 8,
            "averaging": 0.0,
            "trainable": trainable,
            "learning_rate": 1e-6,
            "surrogate": {"height": 1.0, "width": 1.0},
        },
    )
    rule: Any = training.rule
    problem = training.problem
    network = problem.simulator.network
    lowest = np.inf
    for index in range(rule.n_loops):
        rule.loop(index)
        tau_m, v_th = rule.weights.parameters
        assert tau_m.min() >= 9.5
        assert v_th.min() >= np.float32(0.97)
        assert np.ptp(v_th) == 0
        assert np.ptp(tau_m) > 0
        lowest = min(lowest, v_th[0])
    assert lowest == np.float32(0.97)  # at first they fire too little
    untrained = np.setdiff1d(np.arange(network.n_neurons), network.trained)
    assert (rule._trials.values("tau_m")[untrained] == 10).all()
    # The simulator runs the same neurons; without the parameters, those of the network.
    rule._trials.adopt(rule.weights)

    def counts(weights: Any) -> Any:
        return problem.simulator.map_trials(lambda r: r.counts, weights, 0, [2800], chunk_steps=problem.bin_steps, threads=1)[0]

    (asked,), ((first, *_),), *_ = rule._begin([0], 100, rule._work, rule._errors)
    np.testing.assert_array_equal(counts(rule.weights), rule._work.count([asked._replace(trials=range(1))], [[first]])[0])
    assert (counts(rule.weights) != counts(replace(rule.weights, parameters=None, parameter_names=None))).any()


def test_a_shared_value_is_one_value() -> None:
    moved = []
    for shared in (False, True):
        fit = start(trainable={"v_th": {"shared": shared}}, optimizer="sgd", frozen=["exc"], clip_norm=1e-3)
        fit.loop(0)
        moved.append(fit.weights.parameters[0] - np.float32(1.0))
    assert np.ptp(moved[0]) > 0
    assert np.ptp(moved[1]) == 0
    assert moved[1][0] != 0


def test_rules_without_a_gradient_for_parameters_refuse_them() -> None:
    for rule in ("pp-prop", "d-rtrl", "e-prop-plus"):
        with pytest.raises(TrainingError, match=f"names tau_m, but {rule} has no gradient for them; use local-adjoint"):
            start(rule, trainable={"tau_m": {}})
    with pytest.raises(ModelError, match="tau_n"):
        start(trainable={"tau_n": {}})
