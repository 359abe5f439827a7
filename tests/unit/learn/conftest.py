"""Inputs and results that the tests of the train stage share."""

from pathlib import Path

import pytest

from fitrec import store
from tests.tiny_training import RULES, run_training, save_inputs, train_config


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with network.zarr and targets.zarr."""
    return save_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="session")
def uninterrupted(inputs: Path) -> dict[str, str]:
    """Content of the weights per rule; trained without checkpoints into folders of these names."""
    digests = {}
    for rule in RULES:
        run_training(inputs, inputs / rule, train_config(rule))
        digests[rule] = store.content_sha256(inputs / rule / "weights.zarr")
    return digests
