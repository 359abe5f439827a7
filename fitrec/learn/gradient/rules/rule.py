"""What every gradient rule takes and gives."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.simulate.model_network import Trial


@dataclass(frozen=True, kw_only=True)
class Signals:
    """Learning signals of a trial: derivatives of the loss.

    Attributes
    ----------
    rows : tuple of str
        States that the loss depends on.
    every : int
        Steps between learning signals; the first is at the end of step `every` - 1.
    states : (sample, row, neuron)
        Derivatives by these states.
    spikes : (row, neuron), optional
        Derivatives by the spikes, each row of `spikes_every` steps; needs a model compiled with ``spike_signal``.
    spikes_every : int

    """

    rows: tuple[str, ...] = ()
    every: int = 1
    states: NDArray[Any] = field(default_factory=lambda: np.zeros((0, 0, 0)))
    spikes: NDArray[Any] | None = None
    spikes_every: int = 1


@dataclass(frozen=True, kw_only=True)
class Gradient:
    """Derivatives of the loss, summed over the trials given to a rule.

    Attributes
    ----------
    plastic : (synapse,)
    parameters : (trainable, neuron)
        By each neuron's trainable parameters.

    """

    plastic: NDArray[Any]
    parameters: NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Adjoints:
    """What comes from the time after a window: derivatives of the later losses.

    Attributes
    ----------
    rows : (row * padded,)
        By the rows at the end of the window.
    filters : (align_pre port * padded,)
        By the filters of ports.
    arriving : (step, port * padded)
        By what arrives in the steps after the window; rules that cut other neurons need none.

    """

    rows: NDArray[Any]
    filters: NDArray[Any]
    arriving: NDArray[Any]


class Rule(Protocol):
    """Adds the gradient of one trial, or of one window of it, to a sum."""

    goes_back: bool
    """Whether derivatives go back from the end of a window; else they go forward, and are carried from window to window."""

    def new_gradient(self) -> Gradient:
        """Return a sum of nothing."""

    def begin(self) -> None:
        """Forget what was carried over from the windows before: a trial begins."""

    def add(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient, after: Adjoints | None = None
    ) -> None:
        """Add the gradient of a trial recorded with its tape; `after`: what `look_back` returned of the steps that follow."""

    def look_back(self, weights: NDArray[Any], trial: Trial, signals: Signals) -> Adjoints | None:
        """Return what comes from a window to the time before it; None from rules that go forward."""
