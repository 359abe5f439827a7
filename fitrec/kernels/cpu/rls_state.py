"""State of the RLS learners, in host arrays that every backend and every checkpoint shares.

The last axis is padded with zeros to whole vectors (`padded`), and begins at a cache line.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.aligned import aligned_zeros
from fitrec.kernels.cpu.quads import QUAD
from fitrec.kernels.cpu.simd import WIDTH

CODE_ONE = 32000.0  # int16 storage: the code of a correlation of 1, with room for rounding


class RlsState(NamedTuple):
    """State of all learners. A pool is a group of neurons with the same plastic inputs; without pools each neuron is one.

    `q`, `h` and the held-back updates start at zero in each trial; P and the weights persist.
    """

    p: NDArray[Any]  # full: (pool, input, padded); packed: (pool, packed_size); int16: (pool, input, padded), codes
    scale: NDArray[Any]  # (pool, padded), roots of the diagonal of P; (pool, 0) unless P is stored as int16
    weights: NDArray[Any]  # (neuron, padded), feed-forward inputs first
    q: NDArray[Any]  # (pool, padded), P r with the stored P
    g: NDArray[Any]  # (pool, padded / 16, rank, 16), held-back updates
    h: NDArray[Any]  # (pool, rank), g r


class Signals(NamedTuple):
    """What the inputs of all learners are at one update.

    `trace` and `ff_trace` are the presynaptic traces; `delta` and `ff_delta` what was added to them since the last update.
    """

    trace: NDArray[Any]  # (all neurons,)
    delta: NDArray[Any]  # (all neurons,)
    ff_trace: NDArray[Any]  # (ff,)
    ff_delta: NDArray[Any]  # (ff,)


class RuleOptions(NamedTuple):
    """What changes the rule itself.

    Inputs are feed-forward first, then E from `first_exc`, then I from `first_inh`; with `dale` the weights of E inputs are kept
    at or above zero and those of I inputs at or below, by projection after each update.
    """

    pool_size: int
    dale: bool
    first_exc: int
    first_inh: int


def padded(n_inputs: int) -> int:
    """Length of a padded row."""
    return -(-n_inputs // WIDTH) * WIDTH


def packed_size(n_inputs: int) -> int:
    """Elements of one packed P.

    It is kept in strips of four columns, one after another, each row after row from the block of 16 rows that holds the diagonal
    on: a cache line holds four rows of four columns, so that neither a row nor a column needs more than L / 4 of them.
    """
    blocks = padded(n_inputs) // WIDTH
    return blocks * (blocks + 1) // 2 * WIDTH**2


def p_bytes(n_inputs: int, storage: str) -> int:
    """Memory of one P in bytes."""
    if storage == "packed":
        return 4 * packed_size(n_inputs)
    return {"full": 4, "int16": 2}[storage] * n_inputs * padded(n_inputs)


def new_state(
    p0: NDArray[np.float64],
    weights: NDArray[Any],
    rank: int,
    *,
    storage: str = "full",
    pool_size: int = 1,
    dtype: Any = np.float32,
) -> RlsState:
    """State with the same P(0) for every pool, holding back up to `rank` updates.

    Parameters
    ----------
    p0 : (input, input)
    weights : (neuron, input)
    storage : {"full", "packed", "int16"}
    pool_size : int
        Neurons per pool, consecutive; the last pool may be smaller.

    """
    n, n_inputs = weights.shape
    pools, width = -(-n // pool_size), padded(n_inputs)
    whole = np.zeros((n_inputs, width))
    whole[:, :n_inputs] = p0
    scale = aligned_zeros((pools, width if storage == "int16" else 0), dtype)
    if storage == "packed":
        p = aligned_zeros((pools, packed_size(n_inputs)), dtype)
        square = np.zeros((width, width))
        square[:n_inputs] = whole
        p[:] = np.concatenate([square[c // WIDTH * WIDTH :, c : c + QUAD].ravel() for c in range(0, width, QUAD)])
    elif storage == "int16":
        root = np.sqrt(np.diag(p0))
        scale[:, :n_inputs] = root
        p = aligned_zeros((pools, n_inputs, width), np.int16)
        p[:, :, :n_inputs] = np.rint(p0 / np.outer(root, root) * CODE_ONE)
    else:
        p = aligned_zeros((pools, n_inputs, width), dtype)
        p[:] = whole
    state = RlsState(
        p=p,
        scale=scale,
        weights=aligned_zeros((n, width), dtype),
        q=aligned_zeros((pools, width), dtype),
        g=aligned_zeros((pools, width // WIDTH, rank, WIDTH), dtype),
        h=aligned_zeros((pools, rank), dtype),
    )
    state.weights[:, :n_inputs] = weights
    return state
