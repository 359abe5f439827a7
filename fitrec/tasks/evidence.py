"""Trials of evidence accumulation as the E/I network has it (pp_prop.md 3): tell which of two cues came more often."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.bernoulli import bernoulli
from fitrec.kernels.reference.philox import philox

CUES, GAP_MS, CUE_MS, DELAY_MS, RECALL_MS = 7, 50, 100, 1000, 150
STEPS = CUES * (GAP_MS + CUE_MS) + DELAY_MS + RECALL_MS  # of 1 ms
GROUP = 25  # inputs: left cue, right cue, recall, noise
INPUTS = 4 * GROUP
SIGNAL_HZ, NOISE_HZ = 40.0, 10.0
LEFT_PROBABILITY = (0.3, 0.7)  # of a cue, by the trial's side
TASK_TRIAL = 21  # stream of the generator


class Evidence(NamedTuple):
    """One trial."""

    spikes: NDArray[np.bool_]  # (step, input)
    cues: NDArray[np.bool_]  # (cue,) whether it is a left one
    label: int  # 1 if most cues are left ones


def evidence(trial: int, seed: int) -> Evidence:
    """Draw a trial, which depends on its number and the seed alone.

    Each of seven cues follows a gap; then nothing but noise during the delay; then the recall group fires.
    """
    words = philox(np.arange(CUES + 1), trial, 0, 0, seed, TASK_TRIAL)[0]
    side = int(words[CUES] >> 31)
    cues = words[:CUES] * 2.0**-32 < LEFT_PROBABILITY[side]
    probability = np.zeros((STEPS, INPUTS))
    for k, left in enumerate(cues):
        start = k * (GAP_MS + CUE_MS) + GAP_MS
        group = 0 if left else 1
        probability[start : start + CUE_MS, group * GROUP : (group + 1) * GROUP] = SIGNAL_HZ / 1000
    probability[-RECALL_MS:, 2 * GROUP : 3 * GROUP] = SIGNAL_HZ / 1000
    probability[:, 3 * GROUP :] = NOISE_HZ / 1000
    return Evidence(bernoulli(probability, trial, seed), cues, int(cues.sum() > CUES / 2))
