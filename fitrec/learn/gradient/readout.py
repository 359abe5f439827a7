"""A leaky linear readout that learns, and that carries its error to the neurons."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import readout as kernel
from fitrec.kernels.cpu.eprop_optimise import follow_readout
from fitrec.kernels.eprop import Array, Feedback, FeedbackRule
from fitrec.learn.gradient.constraints import Parameter


class Backward(NamedTuple):
    """What an error at the readout means for the network."""

    signal: Array  # (time, neuron) derivative of the loss by the neurons' activity
    gradient: Array  # (neuron, output) by the weights


@dataclass(frozen=True, eq=False)
class Readout:
    """``y(t) = kappa y(t - 1) + gain W' x(t)``; x: spikes, or another quantity of the neurons.

    Attributes
    ----------
    w_out : (neuron, output)
        Changed in place by the optimiser that `parameter` is given to.
    feedback : (output, neuron)
        Carries errors to the neurons.
    kappa : float
        exp(-dt / tau) of the readout.
    gain : float
    rule : FeedbackRule
        How the feedback follows the weights.

    """

    w_out: Array
    feedback: Array
    kappa: float
    gain: float
    rule: FeedbackRule

    def respond(self, activity: NDArray[np.generic]) -> Array:
        """Output (time, output) for the activity (time, neuron) of one trial."""
        output: Array = kernel.respond(activity, self.w_out, self.kappa, self.gain)
        return output

    def backward(self, activity: NDArray[np.generic], error: Array) -> Backward:
        """Filter the error (time, output), the derivative of the loss by the output, back to the neurons and the weights.

        With symmetric feedback both derivatives are exact.
        """
        return Backward(*kernel.backward(activity, error, self.feedback, self.kappa, self.gain))

    @property
    def parameter(self) -> Parameter:
        """The weights, for an optimiser."""
        n, n_out = self.w_out.shape
        return Parameter("readout", self.w_out.reshape(-1), neuron=np.repeat(np.arange(n), n_out))

    def follow(self, before: Array, learning_rate: float) -> None:
        """Let the feedback follow the weights, which were `before` (neuron, output) until an update with that learning rate."""
        follow_readout(self.rule, self.w_out, self.feedback, before, learning_rate)


def make_readout(
    w_out: Array,
    *,
    kappa: float,
    gain: float = 1.0,
    feedback: Literal["symmetric", "random", "adaptive"] = "symmetric",
    drawn: Array | None = None,
    decay: float = 0.01,
) -> Readout:
    """Make a readout with its feedback.

    Parameters
    ----------
    w_out : (neuron, output)
    kappa, gain : float
    feedback : str
        ``symmetric``: the readout's weights; ``random``: `drawn`, fixed; ``adaptive``: `drawn` and then changed as the weights
        are, both decaying by `decay` of the learning rate per update (Kolen & Pollack 1994).
    drawn : (output, neuron), optional
        Not needed by symmetric feedback.
    decay : float

    """
    w_out = np.ascontiguousarray(w_out)
    if feedback == "symmetric":
        drawn = w_out.T
    if drawn is None:
        raise ValueError(f"{feedback} feedback has to be drawn")
    rule = FeedbackRule(kind=int(Feedback[feedback.upper()]), gain=1.0, decay=decay)
    return Readout(w_out, np.array(drawn, w_out.dtype, order="C"), kappa, gain, rule)
