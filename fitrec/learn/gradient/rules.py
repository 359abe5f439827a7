"""Gradients of the synapses of a network from a trial and its learning signals.

All rules cut the paths through other neurons and differ in how they sum up what is left (DESIGN section 6):

- `LocalAdjoint`: derivatives go back over the window, and a synapse is touched when its source spikes. Exact within the window.
- `DRtrl`: an eligibility trace of every synapse goes forward. The same gradient in another order, also across windows, at a price
  of all synapses in every step.
- `PpProp`: the trace of a synapse is approximated by the product of a presynaptic and a postsynaptic one (Wang et al. 2026).
"""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ModelError
from fitrec.kernels.cpu.model_loop import advance_presynaptic, arrivals_by_source, go_back_products, left_of_arrivals
from fitrec.kernels.cpu.model_state import CHUNK
from fitrec.kernels.cpu.simd import WIDTH
from fitrec.neurons.model import SPIKE
from fitrec.simulate.model_network import ModelNetwork, Trial
from fitrec.simulate.threads import together


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


class _Base:
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

    def _require_no_parameters(self) -> None:
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
        return np.array([self.blocks.rows.index(r) for r in rows], np.int64)

    @property
    def _name(self) -> str:
        return self.network.compiled.model.name

    def padded(self, values: NDArray[Any]) -> NDArray[Any]:
        """Pad the last axis, the neurons, and join it with the one before if there are three."""
        out = np.zeros((*values.shape[:-1], self.network.width), self.network.dtype)
        out[..., : self.network.n] = values
        return out.reshape(len(values), -1)

    def spike_signal(self, signals: Signals) -> NDArray[Any]:
        if signals.spikes is None:
            return np.zeros((0, self.network.width), self.network.dtype)
        self._require_spike_row("the loss depends on spikes")
        return self.padded(signals.spikes)

    def _require_spike_row(self, why: str) -> None:
        if SPIKE not in self.blocks.rows:
            raise ModelError(
                f"{why}, but the model was compiled without spike_signal, or no input reaches its threshold", source=self._name
            )

    def _source_cuts(self, parts: int) -> NDArray[np.int64]:
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

    def _dense(self, trial: Trial, signals: Signals) -> tuple[tuple[str, ...], int, NDArray[Any]]:
        """Join the signals by states and by spikes."""
        signals = self.with_a_path(signals)
        states = self.padded(signals.states) if signals.rows else np.zeros((0, 0), self.network.dtype)
        if signals.spikes is None:
            return signals.rows, signals.every, states
        spikes = np.repeat(self.spike_signal(signals), signals.spikes_every, axis=0)[: trial.n_steps]
        joined = np.zeros((trial.n_steps, len(signals.rows) * self.network.width), self.network.dtype)
        joined[signals.every - 1 :: signals.every][: len(states)] = states
        return (*signals.rows, SPIKE), 1, np.hstack((joined, spikes))


class _Backward(_Base):
    """What the rules share that go back over a window."""

    goes_back = True

    def add(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient, after: Adjoints | None = None
    ) -> None:
        """Add the gradient of a trial recorded with its tape; `after`: what `look_back` returned of the steps that follow."""
        self._go_back(weights, trial, signals, gradient, self._nothing() if after is None else after)

    def look_back(self, weights: NDArray[Any], trial: Trial, signals: Signals) -> Adjoints:
        """Return what comes from a window to the time before it."""
        before = self._nothing()
        self._go_back(weights, trial, signals, None, before)
        return before

    def _nothing(self) -> Adjoints:
        net, ports = self.network, len(self.blocks.derivatives.ports)
        return Adjoints(
            rows=np.zeros(len(self.blocks.rows) * net.width, net.dtype),
            filters=np.zeros(len(self.blocks.filtered) * net.width, net.dtype),
            arriving=np.zeros((net.delay_steps + 1, ports * net.width), net.dtype),
        )

    def _go_back(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient | None, adjoints: Adjoints
    ) -> None:
        """Go back; `adjoints` of the time after the trial become those of the time before. Without gradient nothing is summed."""
        raise NotImplementedError

    def _sums(self) -> NDArray[Any]:
        return np.zeros(len(self.blocks.derivatives.trainable) * self.network.width, self.network.dtype)

    def _add_sums(self, sums: NDArray[Any], gradient: Gradient) -> None:
        """Add the gradient by parameters, (trainable * padded,)."""
        gradient.parameters[:] += sums.reshape(len(gradient.parameters), self.network.width)[:, : self.network.n]


class LocalAdjoint(_Backward):
    """Derivatives that go back over a window, neuron by neuron.

    The gradient that D-RTRL sums up forward, in another order: with delta_j(t) the derivative of the loss by what arrives at
    neuron j in step t, a synapse's gradient is the sum of delta_j over the arrivals of its source's spikes.
    """

    def _go_back(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient | None, adjoints: Adjoints
    ) -> None:
        signals = self.with_a_path(signals)
        net, dtype = self.network, self.network.dtype
        ports, width = len(self.blocks.derivatives.ports), net.width
        cuts = np.linspace(0, width // WIDTH, self.threads + 1).astype(np.int64) * WIDTH
        sources = np.zeros(self.threads + 1, np.int64) if gradient is None else self._source_cuts(self.threads)
        team, sums = np.zeros(WIDTH, np.int64), self._sums()
        arriving = np.empty((2, CHUNK if self.threads > 1 else 1, ports * width), dtype)
        plastic = np.zeros(0, dtype) if gradient is None else gradient.plastic
        rows, wiring = self.row_numbers(signals.rows), net.wiring(weights)
        states = self.padded(signals.states) if signals.rows else np.zeros((0, 0), dtype)
        spikes = self.spike_signal(signals)

        def back(part: int) -> None:
            net.compiled.cpu.go_back(
                net.parameters,
                wiring,
                trial.inputs,
                trial.spikes,
                trial.n_steps,
                trial.tape,
                rows,
                states,
                signals.every,
                spikes,
                signals.spikes_every,
                adjoints.rows,
                adjoints.filters,
                arriving,
                plastic,
                sums,
                sources,
                cuts,
                team,
                part,
            )

        together(back, self.threads)
        if gradient is not None:
            self._add_sums(sums, gradient)


class DRtrl(_Base):
    """An eligibility trace of every synapse and row (Wang et al. 2026, pp_prop.md 1.3), carried from window to window.

    Parameters
    ----------
    cutoff_steps : int, optional
        Synapses whose source has been silent for so many steps have no gradient (Korcsak-Gorzo et al. 2025).

    """

    def __init__(self, network: ModelNetwork, threads: int = 1, cutoff_steps: int | None = None) -> None:
        super().__init__(network, threads)
        self._require_no_parameters()
        self.cutoff_steps = np.iinfo(np.int64).max if cutoff_steps is None else cutoff_steps
        self.begin()

    def begin(self) -> None:
        """Set all traces to 0."""
        net = self.network
        self._traces = np.zeros(len(self.blocks.rows) * net.plastic.n, net.dtype)
        self._presynaptic = np.zeros((len(self.blocks.derivatives.ports), net.n + net.n_inputs), net.dtype)
        self._quiet = np.full(net.n + net.n_inputs, np.iinfo(np.int64).max // 2)

    def add(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient, after: Adjoints | None = None
    ) -> None:
        """Add the gradient of a trial recorded with its tape; what comes after it has its part in later windows."""
        net = self.network
        rows, every, signal = self._dense(trial, signals)
        numbers, wiring, decay = self.row_numbers(rows), net.wiring(weights), self.filter_decay()
        cuts = self._source_cuts(self.threads)
        indptr, step = arrivals_by_source(trial.inputs, trial.spikes, trial.n_steps, net.n + net.n_inputs)

        def follow(part: int) -> None:
            net.compiled.cpu.follow_synapses(
                net.parameters,
                wiring,
                indptr,
                step,
                trial.n_steps,
                trial.tape,
                numbers,
                signal,
                every,
                decay,
                self._traces,
                self._presynaptic,
                self._quiet,
                self.cutoff_steps,
                gradient.plastic,
                cuts[part],
                cuts[part + 1],
            )

        together(follow, self.threads)


class PpProp(_Base):
    """The product of a presynaptic trace and a postsynaptic one in place of every synapse's own (pp_prop.md 1.4).

    ``ex <- a ex + x``, ``ef <- b D ef + (1 - b) df/dI``, gradient += ex (dl/dh . ef) / (1 - b^t), t counted in steps. All
    traces are carried from window to window. Within one the presynaptic traces are summed up from the spikes backward, so that a
    silent source costs nothing.

    Parameters
    ----------
    decay_pre, decay_post : float
        a and b per step, in [0, 1).

    """

    def __init__(self, network: ModelNetwork, *, decay_pre: float, decay_post: float, threads: int = 1) -> None:
        super().__init__(network, threads)
        self._require_no_parameters()
        self.decay_pre, self.decay_post = np.array([decay_pre, decay_post], network.dtype)
        self.begin()

    def begin(self) -> None:
        """Set all traces to 0."""
        ports = len(self.blocks.derivatives.ports)
        self._traces = np.zeros((ports, len(self.blocks.rows) * self.network.width), self.network.dtype)
        sources = self.network.n + self.network.n_inputs
        self._presynaptic = np.zeros((2, ports, sources), self.network.dtype)
        self._steps = 0

    def add(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient, after: Adjoints | None = None
    ) -> None:
        """Add the gradient of a trial recorded with its tape; what comes after it has its part in later windows."""
        net, n_steps = self.network, trial.n_steps
        rows, every, signal = self._dense(trial, signals)
        ports = len(self.blocks.derivatives.ports)
        products = np.zeros((n_steps // every, ports * net.width), net.dtype)
        net.compiled.cpu.weigh_traces(
            net.parameters,
            n_steps,
            trial.tape,
            self.row_numbers(rows),
            signal,
            every,
            self.decay_post,
            trace_correction(self.decay_post, self._steps, n_steps, every),
            self._traces,
            products,
        )
        self._steps += n_steps
        cuts, wiring, decay = self._source_cuts(self.threads), net.wiring(weights), self.filter_decay()

        def back(part: int) -> None:
            go_back_products(
                net.parameters,
                trial.inputs,
                trial.spikes,
                wiring,
                n_steps,
                products,
                every,
                self.decay_pre,
                decay,
                self._presynaptic,
                np.zeros(ports * net.width, net.dtype),
                np.zeros(ports * net.width, net.dtype),
                gradient.plastic,
                cuts,
                part,
            )

        together(back, self.threads)
        left = left_of_arrivals(self.decay_pre, decay, n_steps)
        advance_presynaptic(self._presynaptic, left, trial.inputs, trial.spikes, n_steps)


def trace_correction(decay: np.floating[Any], before: int, n_steps: int, every: int) -> NDArray[Any]:
    """(step // every,): 1 / (1 - decay^t) of pp-prop's postsynaptic traces, t counted from the trial's beginning."""
    seen = before + np.arange(every, n_steps + 1, every)
    return (1.0 / np.maximum(1e-8, 1.0 - np.float64(decay) ** seen)).astype(decay.dtype)


class Bptt(_Backward):
    """Backpropagation through time along all paths, through other neurons as well: the oracle, for small networks.

    The model must be compiled with ``spike_signal``. Every synapse is touched in every step.
    """

    def _go_back(
        self, weights: NDArray[Any], trial: Trial, signals: Signals, gradient: Gradient | None, adjoints: Adjoints
    ) -> None:
        net, dtype = self.network, self.network.dtype
        self._require_spike_row("this rule follows spikes to other neurons")
        signals = self.with_a_path(signals)
        rows, sums = self.row_numbers(signals.rows), self._sums()
        into = self.new_gradient() if gradient is None else gradient
        # Slot t % (delay + 1) belongs to step t of this window; steps of the next one are counted from its own beginning.
        adjoints.arriving[:] = np.roll(adjoints.arriving, trial.n_steps, axis=0)
        net.compiled.cpu.go_back_through_time(
            net.parameters,
            net.wiring(weights),
            trial.inputs,
            trial.spikes,
            net.delay_steps,
            trial.n_steps,
            trial.tape,
            rows,
            self.padded(signals.states) if signals.rows else np.zeros((0, 0), dtype),
            signals.every,
            self.spike_signal(signals),
            signals.spikes_every,
            adjoints.rows,
            adjoints.filters,
            adjoints.arriving,
            into.plastic,
            sums,
            net.n,
        )
        self._add_sums(sums, into)
