"""Batches of a task's trials on a device, as many together as its memory holds; twin of `host_trials`."""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.model_gradient import add_trials
from fitrec.kernels.cuda.optimise import divide
from fitrec.learn.gradient.device_rules import device_rule, device_signals
from fitrec.learn.gradient.rules import Rule
from fitrec.simulate.device_network import DeviceModelNetwork
from fitrec.simulate.device_trials import batches
from fitrec.simulate.model_network import ModelNetwork, Recording
from fitrec.tasks.host_trials import Item, Outcome, Prepared, outcome_of
from fitrec.threads import thread_map


class DeviceBatches:
    """Batches on a device, where the synapses' weights and gradients stay. Trials are prepared and judged on the CPU.

    Parameters
    ----------
    device : Device
    network, weights, make_rule, learns, threads
        As of `host_trials.HostBatches`; `weights` are those of the beginning.

    """

    def __init__(
        self,
        device: Device,
        network: ModelNetwork,
        weights: NDArray[Any],
        make_rule: Callable[[], Rule],
        *,
        learns: bool,
        threads: int | None,
    ) -> None:
        self._device, self._threads, self._learns = device, threads, learns
        self._network, self._on_cpu = DeviceModelNetwork(device, network), make_rule()
        self._rule = device_rule(self._network, self._on_cpu)
        self.on_device = device.asarray(weights)

    @property
    def weights(self) -> NDArray[Any]:
        """(synapse,): the present weights; waits."""
        return self._device.to_host(self.on_device)

    def run(self, items: Sequence[Item], prepare: Callable[[Item], Prepared], *, learning: bool) -> tuple[list[Outcome], Any]:
        """Run a trial for each item; return what is left of them, and the mean gradient by the synapses, on the device."""
        learning = learning and self._learns
        total, found = self._device.xp.zeros(len(self.on_device), self._network.network.dtype), []
        prepared = thread_map(prepare, items, self._threads)
        one = self._trial_bytes(prepared, learning=learning)
        for some in batches(self._device, prepared, one, "take fewer neurons"):
            found += self._together(some, total, learning=learning)
        divide(self._device, total, len(items))
        return found, total

    def _trial_bytes(self, prepared: Sequence[Prepared], *, learning: bool) -> int:
        """Memory that a trial needs: its state and spikes, what it records and, for learning, tape, signals and gradient."""
        net, recording = self._network, prepared[0].recording
        n_steps = max(len(given.inputs.indptr) - 1 for given in prepared)
        row = net.shape.width * net.network.dtype.itemsize
        one = net.trial_bytes(n_steps, tape=False) + n_steps // recording.every * len(recording.rows) * row
        if learning:
            one += net.trial_bytes(n_steps, tape=True) + self._rule.trial_bytes(n_steps)
            one += n_steps * max(1, len(recording.rows)) * row
        return one

    def _together(self, some: Sequence[Prepared], total: Any, *, learning: bool) -> list[Outcome]:
        """Run trials at the same time and add their gradients to `total`."""
        net, recording, wiring = self._network, some[0].recording, self._network.wired(self.on_device)
        inputs = [given.inputs for given in some]
        run = net.run(
            wiring,
            inputs,
            recording=Recording(tape=learning, rows=recording.rows, every=recording.every),
            trials=[given.number for given in some],
            state=net.rest([given.initial for given in some]),
        )
        trials = net.to_host(run, inputs, tape=False)
        judged = thread_map(lambda pair: pair[0].judge(pair[1]), list(zip(some, trials, strict=True)), self._threads)
        if learning:
            gradient, rule = self._rule.new_gradient(len(some)), self._rule
            rule.begin(len(some))
            rule.add(wiring, run, device_signals(self._on_cpu, [each.signals for each in judged], net), gradient)
            add_trials(net.kernels, gradient.plastic, total)
        return [outcome_of(each, trial, net.network) for each, trial in zip(judged, trials, strict=True)]
