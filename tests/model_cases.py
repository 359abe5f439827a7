"""Small networks of every model of the library, driven so that they spike, and their counterparts for the reference."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.learn.gradient.rules import Signals
from fitrec.neurons.compile import CompiledModel
from fitrec.neurons.load import library_model, library_names, parse_model, preset_names
from fitrec.neurons.model import SPIKE, Model
from fitrec.neurons.reference import network as reference
from fitrec.simulate.model_network import ModelNetwork, Recording, Trial, events
from fitrec.simulate.synapses import make_synapses

LIBRARY = [(name, preset) for name in library_names() for preset in (None, *preset_names(library_model(name).source))]
N, N_INPUTS, STEPS = 10, 6, 140

# A model with everything at once: filtered and plain ports, feedback of the spike, an observation, every operation.
EVERYTHING = """
name: everything
parameters: {tau_m: 15 ms, tau_s: 4 ms, tau_w: 30 ms, tau_c: 25 ms, v_th: 1 mV, t_ref: 2 ms, jump: 0.1 mV, sigma: 0 mV}
states: {v: 0 mV, w: 0 mV, m: 0, c: 0}
ports:
  fast: mV
  slow: {unit: mV, tau: tau_s}
  gain: {unit: 1, tau: tau_s}
currents: {drive: mV, other: mV}
noise: {state: v, amplitude: sigma * sqrt(dt / tau_m)}
update: |
  m = 0.9 * m + gain / (1 + (v / v_th)**2) + detach(min(0, v / v_th) + 0.1 * abs(w / v_th))
  w = exp(-dt / tau_w) * w + jump * z - detach(max(0 * v_th, 0.001 * v))
  leak = exp(-dt / tau_m * (1 + sqrt(0.1 + m**2)))
  v = leak * v + (1 - leak) * (drive - other - w) + fast + slow
threshold: v - w / 4 > v_th
observe: |
  c = exp(-dt / tau_c) * c + z * (1 + 0.1 * m)
reset: |
  v = v - v_th * z
  m = m / 2
refractory: {steps: t_ref / dt, hold: [v]}
surrogate: {kind: arctan, height: 0.3 / v_th, width: v_th}
"""


@dataclass(frozen=True)
class Drive:
    """Level of each current, sizes of the weights of each port (positive if excitatory and inhibitory ports are apart), dt."""

    current: tuple[float, ...]
    weight: tuple[float, ...]
    positive: bool = False
    dt_ms: float = 1.0
    changed: dict[str, float] = field(default_factory=dict)


_EPROP = Drive((450.0,), (5.0,))
_LIF = Drive((1.3,), (1.0, 3.0), dt_ms=0.5, changed={"t_ref": 1.0})
_GIF = Drive((6.0,), (1.0,))
DRIVES = {
    "alif": Drive((1.3,), (0.4,)),
    "coba": Drive((140.0,), (3.0, 5.0), positive=True, dt_ms=0.5),
    "everything": Drive((1.8, 0.1), (0.3, 0.05, 0.1)),
    "gif": _GIF,
    "gif_coba": Drive((15.0,), (0.3, 0.2), positive=True),
    "lif": _LIF,
    "lif_exact": _LIF,
    "lif_psc_delta": Drive((19.0,), (4.0,)),
    "lif_psc_delta_adapt": Drive((24.0,), (4.0,)),
    "lif_psc_exp": Drive((19.0,), (6.0,)),
    "lif_psc_exp/shiu": Drive((0.0,), (20.0,), dt_ms=0.5),
    "lif_psc_exp/fly": Drive((1.5,), (0.5,), dt_ms=0.5),
}


def model_of(name: str, preset: str | None) -> Model:
    """Return the model of a case."""
    return parse_model(EVERYTHING, "everything") if name == "everything" else library_model(name, preset)


@dataclass
class Case:
    """A network, what it is driven with, and the same for the reference.

    Attributes
    ----------
    inputs : (step, input)
    current : (step, current, neuron)
    signal : (step, row, neuron)
        Derivatives of a loss by the states after each step, and by the spikes.

    """

    net: ModelNetwork
    reference: reference.Network
    inputs: NDArray[Any]
    current: NDArray[Any]
    signal: NDArray[Any]

    def run(self, **options: Any) -> Trial:
        """Run the trial; arguments as those of `ModelNetwork.run`."""
        rows = tuple(s.name for s in self.net.compiled.model.states)
        given = {"recording": Recording(tape=True, rows=rows), "current": self.current, **options}
        return self.net.run(self.net.plastic.weight, events(self.inputs, self.net.n), **given)

    def given(self, trial: Trial) -> reference.Given:
        """Return the trajectory of a trial, for the reference to follow."""
        states = self.net.compiled.model.states
        before = {s.name: np.vstack((np.full((1, self.net.n), s.initial), trial.sampled[:-1, k])) for k, s in enumerate(states)}
        raster = np.zeros((trial.n_steps, self.net.n))
        raster[np.repeat(np.arange(trial.n_steps), np.diff(trial.emitted.indptr)), trial.emitted.source] = 1
        return reference.Given(states={k: v.astype(np.float64) for k, v in before.items()}, spikes=raster)

    def signals(self, first: int = 0, last: int | None = None) -> Signals:
        """Signals of the steps from `first` to `last`."""
        rows = tuple(s.name for s in self.net.compiled.model.states)
        part = self.signal[first:last]
        with_spikes = self.net.compiled.blocks.rows[-1] == SPIKE
        return Signals(rows=rows, states=part[:, :-1], spikes=part[:, -1] if with_spikes else None)

    def dense(self, plastic: NDArray[Any]) -> NDArray[Any]:
        """Values of the plastic synapses as (port, source, neuron)."""
        out = np.zeros(self.reference.weight.shape)
        target = self.net.plastic.target
        out[target // self.net.width, self.net.plastic.source(), target % self.net.width] = plastic
        return out


def make_case(
    compiled: CompiledModel,
    preset: str | None = None,
    *,
    density: float = 0.5,
    delay: int = 1,
    dtype: str = "float64",
    seed: int = 0,
    per_neuron: tuple[str, ...] = (),
    changed: dict[str, float] | None = None,
    steps: int = STEPS,
    n: int = N,
) -> Case:
    """Make the network of a case.

    Parameters
    ----------
    per_neuron : tuple of str
        Parameters that get a value of its own in each neuron, within 10 % of the model's.
    changed : dict, optional
        Values of parameters other than the model's.

    """
    model = compiled.model
    rng = np.random.default_rng(seed)
    drive = DRIVES.get(f"{model.name}/{preset}" if preset else model.name, _EPROP)
    n_ports, n_sources = len(model.ports), n + N_INPUTS
    there = rng.random((n_ports, n_sources, n)) < density
    size = np.array(drive.weight)[:, None, None] * rng.normal(1.0 if drive.positive else 0.2, 0.5, there.shape)
    weight = np.where(there, np.maximum(np.abs(size) if drive.positive else size, -1e3), 0.0)
    weight = np.round(weight * 2**16) / 2**16  # exact in every precision and in fixed point
    there &= weight != 0
    port, source, neuron = np.nonzero(there)
    values = {p.name: p.value for p in model.parameters}
    own = {p: values[p] * rng.uniform(0.9, 1.1, n) for p in per_neuron}
    new: dict[str, Any] = {**drive.changed, **own, **(changed or {})}
    net = ModelNetwork(
        compiled,
        n=n,
        n_inputs=N_INPUTS,
        dt_ms=drive.dt_ms,
        plastic=make_synapses(n, N_INPUTS, source, neuron, weight[there], port, dtype=dtype),
        delay_steps=delay,
        dtype=dtype,
        changed=new,
        seed=3,
    )
    level = np.array(drive.current)[:, None]
    return Case(
        net=net,
        reference=reference.Network(
            model=model, parameters={**values, **new}, dt_ms=drive.dt_ms, n=n, weight=weight, delay=delay, seed=3
        ),
        inputs=(rng.random((steps, N_INPUTS)) < 0.15).astype(float),
        current=(level * rng.uniform(0.8, 1.2, (steps, len(model.currents), n))).astype(dtype).astype(float),
        signal=rng.normal(size=(steps, len(model.states) + 1, n)),
    )
