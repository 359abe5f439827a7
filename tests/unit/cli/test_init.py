"""`fitrec init` and the template it writes."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from fitrec.cli.init import command
from fitrec.config.load import load
from fitrec.errors import StoreError


def test_the_template_is_a_valid_configuration(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(tmp_path / "new")], standalone_mode=False)
    assert result.exception is None
    config = load(tmp_path / "new" / "fit.yaml")
    assert config.run == "my_fit"
    assert config.recordings[0].path == str(tmp_path / "new" / "mouse1.nwb")


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "fit.yaml").write_text("mine")
    result = CliRunner().invoke(command, [str(tmp_path)], standalone_mode=False)
    assert isinstance(result.exception, StoreError)
    assert "exists already" in str(result.exception)
    assert (tmp_path / "fit.yaml").read_text() == "mine"


@pytest.mark.parametrize("target", ["file", "file/below"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(command, [str(tmp_path / target)], standalone_mode=False)
    assert isinstance(result.exception, StoreError)
