from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from fitrec.report.words import subject


@pytest.mark.parametrize(
    ("units", "said"),
    [({"unit_id": [0, 1, 2]}, None), ({"unit_id": [0, 1, 2], "source_unit_id": [7, 7, 9]}, "copies of 2 units")],
)
def test_a_surrogate_is_called_one(units: dict[str, Any], said: str | None) -> None:
    fit: Any = SimpleNamespace(
        is_continuous=False,
        summary={"n_trained": 3, "n_units": 3, "n_neurons": 10, "rule": "ridge"},
        detail={"recording": "mouse", "conditions": ["all"]},
        targets=SimpleNamespace(units=pd.DataFrame(units)),
    )
    text = subject(fit)
    assert ("surrogate" in text) == (said is not None)
    assert said is None or said in text
