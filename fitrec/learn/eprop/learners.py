"""Learners that are shown sequences and change their weights: one for each of the two rules."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.eprop import interval
from fitrec.kernels.cpu.eprop_optimise import follow_readout, optimise
from fitrec.kernels.cpu.eprop_plus import sequence
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

    def learn(self, sequences: list[Sequence], following: Sequence | None) -> list[Response]:
        """Run the sequences one after the other, and learn; `following` will come next. Returns what the network did."""
        ...


class IntervalLearner:
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

    """

    def __init__(self, network: Network, *, window: int, softmax: bool, average_gradient: bool) -> None:
        self.network, self._window, self._softmax = network, window, softmax
        self._divisor = window if average_gradient else 1
        learned = network.learned
        self._moments, self._moments_out = no_moments(learned.w), no_moments(learned.w_out)
        self._updates = 0

    def learn(self, sequences: list[Sequence], following: Sequence | None) -> list[Response]:
        """Run the sequences with the same weights, each from rest; then update once."""
        net = self.network
        total, total_out = np.zeros_like(net.learned.w), np.zeros_like(net.learned.w_out)
        responses = []
        for (inputs, targets), after in zip(sequences, [*sequences[1:], following], strict=True):
            late = np.zeros(inputs.shape[1], dtype=np.bool_) if after is None else after.inputs[1]
            found = interval(net.neurons, net.rule, net.learned, inputs, targets, late, self._window, self._softmax)
            total += found.gradient
            total_out += found.gradient_out
            responses.append(Response(found.output, found.spikes))
        self._update(total / (self._divisor * len(sequences)), total_out / (self._divisor * len(sequences)))
        return responses

    def _update(self, gradient: Array, gradient_out: Array) -> None:
        learned, optimization = self.network.learned, self.network.optimization
        self._updates += 1
        before = learned.w_out.copy()
        every, every_out = (np.ones(weights.shape[0], dtype=np.bool_) for weights in (learned.w, learned.w_out))
        optimise(optimization, self._moments, learned.w, gradient, every, self._updates)
        optimise(optimization, self._moments_out, learned.w_out, gradient_out, every_out, self._updates)
        follow_readout(self.network.feedback, learned.w_out, learned.feedback, before, optimization.learning_rate)


class StepLearner:
    """e-prop+: weights change in every step, and nothing is reset between sequences (eprop.md 1.3)."""

    def __init__(self, network: Network, *, window: int) -> None:
        self.network, self._window = network, window
        self._state = beginning(network.neurons, network.learned)

    def learn(self, sequences: list[Sequence], following: Sequence | None) -> list[Response]:
        """Run the sequences one after the other, learning all the while."""
        return [Response(*sequence(*self.network, self._state, *each, self._window)) for each in sequences]
