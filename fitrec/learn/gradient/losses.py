"""Losses: what an observation of the network should be, and the derivative by it, the learning signal.

A loss is called with the observation, its target, and which of the target's elements were observed (all by default). It returns
its value, the mean over what was observed, and the derivative by the observation, of its shape and precision; sums are formed in
float64. Elements that were not observed contribute nothing, whatever their target holds.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TargetsError
from fitrec.kernels.cpu import losses as kernel
from fitrec.kernels.eprop import Array
from fitrec.kernels.reference.softmax import log_softmax
from fitrec.learn.regions import Regions

Mask = NDArray[np.bool_]


class Loss(Protocol):
    """What makes a learning signal of an observation."""

    def __call__(self, observed: Array, target: NDArray[Any], mask: Mask | None = None) -> tuple[float, Array]:
        """Compare an observation with its target.

        Parameters
        ----------
        observed : (time, unit)
            Time in steps or bins, units being neurons, regions or outputs.
        target : (time, unit)
        mask : bool, (unit,) or (time, 1) or (time, unit), optional
            Which elements were observed.

        Returns
        -------
        float, (time, unit)
            The loss and its derivative by `observed`.

        Raises
        ------
        TargetsError
            If nothing was observed, or a target that was is not finite.

        """
        ...


@dataclass(frozen=True, kw_only=True)
class MeanSquared:
    """Mean of the squared differences; for filtered rates, and for classes as one-hot targets."""

    def __call__(self, observed: Array, target: NDArray[Any], mask: Mask | None = None) -> tuple[float, Array]:
        """Mean of (observed - target)^2."""
        _require_shape(observed, target)
        seen = np.zeros(0, np.bool_) if mask is None else np.broadcast_to(mask, observed.shape).ravel()
        number = observed.size if mask is None else np.count_nonzero(seen)
        slope, scale = np.empty(observed.shape, observed.dtype), observed.dtype.type(2 / max(number, 1))
        flat = np.ravel(observed), np.ravel(target).astype(observed.dtype, copy=False)
        total = float(kernel.squared(*flat, seen, scale, slope.reshape(-1)))
        if not number or not np.isfinite(total):
            _seen(observed, target, mask)  # says what is wrong if it is the target
        return total / number, slope


@dataclass(frozen=True, kw_only=True)
class PoissonCounts:
    """Negative log likelihood (nat per bin) of spike counts, which are Poisson given the observed rates.

    Attributes
    ----------
    bin_s : float
        Duration of a bin.
    floor_hz : float
        Added to the rates: a count in a bin of rate 0 would be impossible, and a clipped rate would have no derivative.

    """

    bin_s: float
    floor_hz: float = 0.1

    def __call__(self, observed: Array, target: NDArray[Any], mask: Mask | None = None) -> tuple[float, Array]:
        """Mean of m - k log m, m = (rate + floor) bin; `observed` in Hz, `target` counts k. log k!, a constant, is left out."""
        seen, number = _seen(observed, target, mask)
        expected = np.where(seen, (observed + self.floor_hz) * self.bin_s, 1).astype(observed.dtype)
        if not expected.min() > 0:
            raise TargetsError(f"an observed rate is {observed[seen].min():g} Hz; rates of counts cannot be negative")
        counts = np.where(seen, target, 1).astype(observed.dtype)  # elements that were not observed: k = m = 1
        terms = expected - counts * np.log(expected)
        total = float(terms.sum(dtype=np.float64)) - (seen.size - number)
        slope = np.empty(observed.shape, observed.dtype)
        kernel.poisson(expected.ravel(), counts.ravel(), observed.dtype.type(self.bin_s / number), slope.reshape(-1))
        return total / number, slope


@dataclass(frozen=True, eq=False)
class RegionMean:
    """Another loss, of mean activities of regions; of each region over those of its neurons whose targets were observed then.

    Attributes
    ----------
    regions : Regions
    loss : Loss

    """

    regions: Regions
    loss: Loss

    def __call__(self, observed: Array, target: NDArray[Any], mask: Mask | None = None) -> tuple[float, Array]:
        """Loss of the regions, derivative by the neurons."""
        seen, _ = _seen(observed, target, mask)
        found, numbers = self.regions.means(observed, seen)
        wanted, _ = self.regions.means(target, seen)
        value, signal = self.loss(found, wanted, numbers > 0)
        by_neuron = self.regions.to_neurons(signal / np.maximum(numbers, 1))
        return value, np.where(seen, by_neuron, 0).astype(observed.dtype)


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """Cross-entropy (nat) of the softmax of outputs; targets are probabilities of the classes, as one-hot rows."""

    def __call__(self, observed: Array, target: NDArray[Any], mask: Mask | None = None) -> tuple[float, Array]:
        """Mean over time of -sum target log softmax(observed); only whole rows can be masked."""
        mask = np.ones((observed.shape[0], 1), np.bool_) if mask is None else mask
        if mask.shape != (observed.shape[0], 1):
            raise TargetsError(f"cross-entropy has a mask of times, ({observed.shape[0]}, 1), but this one is {mask.shape}")
        seen, _ = _seen(observed, target, mask)
        number, chosen = int(mask.sum()), np.where(seen, target, 0)
        logarithm = log_softmax(observed)
        value = -float(np.sum(chosen * logarithm, dtype=np.float64)) / number
        signal = np.where(seen, np.exp(logarithm) * chosen.sum(axis=1, keepdims=True) - chosen, 0) / number
        return value, signal.astype(observed.dtype)


@dataclass(frozen=True, kw_only=True)
class FiringRate:
    """Pull every neuron's mean firing rate towards a target: strength / 2 times the mean over neurons of (rate - target)^2.

    Attributes
    ----------
    strength : float
        Per Hz^2.
    target_hz : float or (neuron,)

    """

    strength: float
    target_hz: float | NDArray[np.floating[Any]]

    def __call__(self, counts: NDArray[np.integer], duration_s: float) -> tuple[float, NDArray[np.float64]]:
        """Loss, and derivative by a spike.

        Parameters
        ----------
        counts : (neuron,)
            Spikes of each neuron in everything that one update is computed from, all trials together.
        duration_s : float
            Its duration, all trials together.

        Returns
        -------
        float, (neuron,)
            The loss, and its derivative by the spikes z of each neuron, the same in every step and trial.

        """
        difference = counts / duration_s - self.target_hz
        value = 0.5 * self.strength * float(np.mean(difference**2))
        return value, self.strength * difference / (counts.size * duration_s)


def one_hot(classes: NDArray[np.integer] | int, n_classes: int, n_steps: int) -> NDArray[np.float64]:
    """Return the target (time, class) that is 1 for the class, or the class of each step, and 0 otherwise."""
    return np.asarray(np.eye(n_classes)[np.broadcast_to(classes, n_steps)])


def _require_shape(observed: Array, target: NDArray[Any]) -> None:
    if observed.shape != target.shape:
        raise TargetsError(f"the target has shape {target.shape}, the observation {observed.shape}; they have to agree")


def _seen(observed: Array, target: NDArray[Any], mask: Mask | None) -> tuple[Mask, int]:
    """Which elements count, (time, unit), and how many."""
    _require_shape(observed, target)
    seen = np.broadcast_to(np.True_ if mask is None else mask, observed.shape)
    number = int(np.count_nonzero(seen))
    if number == 0:
        raise TargetsError("no element of the target is observed, so nothing can be learned from it; check the mask")
    broken = seen & ~np.isfinite(target)
    if broken.any():
        time, unit = (int(k) for k in np.argwhere(broken)[0])
        raise TargetsError(
            f"the target at time {time} of unit {unit} is {target[time, unit]}, but marked as observed; leave it out by the mask"
        )
    return seen, number
