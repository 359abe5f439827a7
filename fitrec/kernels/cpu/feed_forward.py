"""Spikes of the feed-forward Poisson inputs as events, the same that `lif.advance` draws on its way."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.lif_step import feed_forward_words


@njit(nogil=True, cache=True)
def feed_forward_events(probability, steps_per_ms, first_step, n_steps, first_source, trial, condition, seed):
    """Draw the inputs of a trial.

    Parameters
    ----------
    probability : (ms, ff) float32
        Of a spike per step, from `first_step` on.
    first_step, n_steps : int
        Step of the trial in which the inputs begin; length of the trial. A spike drawn in step t arrives in step t + 1.
    first_source : int
        Number of the first input among the sources.

    Returns
    -------
    indptr : (n_steps + 1,) int64
    source : (spike,) int32

    """
    n_ff = probability.shape[1]
    indptr = np.zeros(n_steps + 1, np.int64)
    mean = np.float64(probability.sum()) * steps_per_ms if n_ff > 0 else 0.0
    source = np.empty(int(mean + 12 * np.sqrt(mean + 1) + 64), np.int32)
    words = np.empty((n_ff, 4), np.uint32)
    count = 0
    for t in range(n_steps):
        drawn = t - 1 - first_step
        if n_ff > 0 and drawn >= 0:
            word = drawn % 4
            if word == 0:
                feed_forward_words(words, drawn // 4, trial, condition, seed)
            row = probability[drawn // steps_per_ms]
            for j in range(n_ff):
                # 24 bits are exact in float32, so the comparison does not round.
                if np.float32(words[j, word] >> np.uint32(8)) * np.float32(2.0**-24) < row[j]:
                    source[count] = first_source + j
                    count += 1
        indptr[t + 1] = count
    return indptr, source[:count].copy()
