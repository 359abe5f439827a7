"""The weights that a gradient fit learns, with their gradients and Adam's means, on a device; twin of `learned`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.learned import Learned, LearnedParameters, Projection
from fitrec.kernels.cuda.weights import all_finite
from fitrec.learn.gradient.constraints import Parameter
from fitrec.learn.gradient.learned import EXC, FF, INH, LearnedWeights
from fitrec.learn.gradient.optimisers import Optimiser, Settings
from fitrec.learn.rule import Arrays, Problem
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.model_trials import ModelTrials

if TYPE_CHECKING:
    from fitrec.learn.gradient.fit import FitOptions


class DeviceLearnedWeights(LearnedWeights):
    """Weights that stay on a device from loop to loop; the host sees them when it asks, for validations and checkpoints."""

    def __init__(self, problem: Problem, trials: ModelTrials, options: "FitOptions", device: Device) -> None:
        self._device = device
        super().__init__(problem, trials, options)
        self._projections = _projections(problem.simulator.network, device, self._common_mode.ff_hz, self._cuts())

    def flat(self, condition: int) -> Any:
        """Return the weights that a condition's trials run with, on the device."""
        return self._learned.flat(self._set_of(condition))

    def adopt(self) -> None:
        """Give the trials' neurons the parameters learned so far; the constants of a step are made of them on the host."""
        self._fetch_parameters()
        super().adopt()

    def add(self, condition: int, gradient: Any, by_parameter: Any) -> None:
        """Add gradients on the device: by the synapses (`flat`), and by (parameter * padded,)."""
        self._learned.add(self._set_of(condition), gradient)
        self._parameters.add(by_parameter)

    def not_finite(self) -> tuple[int, int] | None:
        """Return a trained neuron with weights that are not finite; they go to the host only if there are some."""
        return None if all_finite(self._device, self._learned.weights) else super().not_finite()

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        super().restore(state)
        self._learned.put(self._together())
        self._parameters.put([parameter.values for parameter in self._neurons.parameters])

    def _make_optimiser(self, parameters: Sequence[Parameter], settings: Settings, threads: int | None) -> Optimiser:
        network, cuts = self._trials.network, self._cuts()
        per_condition = len(network.trained) * network.n_feed_forward
        self._learned = Learned(self._device, self._together(), _places(self._trials), cuts[2], per_condition)
        there = {
            name: self._learned.weights[first:last] for name, first, last in zip((EXC, INH, FF), cuts, cuts[1:], strict=False)
        }
        own, width = self._neurons.parameters, self._trials.model_network.width
        self._parameters = LearnedParameters(self._device, [p.values for p in own], network.trained, width)
        there |= {p.name: values for p, values in zip(own, self._parameters.values, strict=True)}
        return Optimiser(parameters, settings, threads=threads, device=self._device, on_device=there)

    def _gradients(self) -> dict[str, Any]:
        own = zip(self._neurons.parameters, self._parameters.gradients(), strict=True)
        cuts, gradients = self._cuts(), {parameter.name: gradient for parameter, gradient in own}
        for k, (name, projection) in enumerate(zip((EXC, INH, FF), self._projections, strict=True)):
            self._learned.shorten(projection, self._common_mode.share)
            gradients[name] = self._learned.gradient[cuts[k] : cuts[k + 1]]
        return gradients

    def _forget_gradients(self) -> None:
        self._learned.forget()
        self._parameters.forget()

    def _joined(self) -> Weights:
        found, cuts = self._device.to_host(self._learned.weights), self._cuts()
        for values, first, last in zip((self._exc, self._inh, self._feed_forward), cuts, cuts[1:], strict=False):
            values[:] = found[first:last]
        self._fetch_parameters()
        return super()._joined()

    def _fetch_parameters(self) -> None:
        for parameter, values in zip(self._neurons.parameters, self._parameters.to_host(), strict=True):
            parameter.values[:] = values

    def _together(self) -> NDArray[np.float32]:
        return np.concatenate((self._exc, self._inh, self._feed_forward))

    def _cuts(self) -> list[int]:
        """Where the weights from E, from I and from feed-forward inputs begin, and their end."""
        return [int(cut) for cut in np.cumsum([0, len(self._exc), len(self._inh), len(self._feed_forward)])]


def _places(trials: ModelTrials) -> NDArray[np.int64]:
    """Where each synapse of the compiled network stands among E, I and the first feed-forward weights."""
    network, order = trials.network, trials.model_network.plastic.order
    n_trained, n_inputs = network.plastic_pre.shape
    n_exc = network.n_plastic_exc
    place = np.empty((n_trained, n_inputs), np.int64)
    place[:, :n_exc] = np.arange(n_trained * n_exc).reshape(n_trained, -1)
    place[:, n_exc:] = n_trained * n_exc + np.arange(n_trained * (n_inputs - n_exc)).reshape(n_trained, -1)
    feed_forward = place.size + np.arange(n_trained * network.n_feed_forward)
    return np.concatenate((place.reshape(-1), feed_forward))[order]


def _projections(network: Network, device: Device, ff_hz: NDArray[np.float64], cuts: list[int]) -> list[Projection]:
    """Rows of weights from E, from I and from feed-forward inputs, with the mean rates of these."""
    n_trained, n_inputs = network.plastic_pre.shape
    n_exc, n_ff = network.n_plastic_exc, network.n_feed_forward
    source = device.asarray(network.plastic_pre.astype(np.int32).reshape(-1))
    rate_hz = device.asarray(network.untrained_rate_hz.astype(np.float64))
    own = [
        Projection(first=first, rows=n_trained, inputs=n, source=source[k:], stride=n_inputs, group=1, rate_hz=rate_hz)
        for first, n, k in ((cuts[0], n_exc, 0), (cuts[1], n_inputs - n_exc, n_exc))
    ]
    rows = len(ff_hz) * n_trained
    rates = device.asarray(ff_hz.reshape(-1))
    none = device.xp.zeros(0, np.int32)
    feed_forward = Projection(first=cuts[2], rows=rows, inputs=n_ff, source=none, stride=0, group=n_trained, rate_hz=rates)
    return [*own, feed_forward]
