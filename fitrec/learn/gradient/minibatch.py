"""Which conditions an update learns from."""

import numpy as np
from numpy.typing import NDArray

_STREAM = 2**35  # apart from all other uses of a seed


def drawn_conditions(conditions: NDArray[np.int64], per_loop: int | None, seed: int, loop: int) -> NDArray[np.int64]:
    """Conditions of a loop, ascending: all, or so many of them in turn, in an order that is shuffled anew for each round.

    It depends on seed and loop alone, so that a fit can go on from any loop.

    Parameters
    ----------
    conditions : (condition,)
        That can be learned from.
    per_loop : int or None
        How many; all by default.
    loop : int
        From 0.

    """
    n = len(conditions)
    if per_loop is None or per_loop >= n:
        return conditions
    places = np.arange(loop * per_loop, (loop + 1) * per_loop)
    rounds = {int(k): np.random.default_rng([seed, _STREAM, int(k)]).permutation(n) for k in np.unique(places // n)}
    # At the border of two rounds a condition could come twice; once is enough.
    return np.unique(conditions[[rounds[int(place // n)][place % n] for place in places]])
