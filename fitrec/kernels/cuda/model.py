"""Runs batches of trials of compiled neuron models: drives ``neurons/templates/loop.cu``."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import model_state
from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device

BLOCK = 256


class Wiring(NamedTuple):
    """The kernels' struct of this name; see `kernels.cpu.model_state.Wiring`. On the device."""

    static_indptr: Any
    static_target: Any
    static_fixed: Any
    plastic_indptr: Any
    plastic_target: Any
    plastic_weight: Any


class State(NamedTuple):
    """State of a batch of trials, (trial, ...) on the device; see `kernels.cpu.model_state.State`."""

    states: Any
    filters: Any
    last: Any
    wait: Any
    arriving: Any  # (2, trial, port * padded) int64, zeros between launches


class Events(NamedTuple):
    """Spikes of the inputs of a batch of trials: by step for the time loop, by input for the way back. On the device.

    Attributes
    ----------
    indptr : (trial, step + 1) int64
        Places in `source`.
    source : (event,) int32
    by_input : (trial, input + 1) int64
        Places in `step`.
    step : (event,) int32
        Ascending for each input.

    """

    indptr: Any
    source: Any
    by_input: Any
    step: Any


class Drive(NamedTuple):
    """Values of the currents and counters of the noise; see `kernels.cpu.model_state.Drive`.

    Attributes
    ----------
    current : (row, current * padded)
        On the device; the same in all trials.
    trials : (trial,) uint32
        On the device.

    """

    current: Any
    every: int
    trials: Any
    condition: int
    seed: int
    first_step: int


class Record(NamedTuple):
    """What a run records; the kernels' struct of this name. Arrays on the device.

    Attributes
    ----------
    raster : (trial, delay + step, word) uint32
        Bit i % 32 of word i // 32 in row t says whether neuron i's spike arrives in step t; it was emitted `delay` steps before.
    tape : (trial, step, kept * padded), or an empty array
    sample : (row,) int64
        States recorded in each step whose number plus one is a multiple of `every`.
    sampled : (trial, step // every, row * padded)

    """

    raster: Any
    tape: Any
    sample: Any
    sampled: Any
    n_sample: np.int32
    every: np.int32
    n_steps: np.int32


class _Parameters(NamedTuple):
    vectors: Any
    noise: Any
    scale: Any
    one: Any
    noisy: np.int32
    n: np.int32
    width: np.int32
    n_sources: np.int32
    n_trials: np.int32
    delay: np.int32


class _Inputs(NamedTuple):
    indptr: Any
    source: Any
    current: Any
    current_rows: np.int32
    current_every: np.int32
    trials: Any
    condition: np.uint32
    seed: np.uint32
    first_step: np.uint32


class Shape(NamedTuple):
    """Sizes of a model and its network."""

    states: int
    ports: int
    filters: int
    rows: int
    kept: int
    trainable: int
    n: int
    n_inputs: int
    delay: int

    @property
    def width(self) -> int:
        """Neurons with padding."""
        return model_state.padded(self.n)

    @property
    def words(self) -> int:
        """Words of a row of a raster."""
        return -(-self.n // 32)

    def trial_bytes(self, itemsize: int, n_steps: int, *, tape: bool) -> int:
        """Memory that one trial of so many steps takes: its spikes and its state, twice, or its tape."""
        if tape:
            return n_steps * self.kept * self.width * itemsize
        state = self.width * ((self.states + self.filters + 2) * itemsize + 16 * self.ports)
        return 2 * state + 4 * (self.delay + n_steps) * self.words


class ModelKernels:
    """The kernels of one model on one device, for a network of one shape.

    Parameters
    ----------
    module : str
        Of the generated source (`kernels.cuda.source.add_source`).
    parameters : Parameters
        On the host.

    """

    def __init__(self, device: Device, module: str, shape: Shape, parameters: model_state.Parameters) -> None:
        self.device, self.shape, self.dtype = device, shape, parameters.scalars.dtype
        self._module = module
        self.take(parameters)

    def take(self, parameters: model_state.Parameters) -> None:
        """Give later runs other values of the constants."""
        device, shape = self.device, self.shape
        size = max(1, len(parameters.scalars))
        self.scalars = np.zeros(1, np.dtype([("k", self.dtype, (size,))]))
        self.scalars["k"][0, : len(parameters.scalars)] = parameters.scalars
        noisy = len(parameters.noise) > 0
        self._parameters = _Parameters(
            vectors=device.asarray(parameters.vectors),
            noise=device.asarray(parameters.noise),
            scale=self.dtype.type(parameters.scale),
            one=self.dtype.type(parameters.one),
            noisy=np.int32(noisy),
            n=np.int32(shape.n),
            width=np.int32(shape.width),
            n_sources=np.int32(shape.n + shape.n_inputs),
            n_trials=np.int32(0),
            delay=np.int32(shape.delay),
        )

    def new_record(self, n_trials: int, n_steps: int, *, tape: bool, sample: NDArray[np.int64], every: int) -> Record:
        """Make arrays for what a run records."""
        s, xp = self.shape, self.device.xp
        return Record(
            raster=xp.zeros((n_trials, s.delay + n_steps, s.words), np.uint32),
            tape=xp.empty((n_trials, n_steps if tape else 0, s.kept * s.width), self.dtype),
            sample=self.device.asarray(sample),
            sampled=xp.zeros((n_trials, n_steps // every if len(sample) else 0, len(sample) * s.width), self.dtype),
            n_sample=np.int32(len(sample)),
            every=np.int32(every),
            n_steps=np.int32(n_steps),
        )

    def run(self, wiring: Wiring, state: State, inputs: Events, drive: Drive, record: Record) -> None:
        """Start advancing all trials by ``record.n_steps`` steps; the first `delay` rows of the raster are given."""
        given = _Inputs(
            indptr=inputs.indptr,
            source=inputs.source,
            current=drive.current,
            current_rows=np.int32(len(drive.current)),
            current_every=np.int32(drive.every),
            trials=drive.trials,
            condition=np.uint32(drive.condition),
            seed=np.uint32(drive.seed),
            first_step=np.uint32(drive.first_step),
        )
        n_trials = len(record.raster)
        structs = (self.sized(n_trials), wiring, state, given, record)
        self.start_together("model_run", n_trials, (self.scalars, *map(pack, structs)))

    def count(self, record: Record, bin_steps: int, counts: Any) -> None:
        """Add to `counts` (bin, neuron) int64 the spikes of all trials."""
        sizes = map(np.int32, (self.shape.n, len(record.raster), self.shape.delay, int(record.n_steps), bin_steps))
        self.start("model_count", counts.size, (record.raster, counts, *sizes))

    def start(self, kernel: str, threads: int, args: tuple[Any, ...]) -> None:
        """Start a kernel with at least so many threads."""
        self.device.launch(self._module, kernel, -(-threads // BLOCK), BLOCK, args)

    def start_together(self, kernel: str, n_trials: int, args: tuple[Any, ...]) -> None:
        """Start a kernel whose blocks, with tiles of neurons, wait for each other; its last argument is their counter."""
        grid = min(n_trials * -(-self.shape.n // BLOCK), self.device.resident_blocks(self._module, kernel, BLOCK))
        arrived = self.device.xp.zeros(1, np.uint32)
        self.device.launch(self._module, kernel, grid, BLOCK, (*args, arrived), cooperative=True)

    def sized(self, n_trials: int) -> _Parameters:
        """Return the kernels' parameters for so many trials."""
        return self._parameters._replace(n_trials=np.int32(n_trials))
