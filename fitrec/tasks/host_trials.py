"""Batches of a task's trials on the CPU, one thread per trial; and what a task says of a trial."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fitrec.kernels.cpu.model_state import Events
from fitrec.learn.gradient.rules import Rule, Signals
from fitrec.simulate.model_network import ModelNetwork, Recording, Trial
from fitrec.threads import thread_map

Item = TypeVar("Item")


class Judged(NamedTuple):
    """What a task makes of a trial."""

    loss: float
    correct: bool
    signals: Signals
    readout: NDArray[Any]  # (neuron, output) gradient of the readout


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A trial about to be run.

    Attributes
    ----------
    inputs : Events
    judge : callable
        Of the trial with what it recorded, its tape apart.
    initial : mapping
        States at its beginning, as `ModelNetwork.rest` takes them.
    number : int
        Counter of the noise.
    recording : Recording

    """

    inputs: Events
    judge: Callable[[Trial], Judged]
    initial: Mapping[str, ArrayLike] = field(default_factory=dict)
    number: int = 0
    recording: Recording = field(default_factory=Recording)


class Outcome(NamedTuple):
    """What is left of a trial."""

    loss: float
    correct: bool
    readout: NDArray[Any]  # (neuron, output) gradient of the readout
    rate_hz: NDArray[np.float64]  # (neuron,)


class Batches(Protocol):
    """Runs batches of trials with the present weights and takes their gradients; CPU and device give the same bits."""

    @property
    def weights(self) -> NDArray[Any]:
        """(synapse,): the present weights; not to be changed."""

    def run(self, items: Sequence[Item], prepare: Callable[[Item], Prepared], *, learning: bool) -> tuple[list[Outcome], Any]:
        """Run a trial for each item; the mean of their gradients by the synapses, if they learn, lies where the weights do."""


class HostBatches:
    """Batches on the CPU.

    Parameters
    ----------
    network : ModelNetwork
    weights : (synapse,)
        Of the plastic synapses; an optimiser changes them in place.
    make_rule : callable
    learns : bool
        Whether the synapses learn.
    threads : int, optional

    """

    def __init__(
        self,
        network: ModelNetwork,
        weights: NDArray[Any],
        make_rule: Callable[[], Rule],
        *,
        learns: bool,
        threads: int | None,
    ) -> None:
        self._network, self.weights, self._make_rule = network, weights, make_rule
        self._learns, self._threads = learns, threads
        self._memory = threading.local()  # of each thread: the tape of its last trial

    def run(self, items: Sequence[Item], prepare: Callable[[Item], Prepared], *, learning: bool) -> tuple[list[Outcome], Any]:
        """Run a trial for each item; return what is left of them, and the mean gradient by the synapses."""
        learning = learning and self._learns
        found = thread_map(lambda item: self._one(prepare(item), learning=learning), items, self._threads)
        synapses = np.zeros_like(self.weights)
        for _, gradient in found:
            synapses += gradient
        return [outcome for outcome, _ in found], synapses / len(items)

    def _one(self, given: Prepared, *, learning: bool) -> tuple[Outcome, NDArray[Any] | float]:
        network, recording = self._network, given.recording
        trial = network.run(
            self.weights,
            given.inputs,
            recording=Recording(tape=learning, rows=recording.rows, every=recording.every),
            state=network.rest(given.initial),
            trial=given.number,
            tape=getattr(self._memory, "tape", None),
        )
        self._memory.tape = trial.tape
        judged = given.judge(trial)
        if not learning:
            return outcome_of(judged, trial, network), 0.0
        rule = self._make_rule()
        gradient = rule.new_gradient()
        rule.add(self.weights, trial, judged.signals, gradient)
        return outcome_of(judged, trial, network), gradient.plastic


def outcome_of(judged: Judged, trial: Trial, network: ModelNetwork) -> Outcome:
    """Keep of a trial what a batch is summed up from."""
    counts = np.bincount(trial.emitted.source, minlength=network.n)
    return Outcome(judged.loss, judged.correct, judged.readout, counts / (trial.n_steps * network.dt_ms / 1000))
