"""The group: fast, lazy, helpful."""

import json
import subprocess
import sys

import pytest

from fitrec.cli.group import COMMANDS

HEAVY = {"numpy", "scipy", "pandas", "numba", "zarr", "pynwb", "h5py", "matplotlib", "snakemake", "pydantic", "yaml", "rich"}


def fitrec(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fitrec", *arguments], capture_output=True, text=True, check=False)


def modules_after(code: str) -> set[str]:
    program = f"import json, sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return set(json.loads(output.splitlines()[-1]))


def test_help_imports_nothing_heavy() -> None:
    loaded = modules_after("sys.argv = ['fitrec', '--help']; from fitrec.cli import main; main()")
    assert not HEAVY & loaded
    assert not {name for name in loaded if name.startswith("fitrec.") and not name.startswith(("fitrec.cli", "fitrec.errors"))}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_no_numerics(command: str) -> None:
    loaded = modules_after(f"sys.argv = ['fitrec', '{command}', '--help']; from fitrec.cli import main; main()")
    assert not (HEAVY - {"pydantic", "yaml"}) & loaded


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str) -> None:
    result = fitrec(command, "--help")
    assert result.returncode == 0
    assert f"EXAMPLES\n    fitrec {command}" in result.stdout


def test_defaults_are_shown() -> None:
    text = " ".join(fitrec("targets", "--help").stdout.split())
    assert "[default: start_time]" in text
    assert "[default: 0.5]" in text
    assert "[default: 0.0]" in text


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["tragets"], "Did you mean 'targets'?"),
        (["nonsense"], "The commands are init, check"),
        (["targets", "r.zarr", "--out", "t", "--windw-s", "0", "1"], "--window-s"),
        (["targets"], "Missing"),
        (["train", "n", "t", "--out", "f", "--rule", "best"], "ridge"),
    ],
)
def test_usage_errors(arguments: list[str], wanted: str) -> None:
    result = fitrec(*arguments)
    assert result.returncode == 2
    assert wanted in result.stderr
    assert "Traceback" not in result.stderr


def test_version() -> None:
    assert fitrec("--version").stdout.startswith("fitrec, version ")


def test_linear_algebra_is_held_to_one_thread() -> None:
    code = "import fitrec.cli, os; print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1 1\n"
