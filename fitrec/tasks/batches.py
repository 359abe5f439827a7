"""Mini-batches of trials of a network of compiled neurons: run in parallel, gradients averaged, weights updated."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.kernels.cuda.device import Device
from fitrec.learn.gradient.constraints import Limits, Parameter
from fitrec.learn.gradient.optimisers import Optimiser, Settings
from fitrec.learn.gradient.readout import Readout
from fitrec.learn.gradient.rules import Bptt, DRtrl, LocalAdjoint, PpProp, Rule
from fitrec.simulate.model_network import ModelNetwork
from fitrec.tasks.device_trials import DeviceBatches
from fitrec.tasks.host_trials import Batches, HostBatches, Item, Outcome, Prepared

RuleName = Literal["local-adjoint", "pp-prop", "d-rtrl", "bptt"]


class Batch(NamedTuple):
    """Means over a batch of trials."""

    loss: float
    accuracy: float
    rate_hz: NDArray[np.float64]  # (neuron,)
    gradient_norm: float  # before clipping; 0 without learning


class Trainer:
    """Learns from batches of trials, with weights that are the same for all trials of a batch.

    Trials are run on threads of their own, or together on a device, and their gradients are added up in the order of the trials,
    so that neither changes a bit.

    Parameters
    ----------
    network : ModelNetwork
        Its plastic synapses begin with their own weights.
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
    device : Device, optional
        By default the CPU.

    """

    def __init__(
        self,
        network: ModelNetwork,
        readout: Readout,
        *,
        rule: RuleName,
        trace_ms: float,
        limits: Limits,
        settings: Settings,
        readout_only: bool = False,
        rate: float = 1.0,
        threads: int | None,
        device: Device | None = None,
    ) -> None:
        self.network, self.readout, self._rule = network, readout, rule
        decay = float(np.exp(-network.dt_ms / trace_ms))

        def make_rule() -> Rule:
            if rule == "pp-prop":
                return PpProp(network, decay_pre=decay, decay_post=decay)
            kinds: dict[str, Callable[[ModelNetwork], Rule]] = {"d-rtrl": DRtrl, "bptt": Bptt, "local-adjoint": LocalAdjoint}
            return kinds[rule](network)

        initial = network.plastic.weight.copy()
        neuron = network.plastic.target % network.width
        synapses = Parameter("synapses", initial, limits, neuron=neuron, rate=rate, frozen=readout_only)
        self._batches: Batches
        if device is None:
            self._batches, there = HostBatches(network, initial, make_rule, learns=not readout_only, threads=threads), {}
        else:
            on_device = DeviceBatches(device, network, initial, make_rule, learns=not readout_only, threads=threads)
            self._batches, there = on_device, {"synapses": on_device.on_device}
        parameters = [synapses, readout.parameter]
        self.optimiser = Optimiser(parameters, settings, threads=threads, device=device, on_device=there)

    @property
    def weights(self) -> NDArray[Any]:
        """(synapse,): weights of the plastic synapses so far; not to be changed."""
        return self._batches.weights

    def learn(self, items: Sequence[Item], prepare: Callable[[Item], Prepared]) -> Batch:
        """Run a trial for each item with the present weights; then change them.

        Raises
        ------
        TrainingError
            If the gradient is not finite, or too large to go on with.

        """
        found, synapses = self._batches.run(items, prepare, learning=True)
        w_out = np.zeros_like(self.readout.w_out)
        for outcome in found:
            w_out += outcome.readout
        before = self.readout.w_out.copy()
        try:
            step = self.optimiser.step({"synapses": synapses, "readout": w_out.reshape(-1) / len(items)})
        except TrainingError as error:
            if self._rule != "bptt":
                raise
            raise TrainingError(f"{error}; bptt explodes in networks that are chaotic: use local-adjoint") from None
        self.readout.follow(before, step.learning_rate)
        return _summary(found, step.norm)

    def test(self, items: Sequence[Item], prepare: Callable[[Item], Prepared]) -> Batch:
        """Run a trial for each item, without learning."""
        return _summary(self._batches.run(items, prepare, learning=False)[0], 0.0)


def _summary(found: list[Outcome], norm: float) -> Batch:
    return Batch(
        loss=float(np.mean([outcome.loss for outcome in found])),
        accuracy=float(np.mean([outcome.correct for outcome in found])),
        rate_hz=np.mean([outcome.rate_hz for outcome in found], axis=0),
        gradient_norm=norm,
    )
