"""What the e-prop kernels on the device are told: twins of the NamedTuples of `kernels.eprop`, and rows of spikes as bits."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels import eprop
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.eprop import FeedbackRule
from fitrec.kernels.optimise import Change, Constraint, Numbers, Optimization, numbers

BLOCK = 256


class Neurons(NamedTuple):
    """Parameters of the neurons, and how many there are."""

    decay: Any
    gain: Any
    threshold: Any
    adapt_beta: Any
    adapt_decay: Any
    height: np.float64
    width: np.float64
    v_min: Any
    v_reset: Any
    refractory_steps: np.int32
    reset: np.int32
    surrogate: np.int32
    n_in: np.int32
    n: np.int32
    n_out: np.int32


class Rule(NamedTuple):
    """Parameters of traces, readout and regularisation."""

    c_reg: np.float64
    target_rate: np.float64
    kappa: Any
    ending: Any
    kappa_reg: Any
    new_reg: Any
    readout_decay: Any
    readout_gain: Any
    cutoff_steps: np.int64


class Moments(NamedTuple):
    """Adam's running means, as the weights, and the iterations that each row has had."""

    mean: Any
    square: Any
    done: Any


class Learned(NamedTuple):
    """What changes by learning."""

    w: Any
    w_plastic: Any
    w_out: Any
    feedback: Any
    moments: Moments
    moments_out: Moments


class Descent(NamedTuple):
    """How gradients change weights, and feedback follows them."""

    numbers: Numbers
    follow_gain: Any
    follow_shrink: Any
    optimizer: np.int32
    feedback: np.int32


class Cells(NamedTuple):
    """State of the neurons."""

    v: Any
    adaptation: Any
    refractory: Any


class OnDevice:
    """A network that learns on a device.

    Parameters
    ----------
    device, neurons, rule, learned, optimization, feedback_rule
        As of the kernels in numba; `learned` is copied.

    """

    def __init__(
        self,
        device: Device,
        neurons: eprop.Neurons,
        rule: eprop.Rule,
        learned: eprop.Learned,
        optimization: Optimization,
        feedback_rule: FeedbackRule,
    ) -> None:
        self.device, self.optimization = device, optimization
        self.dtype = learned.w.dtype
        (n_pre, n), n_out, number = learned.w.shape, learned.w_out.shape[1], self.dtype.type
        self.sizes = n_pre - n, n, n_out
        self._w_plastic = learned.w_plastic
        self.neurons = Neurons(
            decay=device.asarray(neurons.decay),
            gain=device.asarray(neurons.gain),
            threshold=device.asarray(neurons.threshold),
            adapt_beta=device.asarray(neurons.adapt_beta),
            adapt_decay=device.asarray(neurons.adapt_decay),
            height=np.float64(neurons.height),
            width=np.float64(neurons.width),
            v_min=number(neurons.v_min),
            v_reset=number(neurons.v_reset),
            refractory_steps=np.int32(neurons.refractory_steps),
            reset=np.int32(neurons.reset),
            surrogate=np.int32(neurons.surrogate),
            n_in=np.int32(n_pre - n),
            n=np.int32(n),
            n_out=np.int32(n_out),
        )
        self.rule = Rule(
            c_reg=np.float64(rule.c_reg),
            target_rate=np.float64(rule.target_rate),
            kappa=number(rule.kappa),
            ending=number(1 - rule.kappa),
            kappa_reg=number(rule.kappa_reg),
            new_reg=number(1 - rule.kappa_reg),
            readout_decay=number(rule.readout_decay),
            readout_gain=number(rule.readout_gain),
            cutoff_steps=np.int64(rule.cutoff_steps),
        )
        self.learned = Learned(
            device.asarray(learned.w),
            device.asarray(learned.w_plastic.view(np.uint8)),
            device.asarray(learned.w_out),
            device.asarray(learned.feedback),
            *(Moments(*(device.asarray(array) for array in eprop.no_moments(w))) for w in (learned.w, learned.w_out)),
        )
        plain = Change(iteration=1, constraint=int(Constraint.NONE), scale=1.0, gain=1.0, limit=np.inf)
        self.descent = Descent(
            numbers=numbers(optimization, plain, self.dtype, 0.0)._replace(rate=number(optimization.learning_rate)),
            follow_gain=number(feedback_rule.gain),
            follow_shrink=number(1 - feedback_rule.decay * optimization.learning_rate),
            optimizer=np.int32(optimization.optimizer),
            feedback=np.int32(feedback_rule.kind),
        )

    def cells(self, copies: int) -> Cells:
        """Neurons at rest, (copies, neuron)."""
        shape, xp = (copies, self.sizes[1]), self.device.xp
        return Cells(xp.zeros(shape, self.dtype), xp.zeros(shape, self.dtype), xp.zeros(shape, np.int32))

    def kernel(self, name: str) -> str:
        """Name of a kernel in the precision of the weights."""
        return f"{name}_{'float' if self.dtype == np.float32 else 'double'}"

    def on_host(self) -> eprop.Learned:
        """Copy of the present weights; waits."""
        w, w_out, feedback = (self.device.to_host(getattr(self.learned, name)) for name in ("w", "w_out", "feedback"))
        return eprop.Learned(w, self._w_plastic, w_out, feedback)


def packed(spikes: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Words of 32 bits, (..., word), of spikes (..., unit)."""
    padding = [(0, 0)] * (spikes.ndim - 1) + [(0, -spikes.shape[-1] % 32)]
    return np.packbits(np.pad(spikes, padding), axis=-1, bitorder="little").view("<u4")


def unpacked(words: NDArray[np.uint32], n: int) -> NDArray[np.bool_]:
    """Spikes of n units; the reverse of `packed`."""
    return np.unpackbits(words.view(np.uint8), axis=-1, count=n, bitorder="little").view(np.bool_)
