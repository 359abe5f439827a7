"""The networks on which Wang et al. 2026's program was measured (pp_prop.md 5), drawn as there, number by number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.model_state import Events
from fitrec.learn.gradient.readout import make_readout
from fitrec.learn.gradient.rules import Signals
from fitrec.neurons.compile import compile_model
from fitrec.neurons.load import parse_model
from fitrec.simulate.model_network import ModelNetwork, Trial, events
from fitrec.simulate.synapses import make_synapses

NEURON = """
name: anchor
parameters: {{decay: {decay}, kappa: 0.9}}
states: {{v: 0{counter}}}
ports: {{I: 1}}
update: |
  v = decay * v + I - detach(z)
threshold: v >= 1
{observe}
surrogate: {{kind: piecewise_linear, height: 0.3, width: 1}}
"""
FLY = """
name: anchor_fly
parameters: {tau_m: 20 ms, tau_syn: 5 ms}
states: {v: 0, g: 0, c: 0}
ports: {I: 1}
update: |
  g = exp(-dt / tau_syn) * g + I
  v = exp(-dt / tau_m) * v + (1 - exp(-dt / tau_m)) * g
threshold: v >= 1
observe: |
  c = c + z
reset: |
  v = 0
  g = 0
surrogate: {kind: piecewise_linear, height: 0.3, width: 1.5}
"""


class Learning(NamedTuple):
    """What a loss says of a trial: its value, derivatives by states and spikes; with a readout also by its output and weights."""

    loss: float
    signals: Signals
    error: NDArray[Any] = np.zeros((0, 0))
    w_out: NDArray[Any] = np.zeros((0, 0))


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A network with its inputs and its loss.

    Attributes
    ----------
    rows : tuple of str
        States to record in every step.
    learn : callable
        From a trial, and how often a spike's own effect on the loss of its step is counted: 1, or 2 or 3 as in the
        single-step mode of the published program, where it reaches the loss by way of every state that is perturbed; without
        memory of the readout then, if that is a group of its own.

    """

    net: ModelNetwork
    inputs: Events
    rows: tuple[str, ...]
    learn: Callable[[Trial, int], Learning]

    @property
    def weights(self) -> NDArray[Any]:
        """Weights of all synapses."""
        return self.net.plastic.weight

    def parts(self, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return values per synapse of the input and of the recurrent weights."""
        recurrent = self.net.plastic.source() < self.net.n
        return {"w_in": values[~recurrent], "w_rec": values[recurrent]}


def readout(n_in: int, n: int, n_out: int, n_steps: int, *, inside: bool, dtype: str = "float64") -> Anchor:
    """M1: spikes seen by a leaky readout; M2 (`inside`): the leak inside the neuron, as a state (pp_prop.md 5.1, 5.3)."""
    rng = np.random.RandomState(0)
    w_in = (rng.randn(n_in, n) * 0.6 / np.sqrt(n_in)).astype(np.float32)
    w_rec = (rng.randn(n, n) * 0.5 / np.sqrt(n)).astype(np.float32)
    w_out = (rng.randn(n, n_out) / np.sqrt(n)).astype(np.float32).astype(dtype)
    data = np.random.RandomState(1)
    x = data.rand(n_steps, n_in) < 0.05
    target = np.cumsum(data.randn(n_steps, n_out) * 0.05, axis=0)
    text = NEURON.format(
        decay=repr(float(np.exp(-1 / 20))),
        counter=", c: 0" if inside else "",
        observe="observe: |\n  c = kappa * c + z" if inside else "",
    )
    if not inside:
        text = text.replace(", kappa: 0.9", "")
    net = _network(text, n, n_in, np.vstack((w_rec, w_in)), 1.0, dtype)
    leaky = make_readout(w_out, kappa=0.9)

    def learn(trial: Trial, counted: int) -> Learning:
        raster = raster_of(trial, n)
        y = leaky.respond(raster)
        error = (2 / n_out * (y - target)).astype(dtype)
        loss = float(((y - target) ** 2).mean(axis=1).sum())
        signal, w_out_gradient = leaky.backward(raster, error)
        at_once = error @ w_out.T
        if not inside:
            spikes = signal if counted == 1 else counted * at_once
            return Learning(loss, Signals(spikes=spikes), error, w_out_gradient)
        again = (counted - 1) * at_once if counted > 1 else None
        return Learning(loss, Signals(rows=("c",), states=at_once[:, None], spikes=again), error, w_out_gradient)

    return Anchor(net=net, inputs=events(x, n), rows=("c",) if inside else (), learn=learn)


def fly() -> Anchor:
    """Build the small network like the fits of the fly brain (pp_prop.md 5.4), observed by its counts at the end alone."""
    n, n_in, n_out, n_steps, dt_ms = 100, 20, 5, 3749, 0.2
    rng = np.random.RandomState(0)
    w_in = np.abs(rng.randn(n_in, n)) * 0.35
    w_rec = rng.randn(n, n) * 0.3 / np.sqrt(n)
    pools = rng.rand(n, n_out) / n * 2
    x = rng.rand(n_steps, n_in) < 0.012
    net = _network(FLY, n, n_in, np.vstack((w_rec, w_in)).astype(np.float32), dt_ms, "float64")
    per_hz = 1 / (n_steps * dt_ms * 1e-3)

    def learn(trial: Trial, counted: int) -> Learning:
        rate = trial.sampled[-1, 0] * per_hz @ pools
        error = 2 / n_out * (rate - 8) @ pools.T * per_hz
        return Learning(float(((rate - 8) ** 2).mean()), Signals(rows=("c",), every=n_steps, states=error[None, None]))

    return Anchor(net=net, inputs=events(x, n), rows=("c",), learn=learn)


def sparse(n: int, density: float, dtype: str = "float32") -> Anchor:
    """Build the sparse network (pp_prop.md 5.2), whose spikes are to be few in every step."""
    from scipy.sparse import random

    n_in, n_steps = 100, 200
    recurrent: Any = random(n, n, density, format="csr", random_state=0, dtype=np.float32) * np.float32(0.2)
    rng = np.random.RandomState(0)
    w_in = (rng.randn(n_in, n) * 0.06).astype(np.float32)
    x = rng.rand(n_steps, n_in) < 0.05
    text = NEURON.format(decay="0.95", counter="", observe="").replace(", kappa: 0.9", "")
    coo = recurrent.tocoo()
    source = np.concatenate((coo.row, np.repeat(n + np.arange(n_in), n)))
    neuron = np.concatenate((coo.col, np.tile(np.arange(n), n_in)))
    weight = np.concatenate((coo.data, w_in.reshape(-1)))
    net = ModelNetwork(
        compile_model(parse_model(text, "anchor"), spike_signal=True),
        n=n,
        n_inputs=n_in,
        dt_ms=1.0,
        plastic=make_synapses(n, n_in, source, neuron, weight, dtype=dtype),
        dtype=dtype,
    )

    def learn(trial: Trial, counted: int) -> Learning:
        raster = raster_of(trial, n)
        return Learning(float(((raster - 0.01) ** 2).mean(axis=1).sum()), Signals(spikes=2 / n * (raster - 0.01)))

    return Anchor(net=net, inputs=events(x, n), rows=(), learn=learn)


def raster_of(trial: Trial, n: int) -> NDArray[np.float32]:
    """Return the spikes of a trial as (step, neuron)."""
    indptr = trial.emitted.indptr
    raster = np.zeros((trial.n_steps, n), np.float32)
    raster[np.repeat(np.arange(trial.n_steps), np.diff(indptr)), trial.emitted.source[indptr[0] :]] = 1
    return raster


def _network(text: str, n: int, n_in: int, weight: NDArray[np.float32], dt_ms: float, dtype: str) -> ModelNetwork:
    """Network with all synapses of a matrix (source, neuron)."""
    source, neuron = np.indices(weight.shape)
    synapses = make_synapses(n, n_in, source.reshape(-1), neuron.reshape(-1), weight.reshape(-1), dtype=dtype)
    compiled = compile_model(parse_model(text, "anchor"), spike_signal=True)
    return ModelNetwork(compiled, n=n, n_inputs=n_in, dt_ms=dt_ms, plastic=synapses, dtype=dtype)
