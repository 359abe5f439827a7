"""Tasks with compiled neurons: they learn, the same for any number of threads and rule, and refuse bad input."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitrec.cli.failures import exit_status
from fitrec.cli.task import command
from fitrec.errors import TrainingError
from fitrec.learn.gradient.readout import make_readout
from fitrec.tasks import ei_decision, nmnist
from fitrec.tasks.nmnist_files import find_samples, read_events
from fitrec.tasks.standardise import standardise, standardise_backward


def task(*arguments: str) -> int:
    return exit_status(lambda: command.main(list(arguments), prog_name="fitrec task", standalone_mode=False))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, each a blob of events with noise: 12 training and 4 test samples."""
    folder, random = tmp_path_factory.mktemp("digits"), np.random.default_rng(3)
    for part, number in (("Train", 6), ("Test", 2)):
        for digit in (3, 8):
            for sample in range(number):
                n = 800
                x, y = (np.clip(random.normal(10 + 2 * (digit == 8) * 5, 4, n), 0, 33).astype(int) for _ in range(2))
                time = np.sort(random.integers(0, 300_000, n))
                rows = np.stack([x, y, random.integers(0, 2, n) << 7 | time >> 16, time >> 8 & 255, time & 255], 1)
                path = folder / part / str(digit) / f"{sample:05d}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows.astype(np.uint8).tofile(path)
    assert len(find_samples(folder).train) == 12
    assert read_events(folder / "Train" / "3" / "00000.bin", nmnist.STEPS)[0].size > 500
    return folder


def decide(**given: Any) -> dict[str, Any]:
    return ei_decision.run(ei_decision.Request(**{"neurons": 30, "batch_size": 4, "iterations": 2, **given}))


def test_the_decision_task_learns_and_keeps_signs(tmp_path: Path) -> None:
    file = tmp_path / "decision.json"
    arguments = ["--neurons", "40", "--batch-size", "8", "--iterations", "3", "--learning-rate", "0.05", "--threads", "2"]
    assert task("ei-decision", *arguments, "--json", str(file)) == 0
    found = json.loads(file.read_text())
    assert len(found["loss"]) == len(found["accuracy"]) == 3
    assert found["sign_changes"] == 0
    assert found["reached"] is None
    assert {"E", "I"} == set(found["rate_hz"][0])
    assert {"running_accuracy", "gradient_norm", "seconds", "versions", "synapses"} <= set(found)


def test_threads_change_no_bit_and_rules_agree() -> None:
    losses = {threads: decide(threads=threads)["loss"] for threads in (1, 2)}
    assert losses[1] == losses[2]
    np.testing.assert_allclose(losses[1], decide(rule="d-rtrl")["loss"], rtol=1e-5)
    approximate = decide(rule="pp-prop")["loss"]
    assert approximate[0] == losses[1][0]
    assert approximate[1] == pytest.approx(losses[1][1], rel=0.05)
    assert approximate[1] != losses[1][1]
    with pytest.raises(TrainingError, match=r"the gradient of synapses is .*; bptt explodes .*: use local-adjoint"):
        decide(rule="bptt")


def test_the_signal_of_the_decision_is_the_derivative_of_its_loss() -> None:
    random = np.random.default_rng(4)
    readout = make_readout(random.normal(size=(6, 2)), kappa=float(np.exp(-0.1)))
    distance = random.normal(size=(ei_decision.STEPS, 6))
    judged = ei_decision.judge(readout, distance, 1)
    assert judged.signals is not None
    assert judged.readout is not None
    for t, j in ((-1, 2), (-100, 0), (-155, 5), (-400, 1)):
        up, down = distance.copy(), distance.copy()
        up[t, j] += 1e-5
        down[t, j] -= 1e-5
        wanted = 150 * (ei_decision.judge(readout, up, 1).loss - ei_decision.judge(readout, down, 1).loss) / 2e-5
        assert judged.signals.states[t, 0, j] == pytest.approx(wanted, rel=1e-5, abs=1e-7)
    readout.w_out[3, 1] += 1e-6
    change = 150 * (ei_decision.judge(readout, distance, 1).loss - judged.loss) / 1e-6
    assert judged.readout[3, 1] == pytest.approx(change, rel=1e-4)


def test_a_readout_alone_leaves_the_synapses() -> None:
    whole, alone = decide(iterations=3), decide(iterations=3, readout_only=True)
    assert whole["loss"][0] == alone["loss"][0]
    assert whole["loss"][1] != alone["loss"][1]
    assert alone["rate_hz"][0] != alone["rate_hz"][1]  # other trials
    trainer = ei_decision.make_trainer(ei_decision.Request(neurons=30, readout_only=True))
    before, w_out = trainer.weights.copy(), trainer.readout.w_out.copy()
    trainer.learn(range(2), lambda number: ei_decision.prepare(trainer, number, 1))
    np.testing.assert_array_equal(trainer.weights, before)
    assert (trainer.readout.w_out != w_out).any()


def test_standardisation() -> None:
    random = np.random.default_rng(5)
    x, weights = random.normal(3, 2, (4, 7)), random.normal(size=(4, 7))
    result, deviation = standardise(x)
    np.testing.assert_allclose(result.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(result.std(axis=1), 1, rtol=1e-5)
    found = standardise_backward(weights, result, deviation)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        wanted = np.sum(weights * (standardise(up)[0] - standardise(down)[0])) / 2e-6
        assert found[place] == pytest.approx(wanted, rel=1e-5, abs=1e-8)


def test_digits_are_learned(digits: Path, tmp_path: Path) -> None:
    file = tmp_path / "digits.json"
    arguments = ["--data", str(digits), "--neurons", "20", "--iterations", "4", "--batch-size", "4", "--learning-rate", "0.01"]
    assert task("nmnist", *arguments, "--json", str(file)) == 0
    found = json.loads(file.read_text())
    assert found["loss"][-1] < found["loss"][0] - 0.5
    assert found["test_accuracy"] >= 0.75
    assert (found["n_train"], found["n_test"]) == (12, 4)


def test_digits_are_learned_along_all_paths(digits: Path) -> None:
    request = nmnist.Request(neurons=20, iterations=2, batch_size=4, learning_rate=0.01)
    all_paths, own = (nmnist.run(digits, replace(request, rule=rule))["loss"] for rule in ("bptt", "local-adjoint"))
    assert all_paths[1] < all_paths[0]
    assert all_paths[0] == pytest.approx(own[0], rel=0.1)
    assert all_paths != own


def test_another_model_learns_digits(digits: Path) -> None:
    request = nmnist.Request(
        model="lif_psc_delta", surrogate="arctan", neurons=20, iterations=2, batch_size=4, learning_rate=0.01, validate=4
    )
    found = nmnist.run(digits, request)
    assert found["rate_hz"][0] > 0.3
    assert found["loss"][1] < found["loss"][0]
    assert (found["n_train"], found["n_test"]) == (8, 4)


def test_bad_input(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, wanted in (
        (["nmnist", "--data", str(tmp_path)], "neither train1K.txt nor a folder Train"),
        (["nmnist", "--data", str(digits), "--validate", "12"], "--validate 12 leaves none of the 12 training samples"),
        (["nmnist", "--model", "lif"], "lif_psc_delta"),
        (["ei-decision", "--rule", "e-prop"], "local-adjoint"),
    ):
        assert task(*arguments) == 2
        message = capsys.readouterr().err
        assert wanted in message
        assert "Traceback" not in message
