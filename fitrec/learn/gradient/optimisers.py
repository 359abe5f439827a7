"""Gradient descent and Adam over several parameter arrays, with clipping, schedules, and a state that can be saved."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ConfigError, TrainingError
from fitrec.kernels.cpu.optimise import BLOCK, squares, update
from fitrec.kernels.eprop import Array
from fitrec.kernels.optimise import Change, Optimization, Optimizer
from fitrec.learn.gradient.constraints import Parameter, magnitude_scale
from fitrec.learn.gradient.schedules import Schedule
from fitrec.simulate.threads import thread_map

Result = TypeVar("Result")


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


class Step(NamedTuple):
    """What an update did."""

    norm: float  # of the gradient, before clipping
    learning_rate: float


class Optimiser:
    """Changes parameters by their gradients.

    Derivatives are first turned into those by what the optimiser moves (`Limits.dale`), then clipped. The same gradients give
    the same bits for any number of threads, and in a training that was interrupted and restored.

    Parameters
    ----------
    parameters : sequence of Parameter
        Frozen ones are left alone, and need no gradient.
    settings : Settings
    threads : int, optional
        By default all that there are.

    """

    def __init__(self, parameters: Sequence[Parameter], settings: Settings, *, threads: int | None = None) -> None:
        self.settings, self._threads = settings, threads
        self.parameters = tuple(parameter for parameter in parameters if not parameter.frozen)
        self.iterations = 0
        adam = settings.kind == "adam"
        self._moments = {p.name: np.zeros((2, p.values.size if adam else 0), p.values.dtype) for p in self.parameters}
        self._scales = {p.name: magnitude_scale(p.values) for p in self.parameters}

    def step(self, gradients: Mapping[str, Array]) -> Step:
        """Change the parameters.

        Parameters
        ----------
        gradients : mapping from a parameter's name to (element,)
            Derivatives of the loss, in the precision of the parameter.

        Raises
        ------
        TrainingError
            If a derivative is not finite; the parameters then stay as they were.

        """
        norm = self._norm(gradients)
        self.iterations += 1
        rate = self.settings.learning_rate * self.settings.schedule(self.iterations)
        gain = self.settings.clip_norm / norm if norm > self.settings.clip_norm else 1.0
        for parameter in self.parameters:
            self._update(parameter, gradients[parameter.name], rate, gain)
        return Step(norm, rate)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next update depends on beside the parameters themselves, as copies."""
        state: dict[str, NDArray[Any]] = {"iterations": np.array([self.iterations])}
        for parameter in self.parameters:
            state[f"moments/{parameter.name}"] = self._moments[parameter.name].copy()
            state[f"scale/{parameter.name}"] = np.array([self._scales[parameter.name]])
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
        for parameter in self.parameters:
            self._moments[parameter.name][:] = state[f"moments/{parameter.name}"]
            self._scales[parameter.name] = float(state[f"scale/{parameter.name}"][0])

    def _norm(self, gradients: Mapping[str, Array]) -> float:
        total = 0.0
        for parameter in self.parameters:
            gradient, kind, scale = gradients[parameter.name], int(parameter.constraint), self._scales[parameter.name]
            values = parameter.values
            parts = self._over_blocks(
                lambda start, stop, g=gradient, w=values, k=kind, s=scale: squares(k, s, w, g, start, stop),  # type: ignore[misc]
                values.size,
            )
            of_parameter = sum(parts)
            if not np.isfinite(of_parameter):
                self._require_finite(parameter, gradient)
            total += of_parameter
        return float(np.sqrt(total))

    def _require_finite(self, parameter: Parameter, gradient: Array) -> None:
        what, broken = "the gradient", np.flatnonzero(~np.isfinite(gradient))
        if not broken.size:  # it is its square, or its product with the weight
            what, broken = "a value too large to go on with: the gradient", np.array([np.abs(gradient).argmax()])
        element = int(broken[0])
        raise TrainingError(
            f"{what} of {parameter.name} is {gradient[element]} at element {element}, of neuron {parameter.owner(element)}, in "
            f"iteration {self.iterations + 1} ({broken.size} of {gradient.size} elements); nothing was changed: use a learning "
            f"rate below {self.settings.learning_rate:g} or a smaller clip_norm, and go on from the last checkpoint"
        )

    def _update(self, parameter: Parameter, gradient: Array, rate: float, gain: float) -> None:
        s, limits, values = self.settings, parameter.limits, parameter.values
        numbers = np.finfo(values.dtype)
        optimization = Optimization(
            optimizer=int(Optimizer[s.kind.upper()]),
            learning_rate=rate * parameter.rate,
            beta_1=s.beta_1,
            beta_2=s.beta_2,
            epsilon=s.epsilon,
            w_min=max(limits.w_min, float(numbers.min)),
            w_max=min(limits.w_max, float(numbers.max)),
        )
        change = Change(self.iterations, int(parameter.constraint), self._scales[parameter.name], gain, s.clip_value)
        mean, square = self._moments[parameter.name]
        tiny = float(numbers.tiny)
        self._over_blocks(
            lambda start, stop: update(optimization, change, values, gradient, mean, square, tiny, start, stop), values.size
        )

    def _over_blocks(self, function: Callable[[int, int], Result], size: int) -> list[Result]:
        """Call the function with the limits of each block of an array; results in their order."""
        blocks = [(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]
        return thread_map(lambda block: function(*block), blocks, self._threads if len(blocks) > 1 else 1)


def _described(found: tuple[tuple[int, ...], np.dtype[Any]] | None) -> str:
    return "missing" if found is None else f"{found[1]} of shape {found[0]}"
