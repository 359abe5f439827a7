"""The example of docs/models.md is what it says: a whole program, and it trains."""

import os
import re
import subprocess
import sys
from pathlib import Path

from fitrec.neurons.load import library_names

ROOT = Path(__file__).parents[3]


def test_the_example_trains(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "models.md").read_text()
    model, program = (re.search(rf"```{language}\n(.*?)```", text, re.DOTALL) for language in ("yaml", "python"))
    assert model is not None
    assert program is not None
    (tmp_path / "my_neuron.yaml").write_text(model[1])
    (tmp_path / "train.py").write_text(program[1])
    env = os.environ | {"PYTHONPATH": str(ROOT), "FITREC_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, last = (float(x) for x in re.findall(r"\d+\.\d+", done.stdout))
    assert last < 0.1 * first


def test_every_model_is_listed() -> None:
    text = (ROOT / "docs" / "models.md").read_text().split("## The library")[1]
    assert all(f"`{name}`" in text for name in library_names())
