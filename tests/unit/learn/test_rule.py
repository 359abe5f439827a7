import numpy as np
import pytest

from fitrec.learn.rule import not_finite
from fitrec.networks.weights import Weights


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["plastic", "feed_forward"])
def test_weights_that_are_not_finite_are_counted(value: float, part: str) -> None:
    weights = Weights(plastic=np.ones((4, 3), np.float32), feed_forward=np.ones((2, 4, 5), np.float32))
    assert not_finite(weights) is None
    if part == "plastic":
        weights.plastic[2, 1] = weights.plastic[3, 0] = value
    else:
        weights.feed_forward[1, 2, 4] = weights.feed_forward[0, 3, 0] = value
    assert not_finite(weights) == (2, 2)
