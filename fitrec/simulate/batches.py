"""Runs trials on a CUDA device in batches that its memory holds."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif as cpu
from fitrec.kernels.cuda import lif
from fitrec.kernels.cuda.device import Device, memory_error, require_memory
from fitrec.kernels.cuda.weights import fix_feed_forward, fix_plastic
from fitrec.kernels.cuda.wiring import transpose_rows
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate import inputs
from fitrec.simulate.record import TrialRecord
from fitrec.simulate.wiring import NetworkWiring

_SHARE = 0.8  # of the free memory; the rest is for what the allocator loses
_HOST_BYTES = 2**31  # recordings of one batch on the host
_ONE_TRIAL, _REMEDY = "simulating one trial", "take fewer neurons or longer bins"


class Options(NamedTuple):
    """How trials run and what they record; see `Simulator.run_trial`.

    `sample_every` of 0: no traces; `capacity`, the room for a trial's spike times, of 0: none of them.
    """

    chunk_steps: int
    own: float
    forced: Any  # on the device
    sample_every: int
    capacity: int


class BatchRunner:
    """Trials of one network on one device; wiring and weights stay there from batch to batch."""

    def __init__(self, device: Device, network: Network, wiring: NetworkWiring) -> None:
        self._device, self._network, self._host = device, network, wiring
        self._wiring: lif.Wiring | None = None
        self._row = self._slot = device.xp.zeros(0, np.int32)  # of the plastic synapses, in the order of the projections
        # What the weights on the device were taken from: arrays that do not change, or the caller's own.
        self._plastic: object = None
        self._feed_forward: tuple[object, int] = (None, 0)
        self._drive = device.asarray(network.drive)
        slot = np.full(network.n_neurons, -1, np.int32)
        slot[network.trained] = np.arange(len(network.trained), dtype=np.int32)
        self._slot_of = device.asarray(slot)

    def setting(self, constants: cpu.Constants, condition: int, trace_power: NDArray[np.float32]) -> lif.Setting:
        """Say what the trials of a condition have in common."""
        net = self._network
        stimulus_decay, stimulus_noise = inputs.stimulus_constants(net)
        spans = [(np.float32(n.threshold - n.reset), np.float32(n.reset)) for n in (net.exc_neuron, net.inh_neuron)]
        return lif.Setting(
            constants=constants,
            drive=self._drive,
            slot=self._slot_of,
            ff_probability=self._device.asarray(inputs.ff_probability(net, condition)),
            condition=condition,
            stimulus_start=net.stimulus_start_step,
            stimulus_steps=inputs.stimulus_steps(net),
            stimulus_decay=stimulus_decay,
            stimulus_noise=stimulus_noise,
            ff_start=inputs.ff_start(net),
            steps_per_ms=inputs.steps_per_ms(net),
            trace_power=trace_power,
            initial=(*spans[0], *spans[1]),
        )

    def wiring(self, weights: Weights, condition: int) -> lif.Wiring:
        """Projections with these weights, those of the feed-forward inputs of a condition.

        What is there already is not copied again, so the arrays of weights must not change.
        """
        put, wiring = self._device.asarray, self._uploaded()
        if weights.plastic is not self._plastic:
            fix_plastic(self._device, put(weights.plastic), self._row, self._slot, wiring.projections, 0)
            self._plastic = weights.plastic
        given = (weights.feed_forward, condition)
        if given[0] is not self._feed_forward[0] or condition != self._feed_forward[1]:
            fix_feed_forward(self._device, put(weights.feed_forward_of(condition)), wiring.projections)
            self._feed_forward = given
        return wiring

    def take(self, learned: object) -> lif.Wiring:
        """Projections with weights (trained, ff + input) float32, padded, that are on the device; `wiring` notices later ones."""
        wiring, n_ff = self._uploaded(), self._network.n_feed_forward
        fix_plastic(self._device, learned, self._row, self._slot, wiring.projections, n_ff)
        fix_feed_forward(self._device, learned, wiring.projections)
        self._plastic, self._feed_forward = learned, (None, 0)
        return wiring

    def same(self, learned: object, plastic: NDArray[np.float32]) -> None:
        """Take note that what `take` was given last, if it was `learned`, has these plastic weights."""
        if self._plastic is learned:
            self._plastic = plastic

    def _uploaded(self) -> lif.Wiring:
        """Return the projections; at first they are copied to the device, without weights.

        Raises
        ------
        DeviceError
            If the device has too little memory.

        """
        if self._wiring is None:
            host, net = self._host, self._network
            wiring, index = host.structure(), host.index
            # A plastic synapse takes its target, row, slot and weight; while they are listed, the table and a list besides.
            needed = sum(array.nbytes for array in wiring if isinstance(array, np.ndarray))
            needed += net.plastic_pre.size * (4 + 4 + 8 + index.itemsize + (4 + 8))
            require_memory(self._device, needed, "the wiring", "take fewer synapses")
            table, trained = net.plastic_pre, net.trained.astype(np.int32)
            found = transpose_rows(self._device, table, net.n_neurons, trained, host.order, index)
            self._row, self._slot = found.row, found.slot
            self._wiring = lif.upload(self._device, wiring, found)
        return self._wiring

    def run(self, setting: lif.Setting, wiring: lif.Wiring, trials: NDArray[np.int64], options: Options) -> Iterator[TrialRecord]:
        """Run trials and bring each one's record to the host; see `batches`, but what is forced comes from the host."""
        if options.forced is not None:
            options = options._replace(forced=self._device.asarray(options.forced))
        for output in self.batches(setting, wiring, trials, options):
            arrays = {name: array for name, array in output._asdict().items() if hasattr(array, "flags") and array.ndim}
            on_host = {name: self._device.to_host(array) for name, array in arrays.items()}
            for b in range(len(on_host["counts"])):
                yield self._record(on_host, b)

    def batches(
        self, setting: lif.Setting, wiring: lif.Wiring, trials: NDArray[np.int64], options: Options
    ) -> Iterator[lif.Output]:
        """Run trials, as many at a time as the memory holds, and leave their records on the device.

        Raises
        ------
        DeviceError
            If not even one trial fits into the device's memory.

        """
        net = self._network
        capacity = options.capacity
        recording = lif.output_bytes(
            net.window_steps // options.chunk_steps,
            net.n_neurons,
            net.n_feed_forward,
            traces=options.sample_every > 0,
            capacity=capacity,
        )
        one = lif.state_bytes(net.n_neurons, net.n_feed_forward) + recording
        require_memory(self._device, int(one / _SHARE), _ONE_TRIAL, _REMEDY)
        size = max(1, min(int(_SHARE * self._device.free_bytes()) // one, _HOST_BYTES // recording))
        first = 0
        while first < len(trials):
            some = trials[first : first + size]
            try:
                output = self._batch(setting, wiring, some, options._replace(capacity=capacity))
            except self._device.out_of_memory as error:  # another process took it, or it is in pieces
                if len(some) == 1:
                    raise memory_error(self._device, one, _ONE_TRIAL, _REMEDY) from error
                size = len(some) // 2
                continue
            if capacity and (most := int(self._device.to_host(output.n_spikes).max(initial=0))) > capacity:
                capacity = most  # trials are reproducible, so the second run fits exactly
                continue
            yield output
            first += len(some)

    def _batch(self, setting: lif.Setting, wiring: lif.Wiring, trials: NDArray[np.int64], options: Options) -> lif.Output:
        net, device = self._network, self._device
        batch = lif.Batch(device, setting, wiring, trials)
        n, n_ff, start = net.n_neurons, net.n_feed_forward, net.window_start_step
        if start > 0:
            batch.advance(0, 1, start, lif.new_output(device, len(trials), 0, n, n_ff))
        chunks = net.window_steps // options.chunk_steps
        output = lif.new_output(
            device, len(trials), chunks, n, n_ff, sample_every=options.sample_every, capacity=options.capacity
        )
        batch.advance(start, chunks, options.chunk_steps, output, own=options.own, forced=options.forced)
        return output

    def _record(self, output: dict[str, NDArray[np.generic]], b: int) -> TrialRecord:
        spikes = np.sort(output["spikes"][b, : int(output["n_spikes"][b])])  # by step, then by neuron
        return TrialRecord(
            counts=output["counts"][b],
            traces=output["traces"][b],
            ff_traces=output["ff_traces"][b],
            static_current=output["static_current"][b],
            spike_step=(spikes >> np.uint64(32)).astype(np.int32) - np.int32(self._network.window_start_step),
            spike_neuron=(spikes & np.uint64(0xFFFFFFFF)).astype(np.int32),
        )
