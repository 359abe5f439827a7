"""Mini-batches of trials of a network of compiled neurons: run in parallel, gradients averaged, weights updated."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitrec.learn.gradient.constraints import Limits, Parameter
from fitrec.learn.gradient.optimisers import Optimiser, Settings
from fitrec.learn.gradient.readout import Readout
from fitrec.learn.gradient.rules import DRtrl, LocalAdjoint, PpProp, Rule, Signals
from fitrec.simulate.model_network import ModelNetwork, Recording, Trial
from fitrec.simulate.threads import thread_map

Item = TypeVar("Item")
RuleName = Literal["local-adjoint", "pp-prop", "d-rtrl"]


class Judged(NamedTuple):
    """What a task makes of a trial."""

    loss: float
    correct: bool
    signals: Signals | None  # None if nothing is to be learned from it
    readout: NDArray[Any] | None  # (neuron, output) gradient of the readout


class Batch(NamedTuple):
    """Means over a batch of trials."""

    loss: float
    accuracy: float
    rate_hz: NDArray[np.float64]  # (neuron,)
    gradient_norm: float  # before clipping; 0 without learning


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A trial about to be run."""

    run: Callable[[Recording, NDArray[Any] | None], Trial]  # given what to record, and memory for the tape
    recording: Recording
    judge: Callable[[Trial], Judged]


class Trainer:
    """Learns from batches of trials, with weights that are the same for all trials of a batch.

    Trials are run on threads of their own and their gradients are added up in the order of the trials, so that the number of
    threads changes no bit.

    Parameters
    ----------
    network : ModelNetwork
    weights : (synapse,)
        Of the plastic synapses; changed in place.
    readout : Readout
        Its weights are changed in place.
    rule : str
    trace_ms : float
        Time constant of the traces of pp-prop.
    limits : Limits
        Of the synapses.
    settings : Settings
    readout_only : bool
        Leave the synapses as they are: what the untrained network alone is good for.
    rate : float
        Learning rate of the synapses relative to that of the readout, as weights have units of their own.
    threads : int, optional

    """

    def __init__(
        self,
        network: ModelNetwork,
        weights: NDArray[Any],
        readout: Readout,
        *,
        rule: RuleName,
        trace_ms: float,
        limits: Limits,
        settings: Settings,
        readout_only: bool = False,
        rate: float = 1.0,
        threads: int | None,
    ) -> None:
        self.network, self.weights, self.readout, self._threads = network, weights, readout, threads
        self._rule, self._decay = rule, float(np.exp(-network.dt_ms / trace_ms))
        neuron = network.plastic.target % network.width
        self._memory = threading.local()  # of each thread: the tape of its last trial
        self._synapses = Parameter("synapses", weights, limits, neuron=neuron, rate=rate, frozen=readout_only)
        self.optimiser = Optimiser([self._synapses, readout.parameter], settings, threads=threads)

    def learn(self, items: Sequence[Item], prepare: Callable[[Item], Prepared]) -> Batch:
        """Run a trial for each item with the present weights; then change them."""
        found = thread_map(lambda item: self._one(prepare(item), learning=True), items, self._threads)
        synapses, w_out = np.zeros_like(self.weights), np.zeros_like(self.readout.w_out)
        for _, _, gradients in found:
            synapses += gradients[0]
            w_out += gradients[1]
        before = self.readout.w_out.copy()
        step = self.optimiser.step({"synapses": synapses / len(items), "readout": w_out.reshape(-1) / len(items)})
        self.readout.follow(before, step.learning_rate)
        return _summary([judged for judged, _, _ in found], [rate for _, rate, _ in found], step.norm)

    def test(self, items: Sequence[Item], prepare: Callable[[Item], Prepared]) -> Batch:
        """Run a trial for each item, without learning."""
        found = thread_map(lambda item: self._one(prepare(item), learning=False), items, self._threads)
        return _summary([judged for judged, _, _ in found], [rate for _, rate, _ in found], 0.0)

    def _one(self, prepared: Prepared, *, learning: bool) -> tuple[Judged, NDArray[np.float64], tuple[NDArray[Any], ...]]:
        recording = prepared.recording
        learning_synapses = learning and not self._synapses.frozen
        recording = Recording(tape=learning_synapses, rows=recording.rows, every=recording.every)
        trial = prepared.run(recording, getattr(self._memory, "tape", None))
        self._memory.tape = trial.tape
        judged = prepared.judge(trial)
        seconds = trial.n_steps * self.network.dt_ms / 1000
        rate = np.bincount(trial.emitted.source, minlength=self.network.n) / seconds
        if not learning:
            return judged, rate, ()
        assert judged.signals is not None and judged.readout is not None  # noqa: PT018
        rule = self._new_rule()
        gradient = rule.new_gradient()
        if learning_synapses:
            rule.add(self.weights, trial, judged.signals, gradient)
        return judged._replace(signals=None, readout=None), rate, (gradient.plastic, judged.readout)

    def _new_rule(self) -> Rule:
        if self._rule == "pp-prop":
            return PpProp(self.network, decay_pre=self._decay, decay_post=self._decay)
        return DRtrl(self.network) if self._rule == "d-rtrl" else LocalAdjoint(self.network)


def _summary(judged: list[Judged], rates: list[NDArray[np.float64]], norm: float) -> Batch:
    return Batch(
        loss=float(np.mean([each.loss for each in judged])),
        accuracy=float(np.mean([each.correct for each in judged])),
        rate_hz=np.mean(rates, axis=0),
        gradient_norm=norm,
    )
