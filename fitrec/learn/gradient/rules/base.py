"""What the gradient rules share."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ModelError
from fitrec.kernels.cpu.aligned import aligned_zeros
from fitrec.kernels.cpu.model_state import BackSignals
from fitrec.learn.gradient.rules.rule import Adjoints, Gradient, Signals
from fitrec.neurons.model import SPIKE
from fitrec.simulate.model_network import ModelNetwork, Trial


class RuleBase:
    """What the rules share.

    Parameters
    ----------
    network : ModelNetwork
    threads : int
        Threads per trial; the gradient does not depend on them.

    """

    goes_back = False

    def __init__(self, network: ModelNetwork, threads: int = 1) -> None:
        self.network, self.threads = network, threads
        self.blocks = network.compiled.blocks

    def new_gradient(self) -> Gradient:
        """Return a sum of nothing."""
        return Gradient(
            plastic=np.zeros(self.network.plastic.n, self.network.dtype),
            parameters=np.zeros((len(self.blocks.derivatives.trainable), self.network.n), self.network.dtype),
        )

    def begin(self) -> None:
        """Forget the windows before."""

    def look_back(self, weights: NDArray[Any], trial: Trial, signals: Signals) -> Adjoints | None:
        """Return nothing: traces go forward."""
        return None

    def require_no_parameters(self) -> None:
        """Refuse to leave trainable parameters without a gradient."""
        if self.blocks.derivatives.trainable:
            named = ", ".join(self.blocks.derivatives.trainable)
            raise ModelError(f"this rule has no gradient for neuron parameters ({named}): take local-adjoint", source=self._name)

    def with_a_path(self, signals: Signals) -> Signals:
        """Leave out states that no input reaches by a path with a derivative.

        Raises
        ------
        ModelError
            If a state is not known, or none is left.

        """
        known = self.blocks.derivatives.rows
        for row in signals.rows:
            if row not in known:
                raise ModelError(
                    f"the loss depends on {row!r}, which is no state; there are {', '.join(known)}", source=self._name
                )
        reached = [i for i, row in enumerate(signals.rows) if row in self.blocks.rows]
        if len(reached) == len(signals.rows):
            return signals
        if not reached and signals.spikes is None:
            raise ModelError(
                f"the loss depends on {', '.join(signals.rows)}, which no input reaches by a path with a derivative; "
                f"{', '.join(self.blocks.rows)} are reached",
                source=self._name,
            )
        rows = tuple(signals.rows[i] for i in reached)
        return replace(signals, rows=rows, states=signals.states[:, reached])

    def row_numbers(self, rows: tuple[str, ...]) -> NDArray[np.int64]:
        """Return the places of rows among those that derivatives go through."""
        return np.array([self.blocks.rows.index(r) for r in rows], np.int64)

    @property
    def _name(self) -> str:
        return self.network.compiled.model.name

    def padded(self, values: NDArray[Any]) -> NDArray[Any]:
        """Pad the last axis, the neurons, and join it with the one before if there are three."""
        if values.shape[-1] == self.network.width:
            return np.ascontiguousarray(values, self.network.dtype).reshape(len(values), -1)
        out = aligned_zeros((*values.shape[:-1], self.network.width), self.network.dtype)
        out[..., : self.network.n] = values
        return out.reshape(len(values), -1)

    def spike_signal(self, signals: Signals) -> NDArray[Any]:
        """Return the derivatives by spikes, padded: (row, padded), without rows if there are none."""
        if signals.spikes is None:
            return np.zeros((0, self.network.width), self.network.dtype)
        self.require_spike_row("the loss depends on spikes")
        return self.padded(signals.spikes)

    def require_spike_row(self, why: str) -> None:
        """Refuse a model without derivatives by its spikes."""
        if SPIKE not in self.blocks.rows:
            raise ModelError(
                f"{why}, but the model was compiled without spike_signal, or no input reaches its threshold", source=self._name
            )

    def source_cuts(self, parts: int) -> NDArray[np.int64]:
        """Cut the sources into parts with about as many synapses each."""
        indptr = self.network.plastic.indptr
        goals = indptr[-1] * np.arange(1, parts) / parts
        return np.concatenate(([0], np.searchsorted(indptr, goals), [len(indptr) - 1])).astype(np.int64)

    def filter_decay(self) -> NDArray[Any]:
        """Decay of each align_pre port's filter; 0 for other ports."""
        model = self.network.compiled.model
        values = {p.name: p.value for p in model.parameters} | self.network.changed
        decay = np.zeros(len(model.ports), self.network.dtype)
        for i, port in enumerate(model.ports):
            if port.tau:
                tau = np.unique(np.asarray(values[port.tau], np.float64))
                if len(tau) > 1:
                    why = f"{port.tau!r} differs between neurons, but the port {port.name!r} has one trace per presynaptic neuron"
                    raise ModelError(f"{why} with this rule: give all neurons the same, or take local-adjoint", source=self._name)
                decay[i] = np.exp(-self.network.dt_ms / tau[0])
        return decay

    def dense(self, trial: Trial, signals: Signals) -> tuple[tuple[str, ...], int, NDArray[Any]]:
        """Join the signals by states and by spikes."""
        signals = self.with_a_path(signals)
        states = self.padded(signals.states) if signals.rows else np.zeros((0, 0), self.network.dtype)
        if signals.spikes is None:
            return signals.rows, signals.every, states
        spikes = np.repeat(self.spike_signal(signals), signals.spikes_every, axis=0)[: trial.n_steps]
        if not signals.rows:
            return (SPIKE,), 1, spikes
        joined = np.zeros((trial.n_steps, len(signals.rows) * self.network.width), self.network.dtype)
        joined[signals.every - 1 :: signals.every][: len(states)] = states
        return (*signals.rows, SPIKE), 1, np.hstack((joined, spikes))


class BackwardRule(RuleBase, ABC):
    """What the rules share that go back over a window."""

    goes_back = True

    def add(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient, after: Adjoints | None = None
    ) -> None:
        """Add the gradient of a trial recorded with its tape; `after`: what `look_back` returned of the steps that follow."""
        self._go_back(weights, trial, signals, gradient, self.nothing() if after is None else after)

    def look_back(self, weights: NDArray[Any], trial: Trial, signals: Signals) -> Adjoints:
        """Return what comes from a window to the time before it."""
        before = self.nothing()
        self._go_back(weights, trial, signals, None, before)
        return before

    def nothing(self) -> Adjoints:
        """Return what comes from the time after a trial."""
        net, ports = self.network, len(self.blocks.derivatives.ports)
        return Adjoints(
            rows=aligned_zeros(len(self.blocks.rows) * net.width, net.dtype),
            filters=aligned_zeros(len(self.blocks.filtered) * net.width, net.dtype),
            arriving=aligned_zeros((net.delay_steps + 1, ports * net.width), net.dtype),
        )

    def back_signals(self, signals: Signals) -> BackSignals:
        """Return the kernels' form of learning signals."""
        signals = self.with_a_path(signals)
        rows = self.row_numbers(signals.rows)
        place = np.full(len(self.blocks.rows), -1, np.int64)
        place[rows] = np.arange(len(rows))
        states = self.padded(signals.states) if signals.rows else np.zeros((0, 0), self.network.dtype)
        return BackSignals(place, states, signals.every, self.spike_signal(signals), signals.spikes_every)

    @abstractmethod
    def _go_back(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient | None, adjoints: Adjoints
    ) -> None:
        """Go back; `adjoints` of the time after the trial become those of the time before. Without gradient nothing is summed."""

    def sums(self) -> NDArray[Any]:
        """Return sums of nothing by parameters, (trainable * padded,)."""
        return aligned_zeros(len(self.blocks.derivatives.trainable) * self.network.width, self.network.dtype)

    def add_sums(self, sums: NDArray[Any], gradient: Gradient) -> None:
        """Add the gradient by parameters, (trainable * padded,)."""
        gradient.parameters[:] += sums.reshape(len(gradient.parameters), self.network.width)[:, : self.network.n]
