"""Less noisy targets: of the training PSTHs, what recurs from one half of the training trials to the other.

A PSTH of few trials is partly noise, and a network that follows it exactly fits the noise. The population's PSTHs share a few
time courses (principal components, modes), trial noise does not; and some units stand out from their noise more than others. So
each mode of each unit is weighed by the mode's reliability and by the unit's own energy, and of what the modes leave over a unit
keeps what recurs in it. The exponents and shares below were chosen by predicting some training trials from the others, in five
sessions (docs/benchmarks/fits.md).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.targets.modes import principal_modes, recurrence_both_ways, reliability, unit_scale
from fitrec.targets.psth import psth

HALVINGS = 10
# Wiener's gain, with exponent 1, makes the squared error least, but flattens what is left: the correlation is best in between.
GAIN_EXPONENT = 0.75
# A unit's energy and own reliability are noisy themselves: how much of the population's mean is mixed in.
ENERGY_EXPONENT, ENERGY_SHARE, OWN_SHARE = 0.5, 0.25, 0.5
LEAST_NOISE = 1e-3  # of the noisiest unit's

Array = NDArray[np.float64]
Smoother = Callable[[Array], Array]


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Training trials.

    Attributes
    ----------
    counts : (trial, time, unit)
    condition : (trial,) int32
    n_conditions : int
    bin_size_s : float
    smoother : callable
        Smooths (condition, time, unit) along time as the targets are smoothed.
    observed : (trial, unit) bool or None
        Units recorded in each trial; all when None.

    """

    counts: NDArray[np.integer[Any]]
    condition: NDArray[np.int32]
    n_conditions: int
    bin_size_s: float
    smoother: Smoother
    observed: NDArray[np.bool_] | None = None

    def halvings(self, seed: int) -> Iterator[tuple[NDArray[np.bool_], Array, Array]]:
        """Halve each condition's trials at random: units seen in both halves, and their PSTHs (sample, unit) in each half."""
        rng = np.random.default_rng(seed)
        by_condition = [np.flatnonzero(self.condition == condition) for condition in range(self.n_conditions)]
        halved = [c for c, trials in enumerate(by_condition) if len(trials) >= 2]
        for _ in range(HALVINGS if halved else 0):
            first = np.zeros(len(self.counts), np.bool_)
            for condition in halved:
                trials = rng.permutation(by_condition[condition])
                first[trials[: len(trials) // 2]] = True
            rates = [
                psth(self.counts, self.condition, self.n_conditions, self.bin_size_s, use=use, observed=self.observed)[halved]
                for use in (first, ~first)
            ]
            seen = np.isfinite(rates[0].sum(axis=(0, 1)) + rates[1].sum(axis=(0, 1)))
            a, b = (self.smoother(rate[:, :, seen]).reshape(-1, int(seen.sum())) for rate in rates)
            yield seen, a, b


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How far PSTHs can be relied on.

    Attributes
    ----------
    noise_hz : (unit,)
        Standard error of the PSTH: what each unit is scaled by before the modes are sought.
    mode : (mode,)
        Share of each mode that recurs, from 1 to 0, falling; empty if no condition has two trials.
    energy : (unit,)
        What recurs in a unit, in multiples of its noise, relative to the population.
    own : (unit,)
        Share that recurs of what the modes leave over.

    """

    noise_hz: Array
    mode: Array
    energy: Array
    own: Array

    def of(self, units: NDArray[np.bool_]) -> "Reliability":
        """Of some units only."""
        return replace(self, noise_hz=self.noise_hz[units], energy=self.energy[units], own=self.own[units])


def reliable_part(rate_hz: Array, known: Reliability) -> Array:
    """Keep each unit's mean, and of the deviations what can be relied on.

    Parameters
    ----------
    rate_hz : (condition, time, unit)
    known : Reliability

    Returns
    -------
    (condition, time, unit) float64
        Not negative.

    """
    flat = rate_hz.reshape(-1, rate_hz.shape[2])
    modes = _of_modes(flat, known)
    return np.asarray(np.maximum(modes + known.own * (flat - modes), 0.0).reshape(rate_hz.shape))


def measure_reliability(trials: Trials, seed: int) -> Reliability:
    """Measure how far the PSTHs of these trials can be relied on, by halving them; `seed` draws the halves.

    The Spearman-Brown formula doubles the number of trials from that of a half to that of all.
    """
    n_units = trials.counts.shape[2]
    known = Reliability(noise_hz=_noise(trials, seed), mode=np.zeros(0), energy=np.ones(n_units), own=np.zeros(n_units))
    found, common = [], np.zeros(n_units)
    for seen, a, b in trials.halvings(seed):
        one, other = ((half - half.mean(axis=0)) / known.noise_hz[seen] for half in (a, b))
        common[seen] += (one * other).sum(axis=0)
        found.append(recurrence_both_ways(one, other))
    if not found:
        return known
    energy = np.maximum(common, 0.0)
    relative = energy / energy.mean() if energy.any() else np.ones(n_units)
    known = replace(
        known,
        mode=reliability(*np.sum(found, axis=0)),
        energy=(ENERGY_SHARE + (1 - ENERGY_SHARE) * relative) ** ENERGY_EXPONENT,
    )
    return replace(known, own=_own(trials, known, seed))


def _noise(trials: Trials, seed: int) -> Array:
    """Measure the standard error of each unit's PSTH; units not seen in both halves get that of others of their rate."""
    n_units = trials.counts.shape[2]
    squares, times, rate = np.zeros(n_units), np.zeros(n_units), np.zeros(n_units)
    for seen, a, b in trials.halvings(seed):
        squares[seen] += ((a - b) ** 2).mean(axis=0) / 4
        rate[seen] += (a.mean(axis=0) + b.mean(axis=0)) / 2
        times[seen] += 1
    measured = times > 0
    if not squares.any():
        return np.ones(n_units)
    noise = np.sqrt(squares / np.maximum(times, 1))
    rest = noise[measured] / unit_scale((rate[measured] / times[measured])[None])
    everywhere = trials.counts.mean(axis=(0, 1)) / trials.bin_size_s
    noise[~measured] = np.median(rest) * unit_scale(everywhere[None])[~measured]
    return np.asarray(noise + LEAST_NOISE * noise.max())


def _own(trials: Trials, known: Reliability, seed: int) -> Array:
    """Share of what the modes leave over of one half that stands in the other, for the average of both."""
    shared, left = np.zeros(len(known.own)), np.zeros(len(known.own))
    for seen, a, b in trials.halvings(seed):
        part = known.of(seen)
        for one, other in ((a, b), (b, a)):
            modes = _of_modes(one, part)
            residual, wanted = (half - modes - (half - modes).mean(axis=0) for half in (one, other))
            shared[seen] += (residual * wanted).sum(axis=0)
            left[seen] += (residual**2).sum(axis=0)
    if not left.any():
        return np.zeros(len(known.own))
    population = max(float(shared.sum() / left.sum()), 0.0)
    each = np.where(left > 0, shared / np.where(left > 0, left, 1.0), population)
    half = np.clip((1 - OWN_SHARE) * each + OWN_SHARE * population, 0.0, 1.0)
    return np.asarray(2 * half / (1 + half))


def _of_modes(flat: Array, known: Reliability) -> Array:
    """Modes of (sample, unit), each weighed unit by unit, and the units' means."""
    mean = flat.mean(axis=0)
    deviations = (flat - mean) / known.noise_hz
    left = principal_modes(deviations)[:, : len(known.mode)]
    odds = (known.mode / np.maximum(1 - known.mode, 1e-9))[: left.shape[1], None] * known.energy
    share = odds / (1 + odds)
    loadings = left.T @ deviations
    weighed = share**GAIN_EXPONENT * loadings
    # Weighing takes most of the unreliable units' energy; a network follows them better with what they are expected to have.
    expected, present = (share * loadings**2).sum(axis=0), (weighed**2).sum(axis=0)
    weighed *= np.sqrt(expected / np.where(present > 0, present, 1.0))
    return np.asarray(np.maximum((left @ weighed) * known.noise_hz + mean, 0.0))
