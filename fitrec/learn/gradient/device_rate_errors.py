"""Mean rates and learning signals of a gradient fit of PSTHs on a device; twin of `rate_errors`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.optimise import divide
from fitrec.kernels.cuda.rate_errors import RateKernels
from fitrec.learn.gradient.losses import PoissonCounts
from fitrec.learn.gradient.rate_errors import RateErrors
from fitrec.learn.psth_fit import correlation_of
from fitrec.learn.rule import Problem

if TYPE_CHECKING:
    from fitrec.learn.gradient.fit import FitOptions


class DeviceRateErrors(RateErrors):
    """Counts, mean rates and signals stay on the device; sums come to the host. For PSTHs of units, not for time or regions."""

    def __init__(self, problem: Problem, options: "FitOptions", device: Device, width: int) -> None:
        self._device, network = device, problem.simulator.network
        super().__init__(problem, options)
        sizes = (network.trained, network.n_neurons, width)
        self._kernels = RateKernels(device, *sizes, self._smoothing, self._transposed, problem.bin_s)
        self._no_pull = device.xp.zeros(network.n_neurons, np.float64)
        own = options.seen_through is not None
        self._goal_hz = device.asarray(self._target_hz) if own else problem.device_goal.rate_hz

    def per_trial(self, counts: Any) -> Any:
        """Mean of the counts."""
        return self._kernels.means(counts, self._options.trials)

    def signal(self, mean: Any, condition: int) -> Any:
        """(bin, padded)."""
        o, kernels = self._options, self._kernels
        by_rate = kernels.slopes(
            self._smooth_hz(mean),
            self._goal_hz[condition],
            is_poisson=o.is_poisson,
            scale=self._scale(condition),
            floor_hz=PoissonCounts.floor_hz,
        )
        pull = self._no_pull if o.regularisation is None else self._device.asarray(self._pull(mean))
        return kernels.signals(by_rate, pull, o.trials)

    def correlation(self, conditions: NDArray[np.int64], means: Sequence[Any]) -> float:
        """Return `fit_correlation` of the means of some conditions."""
        smoother = self._problem.device_goal.smoother
        pairs = zip(conditions.tolist(), means, strict=True)
        moments = [smoother.moments(self._smooth_hz(mean), self._goal_hz[condition]) for condition, mean in pairs]
        return correlation_of(np.stack(moments, axis=1))

    def condition_correlation(self, condition: int, counts: Any) -> float:
        """Return `condition_correlation` of the counts of a condition's trials."""
        goal, trained = self._problem.device_goal, self._problem.simulator.network.trained
        own = self._device.xp.ascontiguousarray(counts[:, self._device.asarray(trained)])
        smooth_hz = goal.smoother.smoothed_hz(own, None, self._options.trials, self._problem.bin_s)
        return correlation_of(goal.smoother.moments(smooth_hz, goal.rate_hz[condition])[:, None])

    def _pull(self, mean: Any) -> NDArray[np.float64]:
        pull = self._options.regularisation
        assert pull is not None
        return pull(self._device.to_host(self._kernels.totals(mean)), len(mean) * self._problem.bin_s)[1]

    def _smooth_hz(self, mean: Any) -> Any:
        return self._kernels.smoothed(mean)

    def _blend(self, a: Any, weight_a: float, b: Any, weight_b: float) -> Any:
        return self._kernels.blend(a, weight_a, b, weight_b)

    def _divided(self, mean: Any, divisor: float) -> Any:
        divided = mean.copy()
        divide(self._device, divided.reshape(-1), divisor)
        return divided

    def _nothing(self, shape: tuple[int, ...]) -> Any:
        return self._device.xp.zeros(shape, np.float32)

    def _to_host(self, array: Any) -> NDArray[Any]:
        return self._device.to_host(array)

    def _put(self, array: NDArray[Any]) -> Any:
        return self._device.asarray(array)
