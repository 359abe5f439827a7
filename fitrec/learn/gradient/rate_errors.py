"""What a gradient fit compares with its targets, rates of the loops so far, and the learning signals that come of it."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import rate_errors as kernel
from fitrec.kernels.cuda.device import Device
from fitrec.learn.gradient.losses import PoissonCounts
from fitrec.learn.psth_fit import TILE, condition_correlation, fit_correlation
from fitrec.learn.rule import Arrays, Problem
from fitrec.neurons.observation import Filter
from fitrec.threads import thread_map

if TYPE_CHECKING:
    from fitrec.learn.gradient.fit import FitOptions

Banded = tuple[NDArray[np.float64], NDArray[np.int32]]


class RateErrors:
    """Mean rates on the CPU.

    They are those of the loops before, the newer the more they count; where loops take turns with the conditions, what was found
    the last time is out of date, and nothing is remembered. `mean` is always (bin, neuron) float32, spikes per trial.

    """

    def __init__(self, problem: Problem, options: "FitOptions") -> None:
        self._problem, self._options = problem, options
        matrix, self._target_hz = observation(problem, options.seen_through)
        self._smoothing, self._transposed = banded(matrix), banded(np.ascontiguousarray(matrix.T))
        n_conditions, n_bins, _ = problem.rate_hz.shape
        per_loop = options.conditions_per_loop
        self.takes_turns = per_loop is not None and per_loop < len(problem.fitted)
        # Spikes per trial in the loops so far, and the weights of the loops in it.
        shape = (0 if self.takes_turns else n_conditions, n_bins, problem.simulator.network.n_neurons)
        self._mean, self._summed = self._nothing(shape), 0.0

    def per_trial(self, counts: Any) -> Any:
        """Mean of the counts, (bin, neuron) int64 where the trials were run, summed over the trials of a condition."""
        return (counts / self._options.trials).astype(np.float32)

    def populations_hz(self, counts: Any) -> tuple[float, float]:
        """Mean rates of the E and of the I neurons."""
        return populations_hz(
            counts, self._problem.simulator.network.n_exc, len(counts) * self._problem.bin_s * self._options.trials
        )

    def expected(self, condition: int) -> Any | None:
        """Mean of a condition in the loops before; None if there were none."""
        return self._divided(self._mean[condition], self._summed) if self._summed else None

    def remember(self, conditions: Sequence[int], means: Sequence[Any], errors_of: Sequence[Any]) -> list[Any]:
        """Take what a loop found in its conditions; returns the means that are worth being compared with the targets.

        Parameters
        ----------
        means : of mean
            Of the loop's trials.
        errors_of : of mean
            What the loop's errors came from: other trials, where conditions take turns.

        """
        if self.takes_turns:
            return [self._blend(one, 0.5, other, 0.5) for one, other in zip(means, errors_of, strict=True)]
        averaging = self._options.averaging
        found = dict(zip(conditions, means, strict=True))
        nothing = self._nothing(self._mean.shape[1:])
        for condition in range(len(self._mean)):
            new = found.get(condition, nothing)
            self._mean[condition] = self._blend(self._mean[condition], averaging, new, 1 - averaging)
        self._summed = averaging * self._summed + 1 - averaging
        return [self._divided(self._mean[condition], self._summed) for condition in conditions]

    def signal(self, mean: Any, condition: int) -> Any:
        """Return the derivative of the loss by a spike in a bin of one of the trials, for `Work.gradient`."""
        problem, o, network = self._problem, self._options, self._problem.simulator.network
        smooth_hz, target_hz = self._smooth_hz(mean), self._target_hz[condition]
        if problem.regions is not None:
            by_rate = o.loss(smooth_hz, target_hz)[1]
        else:
            by_rate = np.empty(smooth_hz.shape)
            told = (o.is_poisson, smooth_hz, target_hz, self._scale(condition), problem.bin_s, PoissonCounts.floor_hz, by_rate)
            self._over_tiles(partial(kernel.slopes, *told))
        pull = self._pull(mean)
        out = np.repeat(((0.0 + pull) / o.trials).astype(np.float32)[None], len(mean), axis=0)
        given = (by_rate, network.trained, *self._transposed, problem.bin_s, pull, float(o.trials), out)
        self._over_tiles(partial(kernel.signals, *given))
        return out

    def correlation(self, conditions: NDArray[np.int64], means: Sequence[Any]) -> float:
        """Return `fit_correlation` of the means of some conditions."""
        return fit_correlation(self._problem, np.stack([self._smooth_hz(m) for m in means]), conditions, self._target_hz)

    def condition_correlation(self, condition: int, counts: Any) -> float:
        """Return `condition_correlation` of the counts of a condition's trials."""
        trained = self._to_host(counts)[:, self._problem.simulator.network.trained]
        return condition_correlation(self._problem, condition, trained / self._options.trials / self._problem.bin_s)

    def state(self) -> Arrays:
        """Return the mean rates."""
        return {"mean": self._to_host(self._mean), "summed": np.array([self._summed])}

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self._mean, self._summed = self._put(state["mean"]), float(state["summed"][0])

    def _scale(self, condition: int) -> float:
        """Return what the derivatives of the loss are multiplied by."""
        number = int(np.count_nonzero(np.isfinite(self._target_hz[condition])))
        return (self._problem.bin_s if self._options.is_poisson else 2.0) / number

    def _pull(self, mean: Any) -> NDArray[np.float64]:
        """(neuron,): derivative of the regularisation by a spike."""
        totals, pull = np.zeros(mean.shape[1]), self._options.regularisation
        if pull is None:
            return totals
        kernel.totals(mean, totals)
        return pull(totals, len(mean) * self._problem.bin_s)[1]

    def _smooth_hz(self, mean: Any) -> Any:
        """(bin, trained): smoothed rates."""
        trained = self._problem.simulator.network.trained
        out = np.empty((len(mean), len(trained)))
        self._over_tiles(partial(kernel.smoothed, mean, trained, *self._smoothing, self._problem.bin_s, out))
        return out

    def _over_tiles(self, work: Any) -> None:
        """Call with the limits of some trained neurons after the others."""
        n = len(self._problem.simulator.network.trained)
        tiles = [(first, min(first + TILE, n)) for first in range(0, n, TILE)]
        thread_map(lambda tile: work(*tile), tiles, self._problem.threads if len(tiles) > 1 else 1)

    def _blend(self, a: Any, weight_a: float, b: Any, weight_b: float) -> Any:
        return np.float32(weight_a) * a + np.float32(weight_b) * b

    def _divided(self, mean: Any, divisor: float) -> Any:
        return mean / np.float32(divisor)

    def _nothing(self, shape: tuple[int, ...]) -> Any:
        return np.zeros(shape, np.float32)

    def _to_host(self, array: Any) -> NDArray[Any]:
        return np.array(array)

    def _put(self, array: NDArray[Any]) -> Any:
        return array.copy()


class FetchedRateErrors(RateErrors):
    """The same where the trials run on a device: counts come to the host, and signals go back."""

    def __init__(self, problem: Problem, options: "FitOptions", device: Device, width: int) -> None:
        super().__init__(problem, options)
        self._device, self._width = device, width

    def per_trial(self, counts: Any) -> Any:
        """Mean of the counts, on the host."""
        return super().per_trial(self._device.to_host(counts))

    def signal(self, mean: Any, condition: int) -> Any:
        """(bin, padded), on the device."""
        signal = super().signal(mean, condition)
        padded = np.zeros((len(signal), self._width), np.float32)
        padded[:, : signal.shape[1]] = signal
        return self._device.asarray(padded)

    def condition_correlation(self, condition: int, counts: Any) -> float:
        """Return `condition_correlation` of the counts of a condition's trials."""
        return super().condition_correlation(condition, self._device.to_host(counts))


def observation(problem: Problem, seen_through: Filter | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how rates are smoothed, (bin, bin), and the targets smoothed as well, (condition, time, trained)."""
    n_bins = problem.rate_hz.shape[1]
    # Column b is what a rate of 1 Hz in bin b looks like after smoothing.
    smoothing = np.ascontiguousarray(problem.smooth(np.eye(n_bins)[None])[0])
    if seen_through is None:
        return smoothing, problem.rate_hz
    matrix = causal_filter(n_bins, problem.bin_s * 1e3, seen_through.decay_ms, seen_through.rise_ms)
    return matrix @ smoothing if seen_through.smoothed else matrix, np.ascontiguousarray(matrix @ problem.rate_hz)


def banded(matrix: NDArray[np.float64]) -> Banded:
    """Return a matrix with the span of each row: where what is not 0 begins and ends, (row, 2)."""
    there = matrix != 0
    first, last = there.argmax(axis=1), len(matrix) - there[:, ::-1].argmax(axis=1)
    return matrix, np.stack([first, last], axis=1).astype(np.int32)


def causal_filter(n_bins: int, bin_ms: float, tau_ms: float, rise_ms: float = 0.0) -> NDArray[np.float64]:
    """Return the matrix (bin, bin) of an exponential filter that keeps the mean: each row sums to 1 where bins before exist.

    With a rise it is the difference of two exponentials, at the bins' ends.
    """
    lag = np.arange(n_bins)[:, None] - np.arange(n_bins)
    passed = np.maximum(lag, 0) + (rise_ms > 0)
    weights = np.where(lag >= 0, np.exp(-bin_ms / tau_ms) ** passed, 0.0)
    if rise_ms:
        weights -= np.where(lag >= 0, np.exp(-bin_ms / rise_ms) ** passed, 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def populations_hz(counts: Any, n_exc: int, duration_s: float) -> tuple[float, float]:
    """Mean rates of the E and of the I neurons: counts (bin, neuron), wherever they are, over a duration in all."""
    exc, inh = (
        int(part.sum()) / (part.shape[1] * duration_s) if part.shape[1] else float("nan")
        for part in (counts[:, :n_exc], counts[:, n_exc:])
    )
    return exc, inh
