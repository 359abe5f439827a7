"""How an optimiser changes one parameter: on the CPU, or where its values lie on a device, with the same bits."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.optimise import BLOCK, squares, total, update
from fitrec.kernels.cuda import optimise as cuda
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.eprop import Array
from fitrec.kernels.optimise import Change, Optimization, Optimizer
from fitrec.learn.gradient.constraints import Parameter, magnitude_scale
from fitrec.threads import thread_map

Result = TypeVar("Result")


class Step(NamedTuple):
    """What all parameters have in common in an update.

    Attributes
    ----------
    iteration : int
        From 1.
    learning_rate : float
        Of a parameter whose own rate is 1.
    gain : float
        That gradients are multiplied by, to clip their norm.
    limit : float
        That they are clamped to afterwards.

    """

    kind: Literal["sgd", "adam"]
    iteration: int
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    gain: float
    limit: float


class Update(Protocol):
    """Changes the values of a parameter."""

    parameter: Parameter
    scale: float

    def square(self, gradient: Any) -> float:
        """Square of the norm of the gradient by what the optimiser moves."""

    def change(self, gradient: Any, step: Step) -> None:
        """Change the values."""

    def moments(self) -> NDArray[Any]:
        """Return a copy of Adam's running means, (2, element), or (2, 0)."""

    def restore(self, moments: NDArray[Any], scale: float) -> None:
        """Go on from what `moments` and `scale` were."""

    def on_host(self, gradient: Any) -> Array:
        """Return a gradient where it can be looked at."""


class HostUpdate:
    """Changes the values in place.

    Parameters
    ----------
    parameter : Parameter
    adam : bool
    threads : int, optional

    """

    def __init__(self, parameter: Parameter, *, adam: bool, threads: int | None) -> None:
        self.parameter, self.scale, self._threads = parameter, magnitude_scale(parameter.values), threads
        self._moments = np.zeros((2, parameter.values.size if adam else 0), parameter.values.dtype)

    def square(self, gradient: Array) -> float:
        """Square of the norm of the gradient by what the optimiser moves."""
        p = self.parameter
        parts = self._over_blocks(lambda start, stop: squares(int(p.constraint), self.scale, p.values, gradient, start, stop))
        return float(total(np.concatenate([np.zeros(0), *parts])))

    def change(self, gradient: Array, step: Step) -> None:
        """Change the values."""
        optimization, change, tiny = _told(self.parameter, self.scale, step)
        mean, square = self._moments
        values = self.parameter.values
        self._over_blocks(lambda start, stop: update(optimization, change, values, gradient, mean, square, tiny, start, stop))

    def moments(self) -> NDArray[Any]:
        """Return a copy of Adam's running means."""
        return self._moments.copy()

    def restore(self, moments: NDArray[Any], scale: float) -> None:
        """Go on from what `moments` and `scale` were."""
        self._moments[:], self.scale = moments, scale

    def on_host(self, gradient: Array) -> Array:
        """Return the gradient."""
        return gradient

    def _over_blocks(self, function: Callable[[int, int], Result]) -> list[Result]:
        """Call the function with the limits of each block of the values; results in their order."""
        size = self.parameter.values.size
        blocks = [(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]
        return thread_map(lambda block: function(*block), blocks, self._threads if len(blocks) > 1 else 1)


class DeviceUpdate:
    """Changes values on a device; the parameter's own, on the host, are those of the beginning.

    Parameters
    ----------
    values : (element,)
        On the device, changed in place.

    """

    def __init__(self, parameter: Parameter, device: Device, values: Any, *, adam: bool) -> None:
        self.parameter, self.scale = parameter, magnitude_scale(parameter.values)
        self._device, self._values = device, values
        self._moments = device.xp.zeros((2, len(values) if adam else 0), parameter.values.dtype)

    def square(self, gradient: Any) -> float:
        """Square of the norm of the gradient by what the optimiser moves; waits."""
        parts = cuda.squares(self._device, int(self.parameter.constraint), self.scale, self._values, gradient)
        return float(total(self._device.to_host(parts)))

    def change(self, gradient: Any, step: Step) -> None:
        """Start changing the values."""
        optimization, change, tiny = _told(self.parameter, self.scale, step)
        mean, square = self._moments
        cuda.update(self._device, optimization, change, self._values, gradient, mean, square, tiny)

    def moments(self) -> NDArray[Any]:
        """Return a copy of Adam's running means; waits."""
        return self._device.to_host(self._moments)

    def restore(self, moments: NDArray[Any], scale: float) -> None:
        """Go on from what `moments` and `scale` were."""
        self._moments[:], self.scale = self._device.asarray(moments), scale

    def on_host(self, gradient: Any) -> Array:
        """Return a copy of the gradient; waits."""
        return self._device.to_host(gradient)


def _told(parameter: Parameter, scale: float, s: Step) -> tuple[Optimization, Change, float]:
    """Return what the kernels are told, and the smallest normal number."""
    limits, number = parameter.limits, np.finfo(parameter.values.dtype)
    optimization = Optimization(
        optimizer=int(Optimizer[s.kind.upper()]),
        learning_rate=s.learning_rate * parameter.rate,
        beta_1=s.beta_1,
        beta_2=s.beta_2,
        epsilon=s.epsilon,
        w_min=max(limits.w_min, float(number.min)),
        w_max=min(limits.w_max, float(number.max)),
    )
    return optimization, Change(s.iteration, int(parameter.constraint), scale, s.gain, s.limit), float(number.tiny)
