"""What a fit that learns within the trial makes of the rates observed at the end of a bin, on the CPU or on a device."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fitrec.kernels.cpu import rate_errors as kernel
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.rate_errors import OnlineKernels
from fitrec.learn.gradient.losses import PoissonCounts
from fitrec.learn.gradient.rate_errors import observation
from fitrec.learn.rule import Problem

if TYPE_CHECKING:
    from fitrec.learn.gradient.fit import FitOptions


class OnlineErrors:
    """On the CPU."""

    def __init__(self, problem: Problem, options: "FitOptions") -> None:
        self._problem, self._options = problem, options
        assert options.seen_through is not None
        _, self._target_hz = observation(problem, options.seen_through)
        self._hz = options.seen_through.hz(problem.simulator.network.dt_ms)
        numbers = np.maximum(np.isfinite(self._target_hz).sum(axis=2), 1)
        self._scale = (problem.bin_s if options.is_poisson else 2.0) / numbers

    def signal(self, observed: Any, condition: int, k: int) -> Any:
        """Return the derivatives of the loss by what neurons observe at the end of bin k, (neuron,)."""
        problem, o, trained = self._problem, self._options, self._problem.simulator.network.trained
        rate_hz, target_hz = self._hz * observed[trained].astype(np.float64), self._target_hz[condition, k]
        if problem.regions is not None:
            by_rate = o.loss(rate_hz[None], target_hz[None])[1][0]
        else:
            by_rate = np.empty(len(trained))
            told = (
                o.is_poisson,
                rate_hz[None],
                target_hz[None],
                self._scale[condition, k],
                problem.bin_s,
                PoissonCounts.floor_hz,
            )
            kernel.slopes(*told, by_rate[None], 0, len(trained))
        signal = np.zeros(len(observed), np.float32)
        signal[trained] = self._hz * by_rate
        return signal


class DeviceOnlineErrors(OnlineErrors):
    """On a device, but for areas, whose errors are formed on the host; rates and derivatives are (padded,)."""

    def __init__(self, problem: Problem, options: "FitOptions", device: Device, width: int) -> None:
        super().__init__(problem, options)
        self._device, self._width, network = device, width, problem.simulator.network
        if problem.regions is None:
            self._kernels = OnlineKernels(device, network.trained, network.n_neurons, width)
            self._goal_hz = device.asarray(self._target_hz)

    def signal(self, observed: Any, condition: int, k: int) -> Any:
        """Return the derivatives of the loss by observed rates."""
        problem, o = self._problem, self._options
        if problem.regions is None:
            scale, goal_hz = float(self._scale[condition, k]), self._goal_hz[condition, k]
            numbers = {"scale": scale, "bin_s": problem.bin_s, "floor_hz": PoissonCounts.floor_hz, "per_unit": self._hz}
            return self._kernels.slopes(observed, goal_hz, is_poisson=o.is_poisson, **numbers)
        n, padded = problem.simulator.network.n_neurons, np.zeros(self._width, np.float32)
        padded[:n] = super().signal(self._device.to_host(observed)[:n], condition, k)
        return self._device.asarray(padded)
