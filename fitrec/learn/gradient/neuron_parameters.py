"""Parameters of the neurons that are learned with the weights."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ConfigError
from fitrec.kernels.cpu.optimise import total
from fitrec.learn.gradient.constraints import Limits, Parameter
from fitrec.simulate.model_trials import ModelTrials


@dataclass(frozen=True, kw_only=True)
class Trainable:
    """How a parameter is learned.

    Attributes
    ----------
    learning_rate : float
        Relative to the mean magnitude of the values it begins with.
    low, high : float or None
        Bounds; None: a tenth of, and ten times, a positive mean value.
    shared : bool
        One value for all trained neurons.

    """

    name: str
    learning_rate: float
    low: float | None = None
    high: float | None = None
    shared: bool = False


class NeuronParameters:
    """Values of the trained neurons' parameters, for an optimiser.

    Parameters
    ----------
    trainable : tuple of Trainable
        In the order in which the model was compiled for them.
    trials : ModelTrials
    learning_rate : float
        Of the optimiser, for weights.

    Raises
    ------
    ConfigError
        If values begin outside their bounds.

    """

    def __init__(self, trainable: tuple[Trainable, ...], trials: ModelTrials, learning_rate: float) -> None:
        self._trainable, self._neurons = trainable, trials.network.trained
        self.parameters: list[Parameter] = []
        for t in trainable:
            initial = trials.values(t.name)[self._neurons]
            mean = float(initial.mean())
            values = np.array([mean] if t.shared else initial, np.float32)
            low, high = t.low, t.high
            if mean > 0:
                low, high = mean / 10 if low is None else low, 10 * mean if high is None else high
            limits = Limits(w_min=-np.inf if low is None else low, w_max=np.inf if high is None else high)
            if not limits.w_min < limits.w_max:
                raise ConfigError(f"the bounds of {t.name} are {limits.w_min:g} and {limits.w_max:g}; the first has to be lower")
            neuron = self._neurons[:1] if t.shared else self._neurons
            rate = t.learning_rate * (float(np.abs(initial).mean()) or 1.0) / learning_rate
            self.parameters.append(Parameter(t.name, values, limits, neuron, rate=rate))

    @property
    def names(self) -> list[str] | None:
        """Names, or None if there are none to learn."""
        return [t.name for t in self._trainable] or None

    @property
    def values(self) -> NDArray[np.float32] | None:
        """(parameter, trained), or None if there are none to learn."""
        if not self.parameters:
            return None
        return np.stack([np.broadcast_to(p.values, len(self._neurons)) for p in self.parameters]).astype(np.float32)

    def gradients(self, by_parameter: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Gradients for the optimiser, given those by each neuron's parameters, (parameter, neuron)."""
        return {
            t.name: np.asarray([total(row[self._neurons].astype(np.float64))] if t.shared else row[self._neurons], np.float32)
            for t, row in zip(self._trainable, by_parameter, strict=True)
        }

    def restore(self, values: NDArray[np.float32]) -> None:
        """Continue with values (parameter, trained)."""
        for parameter, row in zip(self.parameters, values, strict=True):
            parameter.values[:] = row[: len(parameter.values)]
