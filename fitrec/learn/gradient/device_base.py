"""What the gradient rules on a device share."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fitrec.kernels.cpu.eligibility import SLOTS, STRETCH
from fitrec.kernels.cuda import model_gradient as cuda
from fitrec.kernels.cuda.model import Shape, Wiring
from fitrec.simulate.device_network import DeviceModelNetwork, DeviceTrials

Kind = Literal["local-adjoint", "bptt", "pp-prop", "d-rtrl", "e-prop-plus"]


@dataclass(frozen=True, kw_only=True)
class DeviceGradient:
    """Derivatives of the loss of each trial, on the device.

    Attributes
    ----------
    plastic : (trial, synapse)
    parameters : (trial, trainable * padded)
        By each neuron's trainable parameters.

    """

    plastic: Any
    parameters: Any


@dataclass(frozen=True, kw_only=True)
class DeviceAdjoints:
    """`rules.Adjoints` of each trial, on the device.

    Attributes
    ----------
    rows, filters : (trial, row * padded), (trial, align_pre port * padded)
    arriving : (trial, delay, port * padded)
        Of rules that cut other neurons (trial, 0, ...).

    """

    rows: Any
    filters: Any
    arriving: Any


class DeviceRule(Protocol):
    """Adds the gradients of a batch of trials, or of one window of it, to sums."""

    goes_back: bool
    """As of `rules.Rule`."""

    def new_gradient(self, n_trials: int) -> DeviceGradient:
        """Return sums of nothing."""

    def begin(self, n_trials: int) -> None:
        """Forget what was carried over from the windows before: a batch of trials begins."""

    def add(
        self,
        wiring: Wiring,
        trials: DeviceTrials,
        signals: cuda.Signals,
        gradient: DeviceGradient,
        after: DeviceAdjoints | None = None,
    ) -> None:
        """Add the gradients of trials recorded with their tape; `after` from `look_back` into what follows. Does not wait."""

    def look_back(self, wiring: Wiring, trials: DeviceTrials, signals: cuda.Signals) -> DeviceAdjoints | None:
        """Return what comes from a window to the time before it; None from rules that go forward."""

    def trial_bytes(self, n_steps: int) -> int:
        """Memory that a trial needs for windows of so many steps, beside its tape."""


class DeviceRuleBase:
    """What the rules share."""

    goes_back = False
    kind: Kind = "local-adjoint"

    def __init__(self, network: DeviceModelNetwork) -> None:
        self.network = network

    def new_gradient(self, n_trials: int) -> DeviceGradient:
        """Return sums of nothing."""
        net, shape = self.network.network, self.network.shape
        return DeviceGradient(
            plastic=self._zeros(n_trials, net.plastic.n), parameters=self._zeros(n_trials, shape.trainable * shape.width)
        )

    def begin(self, n_trials: int) -> None:
        """Forget the windows before."""

    def look_back(self, wiring: Wiring, trials: DeviceTrials, signals: cuda.Signals) -> DeviceAdjoints | None:
        """Return nothing: traces go forward."""
        return None

    def trial_bytes(self, n_steps: int) -> int:
        """Memory that a trial needs: its gradient, and what its traces take."""
        net = self.network.network
        return gradient_bytes(self.kind, self.network.shape, net.plastic.n, net.dtype.itemsize, n_steps)

    def _zeros(self, *shape: int) -> Any:
        return self.network.device.xp.zeros(shape, self.network.network.dtype)

    def _window(self, wiring: Wiring, trials: DeviceTrials, signals: cuda.Signals) -> cuda.Window:
        return cuda.Window(self.network.kernels, wiring, trials.inputs, trials.record, signals)


def gradient_bytes(kind: Kind, shape: Shape, synapses: int, itemsize: int, n_steps: int) -> int:
    """Memory that the gradient of a trial needs for windows of so many steps, beside its tape."""
    cells = synapses + 2 * shape.trainable * shape.width  # by parameters: of the trial, and of a window
    if kind == "d-rtrl":  # traces of all synapses
        return itemsize * (cells + shape.rows * synapses)
    if kind == "e-prop-plus":  # at most: rows that no plastic synapse reaches are not followed
        steps = shape.ports * min(n_steps, STRETCH)
        maps = (SLOTS + 2) * (shape.rows + shape.filters + 1)
        return itemsize * (cells + shape.rows * (synapses + (steps + maps) * shape.width))
    cells += shape.ports * shape.width * min(n_steps, cuda.CHUNK)  # what arrives in some steps
    if kind == "bptt":  # what arrives after these, and the steps of both while they are put together
        cells += shape.ports * shape.width * (min(n_steps, cuda.CHUNK) + 3 * shape.delay)
    if kind == "pp-prop":  # products of each step, and traces of neurons and sources
        cells += shape.ports * (shape.width * (n_steps + shape.rows) + 2 * (shape.n + shape.n_inputs))
    return itemsize * cells
