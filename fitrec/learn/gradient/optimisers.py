"""Gradient descent and Adam over several parameter arrays, with clipping, schedules, and a state that can be saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ConfigError, TrainingError
from fitrec.kernels.cuda.device import Device
from fitrec.learn.gradient.constraints import Parameter
from fitrec.learn.gradient.schedules import Schedule
from fitrec.learn.gradient.updates import DeviceUpdate, HostUpdate, Update
from fitrec.learn.gradient.updates import Step as OneStep


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How gradients change parameters.

    Attributes
    ----------
    clip_norm : float
        A gradient whose norm, over all parameters together, is larger is shortened to it.
    clip_value : float
        Afterwards every derivative is clamped to [-clip_value, clip_value].

    """

    kind: Literal["sgd", "adam"] = "adam"
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float = np.inf
    clip_value: float = np.inf
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epsilon", "clip_norm", "clip_value"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} of the optimiser is {getattr(self, name):g}; it has to be positive")
        for name in ("beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} of the optimiser is {getattr(self, name):g}; it has to lie in [0, 1)")

    def largest(self, dtype: np.dtype[Any]) -> float:
        """Return the largest derivative that an update can go on with; of a larger one Adam's mean square would be infinite."""
        most = float(np.finfo(dtype).max)
        return float(np.sqrt(most)) if self.kind == "adam" and np.isinf(min(self.clip_norm, self.clip_value)) else most


class Step(NamedTuple):
    """What an update did."""

    norm: float  # of the gradient, before clipping
    learning_rate: float


class Optimiser:
    """Changes parameters by their gradients.

    Derivatives are first turned into those by what the optimiser moves (`Limits.dale`), then clipped. The same gradients give
    the same bits for any number of threads, on a device, and in a training that was interrupted and restored.

    Parameters
    ----------
    parameters : sequence of Parameter
        Frozen ones are left alone, and need no gradient.
    settings : Settings
    threads : int, optional
        By default all that there are.
    device : Device, optional
    on_device : mapping from a parameter's name to (element,), optional
        Arrays on the device that are changed in place of these parameters' values; so the gradients of these lie there too.

    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        settings: Settings,
        *,
        threads: int | None = None,
        device: Device | None = None,
        on_device: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        self.parameters = tuple(parameter for parameter in parameters if not parameter.frozen)
        self.iterations = 0
        adam, there = settings.kind == "adam", on_device or {}

        def update(parameter: Parameter) -> Update:
            if device is None or parameter.name not in there:
                return HostUpdate(parameter, adam=adam, threads=threads)
            return DeviceUpdate(parameter, device, there[parameter.name], adam=adam)

        self._updates = {parameter.name: update(parameter) for parameter in self.parameters}

    def step(self, gradients: Mapping[str, Any]) -> Step:
        """Change the parameters.

        Parameters
        ----------
        gradients : mapping from a parameter's name to (element,)
            Derivatives of the loss, in the precision of the parameter.

        Raises
        ------
        TrainingError
            If a derivative is not finite, or too large to go on with; the parameters then stay as they were.

        """
        s, norm = self.settings, self._norm(gradients)
        self.iterations += 1
        rate = s.learning_rate * s.schedule(self.iterations)
        gain = s.clip_norm / norm if norm > s.clip_norm else 1.0
        step = OneStep(s.kind, self.iterations, rate, s.beta_1, s.beta_2, s.epsilon, gain, s.clip_value)
        for name, update in self._updates.items():
            update.change(gradients[name], step)
        return Step(norm, rate)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next update depends on beside the parameters themselves, as copies."""
        state: dict[str, NDArray[Any]] = {"iterations": np.array([self.iterations])}
        for name, update in self._updates.items():
            state[f"moments/{name}"] = update.moments()
            state[f"scale/{name}"] = np.array([update.scale])
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state; TrainingError if it belongs to other parameters or another optimiser."""
        wanted = {name: (array.shape, array.dtype) for name, array in self.state().items()}
        found = {name: (array.shape, array.dtype) for name, array in state.items()}
        if wanted != found:
            differs = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))[0]
            raise TrainingError(
                f"the saved state of the optimiser does not fit: {differs} is {_described(found.get(differs))}, and should be "
                f"{_described(wanted.get(differs))}; go on with the settings it was saved with, or begin anew"
            )
        self.iterations = int(state["iterations"][0])
        for name, update in self._updates.items():
            update.restore(state[f"moments/{name}"], float(state[f"scale/{name}"][0]))

    def _norm(self, gradients: Mapping[str, Any]) -> float:
        total = 0.0
        for name, update in self._updates.items():
            of_parameter = update.square(gradients[name])
            largest, finite = self.settings.largest(update.parameter.values.dtype), bool(np.isfinite(of_parameter))
            if not finite or of_parameter > largest * largest:
                self._require_passable(update, gradients[name], norm_is_finite=finite)
            total += of_parameter
        return float(np.sqrt(total))

    def _require_passable(self, update: Update, given: Any, *, norm_is_finite: bool) -> None:
        parameter, gradient = update.parameter, update.on_host(given)
        what, broken = "the gradient", np.flatnonzero(~np.isfinite(gradient))
        if not broken.size:
            what, broken = "a value too large to go on with: the gradient", np.array([np.abs(gradient).argmax()])
            if norm_is_finite and abs(gradient[broken[0]]) <= self.settings.largest(gradient.dtype):
                return  # it is many
        element = int(broken[0])
        raise TrainingError(
            f"{what} of {parameter.name} is {gradient[element]} at element {element}, of neuron {parameter.owner(element)}, in "
            f"iteration {self.iterations + 1} ({broken.size} of {gradient.size} elements); nothing was changed: begin again with "
            f"a learning rate below {self.settings.learning_rate:g} or a smaller clip_norm"
        )


def _described(found: tuple[tuple[int, ...], np.dtype[Any]] | None) -> str:
    return "missing" if found is None else f"{found[1]} of shape {found[0]}"
