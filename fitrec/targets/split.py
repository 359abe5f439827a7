"""Frozen splits of trials, time and units."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TargetsError


def split_trials(
    trial_condition: NDArray[np.int32], condition_names: list[str], test_fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Choose the test trials, the same fraction of every condition.

    Parameters
    ----------
    trial_condition : (trial,)
        Index into `condition_names`.
    condition_names : list of str
        The conditions.
    test_fraction : float
        Fraction to hold out; with a fraction above 0 each condition gets at least one test and one training trial.
    seed : int
        The choice within a condition depends on the seed, the condition's index and its number of trials only.

    Returns
    -------
    (trial,) bool
        True for test trials.

    Raises
    ------
    TargetsError
        If a condition has too few trials to split.

    """
    is_test = np.zeros(len(trial_condition), np.bool_)
    if test_fraction == 0:
        return is_test
    for index, name in enumerate(condition_names):
        trials = np.flatnonzero(trial_condition == index)
        if len(trials) < 2:
            raise TargetsError(
                f"condition {name} has {len(trials)} trial, so it cannot be split into training and test trials; pool it with "
                "another condition, leave it out, or set split.test_fraction: 0"
            )
        n_test = min(max(round(test_fraction * len(trials)), 1), len(trials) - 1)
        is_test[np.random.default_rng([seed, index]).permutation(trials)[:n_test]] = True
    return is_test


def split_segments(n_segments: int, test_fraction: float, n_blocks: int, seed: int) -> NDArray[np.bool_]:
    """Choose the segments (segment,) of held-out time: one stretch in each of `n_blocks` equal parts of the recording.

    Stretches keep training and test time apart but for few borders. With fewer segments there are fewer parts, so that each
    holds a test and a training segment.

    Raises
    ------
    TargetsError
        If there are too few segments to split.

    """
    is_test = np.zeros(n_segments, np.bool_)
    if test_fraction == 0:
        return is_test
    if n_segments < 2:
        raise TargetsError(
            f"the recording is long enough for {n_segments} segment only, so no time is left to test on; shorten "
            "targets.continuous.segment_s, or set split.test_fraction: 0"
        )
    # A part is long enough for a whole test segment, and for a training segment beside it.
    shortest = max(2, round(1 / min(test_fraction, 1 - test_fraction)))
    parts = max(1, min(n_blocks, n_segments // shortest))
    borders = np.arange(parts + 1) * n_segments // parts
    rng = np.random.default_rng([seed, 2**33])
    for first, last in pairwise(borders.tolist()):
        length = min(max(round(test_fraction * (last - first)), 1), last - first - 1)
        start = first + rng.integers(last - first - length + 1)
        is_test[start : start + length] = True
    return is_test


def hold_out_units(n_units: int, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Choose the units (unit,) that get no target in training; TargetsError if none would be left."""
    n_out = round(fraction * n_units)
    if n_out == n_units:
        raise TargetsError(f"split.held_out_units: {fraction:g} leaves none of {n_units} units to train on; lower it")
    held_out = np.zeros(n_units, np.bool_)
    # A stream of its own, so that the choice of units does not depend on that of trials.
    held_out[np.random.default_rng([seed, 2**32]).permutation(n_units)[:n_out]] = True
    return held_out
