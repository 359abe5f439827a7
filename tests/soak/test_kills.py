"""kill -9 at random moments: a training that is resumed as often as needed ends with the bits of one that ran through.

Two kills per rule in the usual run; ``FITREC_SOAK_KILLS=60 pytest -m soak`` does so many for every rule, and FITREC_SOAK_SEED
chooses other moments.
"""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from fitrec import store
from fitrec.networks.weights import Weights
from tests.tiny_training import save_inputs, without_seconds

pytestmark = pytest.mark.soak

KILLS = int(os.environ.get("FITREC_SOAK_KILLS", "2"))
SEED = int(os.environ.get("FITREC_SOAK_SEED", "1"))
RULES = {
    "ridge": ["--rule", "ridge", "--ridge-trials", "3", "--ridge-closed-loop-trials", "6"],
    "rls": ["--rule", "rls", "--rls-loops", "15", "--rls-evaluate-every", "5"],
}


@dataclass(frozen=True)
class Command:
    """``fitrec train`` with a checkpoint after every loop, resuming."""

    inputs: Path
    folder: Path
    options: list[str]

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fitrec", "train", str(self.inputs / "network.zarr"), str(self.inputs / "targets.zarr")]
        command += [*self.options, "--validation-trials", "2", "--checkpoint-every-s", "0", "--threads", "1"]
        command += ["--out", str(self.folder / "fit"), "--overwrite"]
        command += ["--checkpoints", str(self.folder / "checkpoints"), "--resume"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def finish(self) -> float:
        """Run to the end; returns the seconds it took."""
        started = time.monotonic()
        process = self.start()
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return time.monotonic() - started

    def checkpoints(self) -> list[Path]:
        return sorted((self.folder / "checkpoints").glob("loop-*.npz"))

    def result(self) -> tuple[str, pd.DataFrame]:
        fit = self.folder / "fit"
        return store.content_sha256(fit / "weights.zarr"), without_seconds(fit / "curve.csv")


def kill_at_random(command: Command, lasts_s: float, rng: random.Random) -> bool:
    """Kill the command at any moment of its life, or just after its first or second checkpoint; False if it ended before."""
    process = command.start()
    if rng.random() < 0.5:
        time.sleep(rng.uniform(0, lasts_s))
    else:
        before, wanted = set(command.checkpoints()), rng.choice((1, 2))
        while process.poll() is None and len(set(command.checkpoints()) - before) < wanted:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors
    return process.returncode != 0


def damage(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if rng.random() < 0.5:
        del content[rng.randrange(len(content)) :]
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


@pytest.mark.timeout(60 + 60 * KILLS)
@pytest.mark.parametrize("rule", RULES)
def test_the_same_bits_whenever_it_is_killed(tmp_path: Path, rule: str) -> None:
    inputs = save_inputs(tmp_path)
    whole = Command(inputs, tmp_path / "whole", RULES[rule])
    lasts_s = whole.finish()
    if KILLS > 10:
        lasts_s = whole.finish()  # nothing is compiled any more
    weights, curve = whole.result()
    rng = random.Random(f"{SEED} {rule}")
    kills = damaged = rounds = 0
    while kills < KILLS:
        rounds += 1
        command = Command(inputs, tmp_path / f"round{rounds}", RULES[rule])
        for _ in range(rng.randint(1, 6)):
            if not kill_at_random(command, lasts_s, rng):
                break
            kills += 1
            if (command.folder / "fit").exists():  # all or nothing
                store.load(command.folder / "fit" / "weights.zarr", Weights)
            if command.checkpoints() and rng.random() < 0.3:
                damage(command.checkpoints()[-1], rng)
                damaged += 1
            if kills == KILLS:
                break
        command.finish()
        found, found_curve = command.result()
        assert found == weights, f"round {rounds}, after {kills} kills"
        pd.testing.assert_frame_equal(found_curve, curve)
        assert [path.name for path in command.folder.rglob(".*")] == []  # nothing half-written stays
        assert list((command.folder / "checkpoints").iterdir()) == []
    print(f"{rule}: {kills} kills, {damaged} damaged checkpoints, {rounds} trainings, all with the same bits")
