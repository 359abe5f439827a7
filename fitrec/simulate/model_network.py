"""Networks of compiled neurons, and the trials they run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fitrec.kernels.cpu.aligned import aligned_empty, aligned_zeros, is_aligned
from fitrec.kernels.cpu.model_state import Drive, Events, Parameters, State, Wiring, new_state, padded
from fitrec.neurons.compile import CompiledModel
from fitrec.simulate.synapses import Synapses, no_synapses


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What to record of a trial.

    Attributes
    ----------
    tape : bool
        Keep what the derivatives need.
    rows : tuple of str
        States to record.
    every : int
        Steps between records; the first is at the end of step `every` - 1.

    """

    tape: bool = False
    rows: tuple[str, ...] = ()
    every: int = 1


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial, or a window of one, that has been run.

    Attributes
    ----------
    state : State
        At its end.
    inputs, spikes : Events
        By step of arrival: `spikes` of step t were emitted `delay_steps` before.
    emitted : Events
        By step of emission.
    pending : Events
        Spikes still on their way at the end, by step of arrival.
    tape : (step or 0, kept * padded)
    sampled : (sample, row, neuron)
        Recorded states.

    """

    state: State
    inputs: Events
    spikes: Events
    emitted: Events
    pending: Events
    tape: NDArray[Any]
    sampled: NDArray[Any]

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.inputs.indptr) - 1

    def cut(self, first: int, last: int) -> "Trial":
        """Return some of the steps of a trial with its tape, for rules; the state stays that of the end."""
        inputs, spikes = (Events(e.indptr[first : last + 1], e.source) for e in (self.inputs, self.spikes))
        return replace(self, inputs=inputs, spikes=spikes, tape=self.tape[first:last])


class ModelNetwork:
    """A network of neurons of one compiled model.

    Parameters
    ----------
    compiled : CompiledModel
    n, n_inputs : int
        Neurons; inputs, whose spikes are given.
    dt_ms : float
    plastic, static : Synapses
        `plastic.weight` holds the initial weights only; trials are given weights.
    delay_steps : int
        Steps from a neuron's spike to its arrival, at least 1. Spikes of inputs arrive in the step they are given for.
    dtype : float32 or float64
    changed : mapping, optional
        Values of the model's parameters other than its own.
    seed : int
        Of the noise.

    """

    def __init__(
        self,
        compiled: CompiledModel,
        *,
        n: int,
        n_inputs: int,
        dt_ms: float,
        plastic: Synapses,
        static: Synapses | None = None,
        delay_steps: int = 1,
        dtype: DTypeLike = np.float32,
        changed: Mapping[str, ArrayLike] | None = None,
        seed: int = 1,
    ) -> None:
        self.compiled, self.n, self.n_inputs, self.dt_ms = compiled, n, n_inputs, dt_ms
        self.delay_steps, self.seed, self.dtype = delay_steps, seed, np.dtype(dtype)
        self.plastic = plastic
        self.static = no_synapses(n, n_inputs, self.dtype) if static is None else static
        self.change(changed or {})
        self._static_fixed = np.rint(self.static.weight.astype(np.float64) * self.parameters.one).astype(np.int64)

    @property
    def width(self) -> int:
        """Neurons with padding."""
        return padded(self.n)

    def change(self, changed: Mapping[str, ArrayLike]) -> None:
        """Give parameters other values; those not named have the model's."""
        self.changed = dict(changed)
        self.parameters: Parameters = self.compiled.parameters(self.dt_ms, self.n, self.dtype, changed)

    def wiring(self, weights: NDArray[Any]) -> Wiring:
        """Kernel form of the synapses with the given plastic weights."""
        return Wiring(
            self.static.indptr, self.static.target, self._static_fixed, self.plastic.indptr, self.plastic.target, weights
        )

    def rest(self, initial: Mapping[str, ArrayLike] | None = None) -> State:
        """State at the beginning of a trial; `initial` gives states other values than the model's, per neuron or for all."""
        names = [s.name for s in self.compiled.model.states]
        values = np.repeat(self.compiled.initial()[:, None], self.n, axis=1)
        for name, value in (initial or {}).items():
            values[names.index(name)] = value
        return new_state(self.n, values, len(self.compiled.blocks.filtered), len(self.compiled.model.ports), self.dtype)

    def run(
        self,
        weights: NDArray[Any],
        inputs: Events,
        *,
        recording: Recording,
        current: NDArray[Any] | None = None,
        current_every: int = 1,
        state: State | None = None,
        before: Trial | None = None,
        tape: NDArray[Any] | None = None,
        first_step: int = 0,
        trial: int = 0,
        condition: int = 0,
    ) -> Trial:
        """Run a trial, or go on with one.

        Parameters
        ----------
        weights : (synapse,)
            Of the plastic synapses.
        inputs : Events
            Spikes of the inputs by step, sources n + input.
        current : (row, current, neuron), optional
            Values of the model's currents, each row for `current_every` steps, the last one to the end; 0 without it. Or what
            `currents` made of them.
        state : State, optional
            To begin with, changed in place; `rest()` without it. Its neurons have not spiked before unless `before` says so.
        before : Trial, optional
            The steps before, from whose end this goes on.
        tape : array, optional
            To be used for the tape, if it is large enough (`new_tape`): memory that has been used before is faster.
        first_step, trial, condition : int
            Counters of the noise.

        """
        n_steps, delay = len(inputs.indptr) - 1, self.delay_steps
        if state is None:
            state = self.rest() if before is None else before.state
        source, indptr = self._start(n_steps, before)
        names = [s.name for s in self.compiled.model.states]
        sample = np.array([names.index(r) for r in recording.rows], np.int64)
        rows = n_steps if recording.tape else 0
        tape = self.new_tape(rows) if tape is None or len(tape) < rows or not is_aligned(tape) else tape[:rows]
        samples = n_steps // recording.every if len(sample) else 0
        sampled = np.empty((samples, len(sample) * self.width), self.dtype)
        drive = Drive(self.currents(current), current_every, self._noise_state(names), trial, condition, self.seed)
        begin = State._make(a.copy() for a in state) if len(source) < indptr[delay] + self.n * n_steps else state
        while True:
            spikes = Events(indptr, source)
            count = self.compiled.cpu.simulate(
                self.parameters,
                self.wiring(weights),
                state,
                drive,
                inputs,
                spikes,
                delay,
                first_step,
                n_steps,
                self.n,
                tape,
                sample,
                recording.every,
                sampled,
            )
            if count >= 0:
                break
            source = np.concatenate((source, np.empty(len(source), np.int32)))  # the trial is run again, with more room
            for a, b in zip(state, begin, strict=True):
                a[:] = b
        source = source[:count].copy()
        return Trial(
            state=state,
            inputs=inputs,
            spikes=Events(indptr[: n_steps + 1], source),
            emitted=Events(indptr[delay:], source),
            pending=Events(indptr[n_steps:] - indptr[n_steps], source[indptr[n_steps] :]),
            tape=tape,
            sampled=sampled.reshape(samples, len(sample), self.width)[:, :, : self.n],
        )

    def _start(self, n_steps: int, before: Trial | None) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Room for spikes, with those that are still on their way in front."""
        indptr = np.zeros(self.delay_steps + n_steps + 1, np.int64)
        earlier = np.zeros(0, np.int32)
        if before is not None:
            indptr[: self.delay_steps + 1], earlier = before.pending
        room = len(earlier) + self.n + int(0.03 * self.n * n_steps * self.dt_ms)  # 30 Hz
        source = np.empty(room, np.int32)
        source[: len(earlier)] = earlier
        return source, indptr

    def new_tape(self, n_steps: int) -> NDArray[Any]:
        """Room for what the derivatives need of so many steps."""
        return aligned_empty((n_steps, self.compiled.blocks.kept * self.width), self.dtype)

    def currents(self, current: NDArray[Any] | None) -> NDArray[Any]:
        """Bring values of the currents, (row, current, neuron), into the kernels' form."""
        n_currents = len(self.compiled.model.currents)
        if current is None:
            return aligned_zeros((1, n_currents * self.width), self.dtype)
        if current.ndim == 2:
            return current
        table = aligned_zeros((len(current), n_currents, self.width), self.dtype)
        table[:, :, : self.n] = current
        return table.reshape(len(current), -1)

    def _noise_state(self, names: list[str]) -> int:
        noise = self.compiled.model.noise
        return 0 if noise is None else names.index(noise.state)


def events(raster: NDArray[Any], first_source: int) -> Events:
    """Return events of a raster (step, input), the inputs being sources from `first_source` on."""
    step, source = np.nonzero(raster)
    counts = np.bincount(step, minlength=len(raster))
    return Events(np.concatenate(([0], np.cumsum(counts))).astype(np.int64), (source + first_source).astype(np.int32))
