"""Runs batches of trials with the time loop of ``lif.cu``."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.wiring import Index

BLOCK = 256
# Below this mean length of the runs of equal weight, a weight per synapse is read instead: a run keeps a warp busy.
_SHORT_RUN = 64


class Setting(NamedTuple):
    """What does not change between the trials of one condition; the arrays are on the device.

    Attributes
    ----------
    drive : (neuron,) float32
    slot : (neuron,) int32
        Position among the trained neurons, -1 for others.
    ff_probability : (ms, ff) float32
    stimulus_steps : int
        Length of the stimulus, an Ornstein-Uhlenbeck process with `stimulus_decay` and `stimulus_noise` per step; 0 for none.
    ff_start : int
        Step from which on `ff_probability` counts.
    trace_power : (longest chunk + 1,) float32, on the host
        See `kernels.cpu.lif.advance`.
    initial : (span E, reset E, span I, reset I)
        The initial voltages are drawn from N(reset, span^2).

    """

    constants: lif.Constants
    drive: Any
    slot: Any
    ff_probability: Any
    condition: int
    stimulus_start: int
    stimulus_steps: int
    stimulus_decay: np.float32
    stimulus_noise: np.float32
    ff_start: int
    steps_per_ms: int
    trace_power: NDArray[np.float32]
    initial: tuple[np.float32, np.float32, np.float32, np.float32]


class Projections(NamedTuple):
    """The kernel's struct ``Wiring``; see `kernels.cpu.lif.Wiring`."""

    procedural: Any  # a struct too
    static_indptr: Any
    static_indices: Any
    run_indptr: Any
    run_end: Any
    run_fixed: Any  # with `Wiring.by_synapse`: the weight of each synapse
    plastic_indptr: Any
    plastic_indices: Any
    plastic_fixed: Any
    trained: Any
    ff_fixed: Any


class Wiring(NamedTuple):
    """Projections on the device, and whether their static weights stand per synapse."""

    projections: Projections
    by_synapse: bool


class Output(NamedTuple):
    """What a run records; the kernel's struct of this name."""

    counts: Any
    traces: Any
    ff_traces: Any
    static_current: Any
    spikes: Any
    n_spikes: Any
    capacity: np.int64
    with_counts: np.int32
    with_traces: np.int32
    sample_every: np.int32


class _Sizes(NamedTuple):
    n: np.int32
    n_ff: np.int32
    n_trained: np.int32
    n_trials: np.int32
    wide: np.int32
    by_synapse: np.int32


class _State(NamedTuple):
    v: Any
    u_static: Any
    u_plastic: Any
    in_static: Any
    in_plastic: Any
    refractory: Any
    trace: Any
    ff_trace: Any
    fired: Any
    stimulus: Any
    sample_sum: Any


class _Inputs(NamedTuple):
    trials: Any
    condition: np.uint32
    drive: Any
    forced: Any
    slot: Any
    is_forced: np.int32
    own: np.float32
    stimulus_start: np.int32
    stimulus_steps: np.int32
    stimulus_decay: np.float32
    stimulus_noise: np.float32
    ff_probability: Any
    ff_start: np.int32
    steps_per_ms: np.int32


class _Span(NamedTuple):
    step: np.int32
    n_chunks: np.int32
    chunk_steps: np.int32
    chunk_decay: np.float32
    trace_power: Any


def upload(device: Device, wiring: lif.Wiring, index: Index) -> Wiring:
    """Copy static projections, not cut into parts, to the device, beside the plastic ones; for weights there is only room."""
    assert len(wiring.bounds) == 2
    p, given = wiring.procedural, wiring._asdict()
    by_synapse = len(wiring.static_indices) < _SHORT_RUN * len(wiring.run_fixed)
    if by_synapse:
        given["run_fixed"] = np.repeat(wiring.run_fixed, np.diff(wiring.run_end, prepend=0))
    made = {
        "procedural": p._replace(strata=device.asarray(p.strata), fixed=device.asarray(p.fixed)),
        "plastic_indptr": index.indptr,
        "plastic_indices": index.target,
        "plastic_fixed": device.xp.zeros(len(index.target), np.int64),
        "ff_fixed": device.xp.zeros(wiring.ff_fixed.shape, np.int64),
    }
    rest = {name: device.asarray(given[name]) for name in Projections._fields if name not in made}
    return Wiring(Projections(**made, **rest), by_synapse)


def state_bytes(n: int, n_ff: int) -> int:
    """Device memory that the state of one trial takes."""
    return n * (7 * 4 + 4 * 8) + n_ff * 4 + n + n_ff


class Batch:
    """Trials of one condition that advance together on a device, from random initial voltages.

    Attributes
    ----------
    state
        Arrays on the device, (trial, ...): v, u_static, u_plastic, trace, ff_trace and more; see ``State`` in lif.cu.
    projections : Projections
        Also on the device; their weights may change between calls of `advance`.

    """

    def __init__(self, device: Device, setting: Setting, wiring: Wiring, trials: NDArray[np.int64]) -> None:
        xp, f, i = device.xp, np.float32, np.int64
        block = BLOCK
        self._device, self._setting, self._block = device, setting, block
        n, n_ff, m = len(setting.drive), setting.ff_probability.shape[1], len(trials)
        self._trials = device.asarray(trials.astype(np.uint32))
        self.projections = projections = wiring.projections
        self._sizes = _Sizes(
            n=np.int32(n),
            n_ff=np.int32(n_ff),
            n_trained=np.int32(len(projections.trained)),
            n_trials=np.int32(m),
            wide=np.int32(projections.static_indices.dtype.itemsize == 4),
            by_synapse=np.int32(wiring.by_synapse),
        )
        self.state = _State(
            v=xp.zeros((m, n), f),
            u_static=xp.zeros((m, n), f),
            u_plastic=xp.zeros((m, n), f),
            in_static=xp.zeros((2, m, n), i),
            in_plastic=xp.zeros((2, m, n), i),
            refractory=xp.zeros((m, n), np.int32),
            trace=xp.zeros((m, n), f),
            ff_trace=xp.zeros((m, n_ff), f),
            fired=xp.zeros((m, n + n_ff), np.uint8),
            stimulus=xp.zeros((m, n), f),
            sample_sum=xp.zeros((m, n), f),
        )
        c = setting.constants
        counters = np.int64(c.n_exc), np.uint32(setting.condition), np.uint32(c.seed)
        args = (self.state.v, self._trials, np.int32(n), np.int32(m), *counters, *setting.initial)
        device.launch("lif", "lif_initial_voltage", -(-n // block), block, args)
        tiles = m * -(-(n + n_ff) // block)
        self._grid = min(tiles, device.resident_blocks("lif", "lif_run", block))
        self._arrived = xp.zeros(1, np.uint32)
        self._trace_power = device.asarray(setting.trace_power)

    def advance(
        self,
        step: int,
        n_chunks: int,
        chunk_steps: int,
        output: Output,
        *,
        own: float = 1.0,
        forced: Any = None,
    ) -> None:
        """Start advancing all trials by ``n_chunks * chunk_steps`` steps from absolute step `step` on; does not wait.

        Parameters
        ----------
        output : Output
            Receives counts, traces and spikes, made by `new_output` for this number of chunks, or for none.
        own : float
            Weight of each neuron's own plastic current.
        forced : (chunk, trained) float32, on the device, optional
            Drive added to the trained neurons during each chunk.

        """
        device, s = self._device, self._setting
        inputs = _Inputs(
            trials=self._trials,
            condition=np.uint32(s.condition),
            drive=s.drive,
            forced=s.drive if forced is None else forced,
            slot=s.slot,
            is_forced=np.int32(forced is not None),
            own=np.float32(own),
            stimulus_start=np.int32(s.stimulus_start),
            stimulus_steps=np.int32(s.stimulus_steps),
            stimulus_decay=s.stimulus_decay,
            stimulus_noise=s.stimulus_noise,
            ff_probability=s.ff_probability,
            ff_start=np.int32(s.ff_start),
            steps_per_ms=np.int32(s.steps_per_ms),
        )
        span = _Span(
            step=np.int32(step),
            n_chunks=np.int32(n_chunks),
            chunk_steps=np.int32(chunk_steps),
            chunk_decay=np.float32(s.trace_power[chunk_steps] / s.constants.charge_p),
            trace_power=self._trace_power,
        )
        self._arrived.fill(0)
        structs = (s.constants, self.projections, self._sizes, self.state, inputs, span, output)
        args = (*map(pack, structs), self._arrived)
        device.launch("lif", "lif_run", self._grid, self._block, args, cooperative=True)


def new_output(
    device: Device, n_trials: int, n_chunks: int, n: int, n_ff: int, *, sample_every: int = 0, capacity: int = 0
) -> Output:
    """Make arrays for the counts of each chunk, for traces and static currents if sampled, and for `capacity` spikes a trial."""
    xp = device.xp
    rows = n_chunks if sample_every else 0
    return Output(
        counts=xp.zeros((n_trials, n_chunks, n), np.uint16),
        traces=xp.zeros((n_trials, rows, n), np.float32),
        ff_traces=xp.zeros((n_trials, rows, n_ff), np.float32),
        static_current=xp.zeros((n_trials, rows, n), np.float32),
        spikes=xp.zeros((n_trials, capacity), np.uint64),
        n_spikes=xp.zeros(n_trials, np.uint64),
        capacity=np.int64(capacity),
        with_counts=np.int32(n_chunks > 0),
        with_traces=np.int32(sample_every > 0),
        sample_every=np.int32(sample_every),
    )


def output_bytes(n_chunks: int, n: int, n_ff: int, *, traces: bool, capacity: int) -> int:
    """Device memory that the recordings of one trial take."""
    return n_chunks * n * 2 + (n_chunks * (8 * n + 4 * n_ff) if traces else 0) + 8 * (capacity + 1)
