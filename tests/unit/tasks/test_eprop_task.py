"""The task command: every model runs, draws are the published ones, bad input gets a sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from fitrec.cli.failures import exit_status
from fitrec.cli.task import command
from fitrec.errors import ConfigError, TrainingError
from fitrec.kernels.eprop import Feedback, Surrogate
from fitrec.kernels.optimise import Optimizer
from fitrec.learn.eprop.learners import Response, Sequence
from fitrec.tasks import names
from fitrec.tasks.draws import classification, regression
from fitrec.tasks.eprop import Request, run
from fitrec.tasks.mersenne import normals
from fitrec.tasks.patterns import handwriting


def task(*arguments: str) -> int:
    return exit_status(lambda: command.main(list(arguments), prog_name="fitrec task", standalone_mode=False))


@pytest.mark.parametrize("model", names.MODELS)
@pytest.mark.parametrize("optimizer", names.OPTIMIZERS)
def test_every_model_learns(model: str, optimizer: str, tmp_path: Path) -> None:
    file = tmp_path / "task.json"
    arguments = ["--model", model, "--optimizer", optimizer, "--iterations", "3", "--json", str(file)]
    assert task("eprop-regression", *arguments) == 0
    found = json.loads(file.read_text())
    assert len(found["loss"]) == 3
    assert np.isfinite(found["loss"]).all()
    assert len(set(found["loss"])) == 3
    assert (found["model"], found["rule"], found["optimizer"]) == (model, names.rule_of(model), optimizer)
    assert {"parameters", "seconds", "versions", "device", "rate_hz"} <= set(found)


def test_surrogates_feedbacks_and_precisions_matter() -> None:
    losses = [
        run("regression", Request(rule="e-prop-plus", iterations=3, surrogate=surrogate))["loss"]
        for surrogate in names.SURROGATES
    ]
    losses += [
        run("regression", Request(rule="e-prop-plus", iterations=3, feedback=feedback))["loss"]
        for feedback in names.FEEDBACKS[1:]
    ]
    assert len({tuple(each) for each in losses}) == 6
    single = run("regression", Request(rule="e-prop-plus", iterations=1, precision="float32"))["loss"]
    assert single[0] != losses[0][0]
    assert single[0] == pytest.approx(losses[0][0], rel=0.02)  # a step or two of spikes moves


@pytest.mark.parametrize("model", ["eprop_iaf_bsshslm_2020", "eprop_iaf_psc_delta"])
def test_a_batch_of_sequences(model: str) -> None:
    one, two = (run("classification", Request(model=model, batch_size=size, iterations=1)) for size in (1, 2))
    assert len(one["loss"]) == len(two["loss"]) == 1
    assert one["loss"] != two["loss"]
    assert two["error"][0] in (0, 0.5, 1)


def test_the_published_draws() -> None:
    wanted = [(1, 597), (1, 562), (0, 523), (0, 554), (1, 579)]
    drawn = classification()
    found = [drawn.batch(1)[0] for _ in range(5)]
    assert [(int(each.targets[0].argmax()), int(each.inputs.sum())) for each in found] == wanted
    sums = [weights.sum(dtype=np.float64) for weights in drawn.weights]
    np.testing.assert_allclose(sums, [7.521171962, 8.329745484, 3.426776428, -20.997158340], atol=1e-9)

    drawn = regression(1000, first_inputs=True)
    sums = [weights.sum(dtype=np.float64) for weights in drawn.weights]
    np.testing.assert_allclose(sums, [9.772656523, 8.922978954, 1.778074684, -0.349762680], atol=1e-9)
    sequence = drawn.batch(1)[0]
    assert (sequence.inputs.sum(), sequence.inputs[0].sum()) == (5057, 4)
    assert np.sum(sequence.targets**2) == pytest.approx(253.832236967498, rel=1e-12)
    assert not regression(100, first_inputs=True).batch(1)[0].targets.any()  # periods longer than the sequence


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["eprop-regression", "--model", "lif"], "eprop_iaf_psc_delta_adapt"),
        (["eprop-regression", "--surrogate", "sigmoid"], "fast_sigmoid"),
        (["eprop-regression", "--rule", "e-prop", "--model", "eprop_iaf"], "not of --rule e-prop; the models of e-prop are"),
        (["eprop-regression", "--rule", "e-prop", "--cutoff-steps", "10"], "has no cutoff"),
        (["eprop-regression", "--learning-rate", "-1"], "learning-rate"),
        (["eprop-classification", "--steps", "10"], "--steps"),
        (["eprop-regression", "--pattern", "lemniscate", "--rule", "e-prop-plus"], "is a task of --rule e-prop"),
        (["eprop-regression", "--pattern", "lemniscate", "--steps", "10"], "has steps of its own"),
        (["eprop-regression", "--pattern", "lemniscate", "--points", "x.txt"], "belongs to --pattern handwriting"),
        (["eprop-regression", "--pattern", "handwriting"], "name it by --points"),
        (["eprop-regression", "--pattern", "handwriting", "--points", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_bad_input(arguments: list[str], wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert task(*arguments) == 2
    message = capsys.readouterr().err
    assert wanted in message
    assert "Traceback" not in message


def test_time_constants_are_drawn_as_nest_draws_them() -> None:
    """Printed by NEST 3.10.0: nest.Create(..., 200, {"tau_m": nest.random.normal(mean=30.0, std=2.0)}) with rng_seed 1."""
    drawn = 30 + 2 * normals(1, 200)
    published = [32.02781784560859, 29.4592614845328, 32.474118206628525, 30.909979065203068, 28.450722779443467]
    assert drawn[:5].tolist() == published
    assert sum(drawn.tolist()) == 5995.9392604664945


def test_handwriting_follows_its_points(tmp_path: Path) -> None:
    points = tmp_path / "points.txt"
    points.write_text("1 0\n1 2\n-1 2\n")
    drawn = handwriting(points)
    x, y = np.array([1, 2, 1]) / 2, np.array([0, 2, 4]) / 4
    np.testing.assert_allclose(drawn[::8], np.stack([x - x.mean(), y - y.mean()], axis=1), atol=1e-15)
    np.testing.assert_allclose(drawn[4], (drawn[0] + drawn[8]) / 2, atol=1e-15)
    np.testing.assert_array_equal(drawn[16:], np.broadcast_to(drawn[16], (8, 2)))  # it stays at the last point
    found = run("regression", Request(pattern="handwriting", points=points, iterations=2))
    assert found["parameters"]["steps"] == 24
    assert np.isfinite(found["loss"]).all()
    points.write_text("1 2 3\n4 5 6\n")
    with pytest.raises(ConfigError, match="2 lines of 3 numbers"):
        handwriting(points)


def test_a_loss_that_is_not_finite_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def learn(self, sequences: list[Sequence], following: Sequence | None) -> list[Response]:
            return [Response(np.full((1000, 1), np.nan), np.zeros((1000, 100), dtype=np.bool_))]

    monkeypatch.setattr("fitrec.tasks.eprop.build", lambda *given, **named: Broken())
    with pytest.raises(TrainingError, match=r"iteration 1 is nan.*--learning-rate"):
        run("regression", Request())


def test_the_command_knows_the_kernels() -> None:
    for offered, known in ((names.SURROGATES, Surrogate), (names.FEEDBACKS, Feedback), (names.OPTIMIZERS, Optimizer)):
        assert {name.upper() for name in offered} == {each.name for each in known}
