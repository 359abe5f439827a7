"""The weights and parameters that a gradient fit learns, with their optimiser."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.learn.gradient.common_mode import CommonMode
from fitrec.learn.gradient.constraints import Limits, Parameter
from fitrec.learn.gradient.neuron_parameters import NeuronParameters
from fitrec.learn.gradient.optimisers import Optimiser, Settings
from fitrec.learn.rule import Arrays, Problem, not_finite
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.model_trials import ModelTrials

if TYPE_CHECKING:
    from fitrec.learn.gradient.fit import FitOptions

EXC, INH, FF = "plastic E weights", "plastic I weights", "feed-forward weights"


class LearnedWeights:
    """Plastic weights, E and I inputs apart, feed-forward weights, and parameters of the trained neurons."""

    def __init__(self, problem: Problem, trials: ModelTrials, options: "FitOptions") -> None:
        network, o, self._trials = problem.simulator.network, options, trials
        self._shape = network.feed_forward_shape
        n_sets, n_trained, n_ff = self._shape
        self._n_exc = network.n_plastic_exc
        n_inh = network.plastic_pre.shape[1] - self._n_exc
        self._exc = network.plastic_weight[:, : self._n_exc].flatten()
        self._inh = network.plastic_weight[:, self._n_exc :].flatten()
        self._feed_forward = np.zeros(n_sets * n_trained * n_ff, np.float32)
        plastic_scale, ff_scale = weight_scales(network)
        limits = Limits(dale=o.dale, w_min=o.bounds[0], w_max=o.bounds[1])
        neuron = network.trained
        parameters = [
            Parameter(EXC, self._exc, limits, np.repeat(neuron, self._n_exc), "exc" in o.frozen, plastic_scale),
            Parameter(INH, self._inh, limits, np.repeat(neuron, n_inh), "inh" in o.frozen, plastic_scale),
            Parameter(
                FF,
                self._feed_forward,
                neuron=np.tile(np.repeat(neuron, n_ff), n_sets),
                frozen="feed_forward" in o.frozen or n_ff == 0,
                rate=ff_scale,
            ),
        ]
        self._common_mode = CommonMode(network, o.common_mode)
        self._neurons = NeuronParameters(o.trainable, trials, o.optimiser.learning_rate)
        parameters += self._neurons.parameters
        self._optimiser = self._make_optimiser(parameters, o.optimiser, problem.threads)
        self._forget_gradients()
        self._current: Weights | None = None

    @property
    def current(self) -> Weights:
        """The weights so far, on the CPU."""
        if self._current is None:
            self._current = self._joined()
        return self._current

    def flat(self, condition: int) -> Any:
        """Return the weights that a condition's trials run with, as `ModelTrials.flat_weights`."""
        return self.flat_on_cpu(condition)

    def flat_on_cpu(self, condition: int) -> NDArray[np.float32]:
        """Return the same, wherever the weights are."""
        return self._trials.flat_weights(self.current, condition)

    def adopt(self) -> None:
        """Give the trials' neurons the parameters learned so far."""
        names, values = self._neurons.names, self._neurons.values
        if names is not None and values is not None:
            self._trials.adopt_values(names, values)

    def add(self, condition: int, gradient: Any, by_parameter: Any) -> None:
        """Add gradients of a condition for the next step: by the synapses (`flat`), and by (parameter, neuron)."""
        by_plastic, by_ff = self._trials.unflatten(gradient)
        self._by_plastic += by_plastic
        self._by_ff[self._set_of(condition)] += by_ff
        self._by_parameter += by_parameter

    def step(self, loop: int) -> None:
        """Change everything by the gradients added since the last step.

        Raises
        ------
        TrainingError
            If a gradient is not finite; names the neuron.

        """
        try:
            self._optimiser.step(self._gradients())
        except TrainingError as error:
            raise TrainingError(f"loop {loop + 1}: {error}") from None
        self._current = None
        self._forget_gradients()

    def not_finite(self) -> tuple[int, int] | None:
        """Return a trained neuron with weights that are not finite, as `fitrec.learn.rule.not_finite` does."""
        return not_finite(self.current)

    def _make_optimiser(self, parameters: Sequence[Parameter], settings: Settings, threads: int | None) -> Optimiser:
        return Optimiser(parameters, settings, threads=threads)

    def _gradients(self) -> dict[str, Any]:
        """Gradients by weights and parameters, for the optimiser."""
        plastic, feed_forward = self._common_mode(self._by_plastic, self._by_ff)
        return {
            EXC: plastic[:, : self._n_exc].flatten(),
            INH: plastic[:, self._n_exc :].flatten(),
            FF: feed_forward.reshape(-1),
            **self._neurons.gradients(self._by_parameter.astype(np.float32)),
        }

    def _forget_gradients(self) -> None:
        n_trained = self._shape[1]
        self._by_plastic = np.zeros((n_trained, (len(self._exc) + len(self._inh)) // n_trained))
        self._by_ff = np.zeros(self._shape)
        self._by_parameter = np.zeros((len(self._neurons.parameters), self._trials.network.n_neurons))

    def _set_of(self, condition: int) -> int:
        """Return which set of feed-forward weights a condition has."""
        return 0 if self._trials.network.shared_feed_forward else condition

    def _joined(self) -> Weights:
        n_trained = self._shape[1]
        plastic = np.hstack((self._exc.reshape(n_trained, -1), self._inh.reshape(n_trained, -1)))
        return Weights(
            plastic=plastic,
            feed_forward=self._feed_forward.reshape(self._shape).copy(),
            parameter_names=self._neurons.names,
            parameters=self._neurons.values,
        )

    def state(self) -> Arrays:
        """Return weights and the state of the optimiser."""
        now = self.current
        return {
            "plastic": now.plastic,
            "feed_forward": now.feed_forward,
            **({} if now.parameters is None else {"parameters": now.parameters}),
            **{f"optimiser/{name}": values for name, values in self._optimiser.state().items()},
        }

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self._exc[:] = state["plastic"][:, : self._n_exc].reshape(-1)
        self._inh[:] = state["plastic"][:, self._n_exc :].reshape(-1)
        self._feed_forward[:] = state["feed_forward"].reshape(-1)
        if "parameters" in state:
            self._neurons.restore(state["parameters"])
        self._current = None
        prefix = "optimiser/"
        self._optimiser.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})


def weight_scales(network: Network) -> tuple[float, float]:
    """Return what a learning rate of 1 is worth to plastic and to feed-forward weights.

    The mean magnitude of the initial plastic weights; and, for feed-forward weights, which begin at 0, that change which moves a
    neuron's mean input as much when all of them change by it. So a learning rate has no unit, and projections with many or busy
    inputs do not outrun the others.
    """
    magnitude = float(np.abs(network.plastic_weight).mean()) if network.plastic_weight.size else 0.0
    pre_hz = network.untrained_rate_hz[network.plastic_pre].sum(axis=1).mean() if network.plastic_pre.size else 0.0
    ff_hz = float(network.ff_rate_hz.mean(axis=(0, 1)).sum()) if network.n_feed_forward else 0.0
    scale = magnitude or 1.0
    return scale, scale * float(pre_hz) / ff_hz if pre_hz and ff_hz else scale
