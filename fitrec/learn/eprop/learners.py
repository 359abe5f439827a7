"""Learners that are shown sequences and change their weights: one for each of the two rules."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.eprop import interval
from fitrec.kernels.cpu.eprop_optimise import follow_readout, optimise
from fitrec.kernels.cpu.eprop_plus import sequence
from fitrec.kernels.cuda import eprop as on_device
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.eprop_arguments import OnDevice
from fitrec.kernels.cuda.eprop_plus import Sequences
from fitrec.kernels.eprop import Array, FeedbackRule, Learned, Neurons, Rule, beginning, no_moments
from fitrec.kernels.optimise import Optimization


class Sequence(NamedTuple):
    """One trial of a task."""

    inputs: NDArray[np.bool_]  # (time, input) spikes, as they arrive
    targets: Array  # (time, output)


class Response(NamedTuple):
    """What the network did in a trial."""

    output: Array  # (time, output) voltage of the readout, or its softmax
    spikes: NDArray[np.bool_]  # (time, neuron)


class Network(NamedTuple):
    """A network that learns: parameters, and weights that change in place."""

    neurons: Neurons
    rule: Rule
    learned: Learned
    optimization: Optimization
    feedback: FeedbackRule


class Learner(Protocol):
    """Learns from a batch of sequences at a time."""

    def learned(self) -> Learned:
        """Return the present weights on the host."""
        ...

    def learn(self, sequences: list[Sequence], following: Sequence | None) -> list[Response]:
        """Run the sequences one after the other, and learn; `following` will come next. Returns what the network did."""
        ...


class _Learner:
    """A network on the processor, or on `device` with the same bits."""

    def __init__(self, network: Network, window: int, device: Device | None) -> None:
        self.network, self._window = network, window
        self._there = None if device is None else OnDevice(device, *network)

    def learned(self) -> Learned:
        """Return the present weights on the host."""
        return self.network.learned if self._there is None else self._there.on_host()


class IntervalLearner(_Learner):
    """The original e-prop: a sequence is an update interval, a batch is averaged into one update (eprop.md 1.4).

    The published simulator updates a synapse when its next spike arrives. The learning signal of an interval's last step is then
    too late for inputs that spike in step 1 of the next interval: that step is lost to them (`following` tells which).

    Parameters
    ----------
    network
    window : int
        The error is zero before the last `window` steps of a sequence.
    softmax : bool
        Cross-entropy instead of squared error.
    average_gradient : bool
        Divide the gradient by `window`.
    device : Device, optional
        Where the network runs and its weights change; None: on the processor.

    """

    def __init__(
        self, network: Network, *, window: int, softmax: bool, average_gradient: bool, device: Device | None = None
    ) -> None:
        super().__init__(network, window, device)
        self._softmax, self._divisor = softmax, window if average_gradient else 1
        self._moments, self._moments_out = (no_moments(weights) for weights in (network.learned.w, network.learned.w_out))
        self._updates = 0

    def learn(self, sequences: list[Sequence], following: Sequence | None) -> list[Response]:
        """Run the sequences with the same weights, each from rest; then update once."""
        nothing = np.zeros(sequences[0].inputs.shape[1], dtype=np.bool_)
        late = [nothing if after is None else after.inputs[1] for after in [*sequences[1:], following]]
        self._updates += 1
        divisor = self._divisor * len(sequences)
        if self._there is None:
            return self._learn_here(sequences, late, divisor)
        inputs, targets = (np.stack(arrays) for arrays in zip(*sequences, strict=True))
        found = on_device.learn(
            self._there,
            inputs,
            targets,
            np.stack(late),
            window=self._window,
            softmax=self._softmax,
            divisor=divisor,
            iteration=self._updates,
        )
        return [Response(*each) for each in found]

    def _learn_here(self, sequences: list[Sequence], late: list[NDArray[np.bool_]], divisor: int) -> list[Response]:
        net = self.network
        total, total_out = np.zeros_like(net.learned.w), np.zeros_like(net.learned.w_out)
        responses = []
        for (inputs, targets), too_late in zip(sequences, late, strict=True):
            found = interval(net.neurons, net.rule, net.learned, inputs, targets, too_late, self._window, self._softmax)
            total += found.gradient
            total_out += found.gradient_out
            responses.append(Response(found.output, found.spikes))
        self._update(total / divisor, total_out / divisor)
        return responses

    def _update(self, gradient: Array, gradient_out: Array) -> None:
        learned, optimization = self.network.learned, self.network.optimization
        before = learned.w_out.copy()
        every, every_out = (np.ones(weights.shape[0], dtype=np.bool_) for weights in (learned.w, learned.w_out))
        optimise(optimization, self._moments, learned.w, gradient, every, self._updates)
        optimise(optimization, self._moments_out, learned.w_out, gradient_out, every_out, self._updates)
        follow_readout(self.network.feedback, learned.w_out, learned.feedback, before, optimization.learning_rate)


class StepLearner(_Learner):
    """e-prop+: weights change in every step, and nothing is reset between sequences (eprop.md 1.3).

    Parameters
    ----------
    network, window, device
        As of `IntervalLearner`.

    """

    def __init__(self, network: Network, *, window: int, device: Device | None = None) -> None:
        super().__init__(network, window, device)
        self._sequences = None if self._there is None else Sequences(self._there)
        self._state = beginning(network.neurons, network.learned)

    def learn(self, sequences: list[Sequence], following: Sequence | None) -> list[Response]:
        """Run the sequences one after the other, learning all the while."""
        if self._sequences is not None:
            return [Response(*self._sequences.learn(inputs, targets, self._window)) for inputs, targets in sequences]
        return [Response(*sequence(*self.network, self._state, *each, self._window)) for each in sequences]
