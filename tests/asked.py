"""Skips that do not hide: what was asked for by its marker fails where it cannot run."""

from typing import NoReturn

import pytest


def unavailable(request: pytest.FixtureRequest, marker: str, reason: str) -> NoReturn:
    """Skip the test, or fail it where ``-m`` asked for tests of this marker: a green run that ran nothing would mislead."""
    if marker in request.config.option.markexpr:
        pytest.fail(reason)
    pytest.skip(reason)
