"""Networks of compiled neurons on a device: batches of trials that run together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fitrec.kernels.cpu import model_state
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.model import Drive, Events, ModelKernels, Record, Shape, State, Wiring
from fitrec.neurons.blocks import Blocks
from fitrec.neurons.model import Model
from fitrec.simulate.model_network import ModelNetwork, Recording, Trial


@dataclass(frozen=True, kw_only=True)
class DeviceTrials:
    """Trials, or a window of each, that have been run; everything lies on the device.

    Attributes
    ----------
    state : State
        At the end.
    inputs : Events
    record : Record

    """

    state: State
    inputs: Events
    record: Record

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return len(self.record.raster)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.record.n_steps)

    def copied(self) -> "DeviceTrials":
        """Return the same with a state of its own, to go on from more than once."""
        return replace(self, state=State._make(a.copy() for a in self.state))


class DeviceModelNetwork:
    """A `ModelNetwork` whose trials run on a device, many at a time, with the bits of the CPU.

    Parameters
    ----------
    network : ModelNetwork
        When its parameters change (`ModelNetwork.change`), so do those of later runs here.

    """

    def __init__(self, device: Device, network: ModelNetwork) -> None:
        self.device, self.network = device, network
        compiled = network.compiled
        self.shape = shape_of(compiled.model, compiled.blocks, network.n, network.n_inputs, network.delay_steps)
        self._kernels: ModelKernels | None = None
        self._parameters = network.parameters
        host = network.wiring(np.zeros(0, network.dtype))
        on_device = {name: device.asarray(array) for name, array in host._asdict().items()}
        self._wiring = Wiring(**on_device)

    @property
    def kernels(self) -> ModelKernels:
        """The kernels, with the network's parameters as they are now."""
        net = self.network
        if self._kernels is None:
            self._kernels = ModelKernels(self.device, net.compiled.cuda(net.dtype), self.shape, net.parameters)
        elif net.parameters is not self._parameters:
            self._kernels.take(net.parameters)
        self._parameters = net.parameters
        return self._kernels

    def wiring(self, weights: NDArray[Any]) -> Wiring:
        """Put plastic weights (synapse,) on the device; what else there is of the synapses lies there already."""
        return self.wired(self.device.asarray(weights))

    def wired(self, weights: Any) -> Wiring:
        """Return the synapses with plastic weights (synapse,) that lie on the device, which are not copied."""
        return self._wiring._replace(plastic_weight=weights)

    def rest(self, initial: Sequence[Mapping[str, ArrayLike]]) -> State:
        """State at the beginning of trials, one for each element of `initial` (`ModelNetwork.rest`)."""
        return self.state([self.network.rest(values) for values in initial])

    def state(self, trials: Sequence[model_state.State]) -> State:
        """Put states on the device whose sums of arriving spikes are 0."""

        def together(name: str) -> Any:
            return self.device.asarray(np.stack([getattr(state, name) for state in trials]))

        size = self.shape.ports * self.shape.width
        arriving = self.device.xp.zeros((2, len(trials), size), np.int64)
        return State(together("states"), together("filters"), together("last"), together("wait"), arriving)

    def events(self, trials: Sequence[model_state.Events]) -> Events:
        """Put the spikes of the inputs of some trials on the device."""
        n, n_inputs = self.shape.n, self.shape.n_inputs
        indptr, source, by_input, steps, base = [], [], [], [], 0
        for given in trials:
            own = given.source[given.indptr[0] : given.indptr[-1]]
            step = np.repeat(np.arange(len(given.indptr) - 1, dtype=np.int32), np.diff(given.indptr))
            indptr.append(given.indptr - given.indptr[0] + base)
            counts = np.bincount(own - n, minlength=n_inputs)
            by_input.append(np.concatenate(([0], np.cumsum(counts))) + base)
            source.append(own)
            steps.append(step[np.argsort(own, kind="stable")])
            base += len(own)
        put = self.device.asarray
        return Events(
            indptr=put(np.stack(indptr).astype(np.int64)),
            source=put(np.concatenate(source).astype(np.int32)),
            by_input=put(np.stack(by_input).astype(np.int64)),
            step=put(np.concatenate(steps).astype(np.int32)),
        )

    def run(
        self,
        wiring: Wiring,
        inputs: Sequence[model_state.Events],
        *,
        recording: Recording,
        trials: Sequence[int],
        current: NDArray[Any] | None = None,
        current_every: int = 1,
        state: State | None = None,
        before: DeviceTrials | None = None,
        first_step: int = 0,
        condition: int = 0,
    ) -> DeviceTrials:
        """Start running trials, or going on with some; does not wait. Arguments as those of `ModelNetwork.run`.

        Parameters
        ----------
        wiring : Wiring
            From `wiring`.
        inputs : one Events per trial, all of the same number of steps
        trials : sequence of int
            Counters of the noise.
        state, before
            Changed in place.

        """
        net, n_steps = self.network, len(inputs[0].indptr) - 1
        names = [s.name for s in net.compiled.model.states]
        if state is None:
            state = self.rest([{}] * len(trials)) if before is None else before.state
        sample = np.array([names.index(r) for r in recording.rows], np.int64)
        record = self.kernels.new_record(len(trials), n_steps, tape=recording.tape, sample=sample, every=recording.every)
        delay = self.shape.delay
        if before is not None:
            record.raster[:, :delay] = before.record.raster[:, before.n_steps : before.n_steps + delay]
        drive = Drive(
            current=self.device.asarray(net.currents(current)),
            every=current_every,
            trials=self.device.asarray(np.array(trials, np.uint32)),
            condition=condition,
            seed=net.seed,
            first_step=first_step,
        )
        given = self.events(inputs)
        self.kernels.run(wiring, state, given, drive, record)
        return DeviceTrials(state=state, inputs=given, record=record)

    def counts(self, trials: DeviceTrials, bin_steps: int, trial: int) -> NDArray[np.int64]:
        """(bin, neuron): spikes of one of the trials per bin; waits."""
        counts = self.new_counts(trials.n_steps // bin_steps)
        record = trials.record._replace(raster=trials.record.raster[trial : trial + 1])
        self.kernels.count(record, bin_steps, counts)
        return self.device.to_host(counts)

    def new_counts(self, n_bins: int) -> Any:
        """Return room for spikes (bin, neuron) int64."""
        return self.device.xp.zeros((n_bins, self.shape.n), np.int64)

    def spikes(self, trials: DeviceTrials, trial: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return steps and neurons of the spikes of one of the trials; waits."""
        raster = self.device.to_host(trials.record.raster[trial, self.shape.delay :])
        step, neuron = np.nonzero(self._bits(raster))
        return step.astype(np.int32), neuron.astype(np.int32)

    def trial_bytes(self, n_steps: int, *, tape: bool) -> int:
        """Memory that one trial of so many steps takes: its spikes and its state, twice, or its tape."""
        return self.shape.trial_bytes(self.network.dtype.itemsize, n_steps, tape=tape)

    def nothing_yet(self, state: State) -> DeviceTrials:
        """Return trials of no steps, to go on from."""
        record = self.kernels.new_record(len(state.states), 0, tape=False, sample=np.zeros(0, np.int64), every=1)
        given = Events(*(self.device.xp.zeros((len(state.states), 1), np.int64) for _ in Events._fields))
        return DeviceTrials(state=state, inputs=given, record=record)

    def _bits(self, raster: NDArray[np.uint32]) -> NDArray[np.uint8]:
        return np.unpackbits(raster.view(np.uint8), axis=1, bitorder="little")[:, : self.shape.n]

    def to_host(self, trials: DeviceTrials, inputs: Sequence[model_state.Events], *, tape: bool = True) -> list[Trial]:
        """Return the trials as `ModelNetwork.run` does, but for padding, or without a tape; waits."""
        host, delay, n_steps = self.device.to_host, self.shape.delay, trials.n_steps
        state = {name: host(getattr(trials.state, name)) for name in ("states", "filters", "last", "wait")}
        raster, sampled = host(trials.record.raster), host(trials.record.sampled)
        kept = host(trials.record.tape if tape else trials.record.tape[:, :0])
        results = []
        for b, given in enumerate(inputs):
            step, neuron = np.nonzero(self._bits(raster[b]))
            source = neuron.astype(np.int32)
            indptr = np.concatenate(([0], np.cumsum(np.bincount(step, minlength=delay + n_steps)))).astype(np.int64)
            buffers = np.zeros(self.shape.ports * self.shape.width, np.int64)
            results.append(
                Trial(
                    state=model_state.State(buffers=buffers, **{name: values[b] for name, values in state.items()}),
                    inputs=given,
                    spikes=model_state.Events(indptr[: n_steps + 1], source),
                    emitted=model_state.Events(indptr[delay:], source),
                    pending=model_state.Events(indptr[n_steps:] - indptr[n_steps], source[indptr[n_steps] :]),
                    tape=kept[b],
                    sampled=sampled[b].reshape(len(sampled[b]), int(trials.record.n_sample), self.shape.width)[
                        :, :, : self.shape.n
                    ],
                )
            )
        return results


def shape_of(model: Model, blocks: Blocks, n: int, n_inputs: int, delay: int) -> Shape:
    """Return the sizes of a model and its network."""
    return Shape(
        states=len(model.states),
        ports=len(model.ports),
        filters=len(blocks.filtered),
        rows=len(blocks.rows),
        kept=blocks.kept,
        trainable=len(blocks.derivatives.trainable),
        n=n,
        n_inputs=n_inputs,
        delay=delay,
    )
