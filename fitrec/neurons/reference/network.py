"""Networks of neurons of any model, in float64, by evaluating the model's text step after step, with dense weights.

The order within a step is that of `fitrec.neurons.model.Model`. Everything that may carry a derivative (weights, parameters,
states, spikes) may be a `Dual`; a spike's derivative is the surrogate's. Instead of that, `smooth` puts a number in place of the
spike that changes as its surrogate says, for finite differences.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.reference.philox import membrane_deviate
from fitrec.neurons.expression import Statement
from fitrec.neurons.model import DT, SPIKE, Model
from fitrec.neurons.reference.dual import Dual, dot_of, evaluate, value_of, where

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network.

    Attributes
    ----------
    parameters : dict
        The model's parameters, each a number, an array (neuron,) or a `Dual`.
    weight : (port, source, neuron)
        Neurons first, then inputs; zeros where there is no synapse.
    delay : int
        Steps from a neuron's spike to its arrival. Spikes of inputs arrive at once.
    seed : int
        Of the noise.

    """

    model: Model
    parameters: Mapping[str, Any]
    dt_ms: float
    n: int
    weight: Array
    delay: int = 1
    seed: int = 1

    @property
    def values(self) -> dict[str, Any]:
        """Parameters and dt."""
        return {**self.parameters, DT: np.float64(self.dt_ms)}


@dataclass(frozen=True, kw_only=True)
class Before:
    """Of each neuron what a step begins with."""

    states: dict[str, Any]
    filters: list[Any]  # of the align_pre ports, None for others
    last: Any  # spike of the step before
    wait: Array  # updates it still has to skip


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that has been made: what it led to, the threshold variable, and what was detached in it, in the order of use."""

    after: Before
    u: Any
    spike: Any
    detached: list[Any]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A trial: `steps`, and `before` each of them; `ports` are their sums (port of an align_pre port: after its filter)."""

    before: list[Before]
    ports: list[list[Any]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def spikes(self) -> Array:
        """(step, neuron)."""
        return np.array([value_of(s.spike) for s in self.steps])

    def state(self, name: str) -> Array:
        """Values after each step, (step, neuron)."""
        return np.array([value_of(s.after.states[name]) for s in self.steps])


def rest(net: Network, initial: Mapping[str, Any] | None = None) -> Before:
    """Return what a trial begins with."""
    states = {s.name: np.full(net.n, s.initial) for s in net.model.states}
    states |= {name: np.broadcast_to(np.asarray(value, np.float64), net.n) for name, value in (initial or {}).items()}
    filters = [np.zeros(net.n) if p.tau else None for p in net.model.ports]
    return Before(states=states, filters=filters, last=np.zeros(net.n), wait=np.zeros(net.n))


def step(
    net: Network, before: Before, ports: list[Any], current: Array, fired: Mask | None = None, smooth: Step | None = None
) -> Step:
    """Make one step.

    Parameters
    ----------
    ports : list of (neuron,)
        As the update sees them.
    current : (current, neuron)
    fired : (neuron,) bool, optional
        Who spikes, instead of asking the threshold.
    smooth : Step, optional
        The same step of a trial that this one is a small change of: spikes and detached values are its, and a spike changes by
        the antiderivative of the surrogate.

    """
    model, detached = net.model, list[Any]()
    replay = iter(smooth.detached) if smooth is not None else None

    def detach(x: Any) -> Any:
        detached.append(value_of(x) if replay is None else next(replay))
        return detached[-1]

    def run(statements: tuple[Statement, ...], env: dict[str, Any]) -> dict[str, Any]:
        for s in statements:
            env[s.target] = evaluate(s.expression, env, detach)
        return env

    env = net.values | before.states | {SPIKE: before.last}
    env |= {p.name: x for p, x in zip(model.ports, ports, strict=True)}
    env |= {c.name: x for c, x in zip(model.currents, current, strict=True)}
    env = run(model.update, env)
    ready = before.wait == 0
    if model.refractory is not None:
        env |= {name: where(ready, env[name], before.states[name]) for name in model.refractory.hold}
    u = evaluate(model.threshold, env, detach)
    x = value_of(u)
    if smooth is not None:
        z_base = value_of(smooth.spike)
        fired = z_base > 0
        open_to_learn = before.wait <= (model.refractory.surrogate_lead if model.refractory is not None else 0)
        change = antiderivative(net, x) - antiderivative(net, value_of(smooth.u))
        z: Any = z_base + np.where(open_to_learn, change, 0.0)
    else:
        if fired is None:
            fired = ready & ((x > 0) if model.strict else (x >= 0))
        z = Dual(fired, psi(net, x, before.wait) * u.dot) if isinstance(u, Dual) else fired.astype(np.float64)
    env = run(model.observe, {**env, SPIKE: z})
    after = run(model.reset, {**env, SPIKE: fired.astype(np.float64)})
    states = {s.name: where(fired, after[s.name], env[s.name]) for s in model.states}
    wait = before.wait
    if model.refractory is not None:
        steps = np.maximum(0, np.rint(value_of(evaluate(model.refractory.steps, _plain(net.values)))))
        wait = np.where(fired, steps, np.maximum(0, wait - 1))
    return Step(after=Before(states=states, filters=before.filters, last=z, wait=wait), u=u, spike=z, detached=detached)


def simulate(
    net: Network,
    inputs: Array,
    current: Array | None = None,
    *,
    begin: Before | None = None,
    given: "Given | None" = None,
    smooth: Run | None = None,
    deliver: "Callable[[list[Any], Array], list[Any]] | None" = None,
    trial: int = 0,
    condition: int = 0,
) -> Run:
    """Run a trial from its beginning.

    Parameters
    ----------
    inputs : (step, input)
        Spikes of the inputs.
    current : (step, current, neuron), optional
    given : Given, optional
        A trajectory to stay on: each step begins with its states, and its neurons spike.
    smooth : Run, optional
        The trial that this one is a small change of (`step`).
    deliver : callable, optional
        From the neurons' spikes that arrive in a step and those of the inputs the sums of the ports; by `Network.weight`
        without it.

    """
    model = net.model
    if current is None:
        current = np.zeros((len(inputs), len(model.currents), net.n))
    if deliver is None:

        def deliver(spikes: Any, external: Array) -> list[Any]:
            return list(np.concatenate((value_of(spikes), external)) @ net.weight)

    run = Run(before=[rest(net) if begin is None else begin])
    emitted: list[Any] = [np.zeros(net.n)] * net.delay
    for t in range(len(inputs)):
        now = run.before[-1] if given is None else replace(run.before[-1], states=given.on(run.before[-1].states, t))
        if model.noise is not None:
            amplitude = value_of(evaluate(model.noise.amplitude, _plain(net.values)))
            deviate = membrane_deviate(np.arange(net.n), t, trial, condition, net.seed)
            name = model.noise.state
            now = replace(now, states=now.states | {name: now.states[name] + amplitude * deviate})
        now = replace(now, filters=filtered(net, now.filters, deliver(emitted[t], inputs[t])))
        run.before[-1] = now
        made = step(
            net,
            now,
            now.filters,
            current[t],
            None if given is None else given.spikes[t] > 0,
            None if smooth is None else smooth.steps[t],
        )
        run.ports.append(now.filters)
        run.steps.append(made)
        run.before.append(made.after)
        emitted.append(made.spike)
    return run


@dataclass(frozen=True, kw_only=True)
class Given:
    """A trajectory: the states that each step begins with, before noise, each (step, neuron), and the spikes (step, neuron)."""

    states: Mapping[str, Array]
    spikes: Array

    def on(self, states: Mapping[str, Any], t: int) -> dict[str, Any]:
        """Return the states with the values of step t and the derivatives that they have."""
        return {k: Dual(self.states[k][t], v.dot) if isinstance(v, Dual) else self.states[k][t] for k, v in states.items()}


def filtered(net: Network, filters: list[Any], sums: list[Any]) -> list[Any]:
    """Return what the update sees of the ports: sums of what arrives, or for an align_pre port its filter of them."""
    values = _plain(net.values)
    return [
        np.exp(-net.dt_ms / values[p.tau]) * y + s if p.tau else s for p, y, s in zip(net.model.ports, filters, sums, strict=True)
    ]


def psi(net: Network, u: Array, wait: Array) -> Array:
    """Surrogate derivative of a spike by the threshold variable (eprop.md 1.2), 0 while the neuron is refractory."""
    height, width = _surrogate(net)
    x, kind = np.abs(u) / width, net.model.surrogate.kind
    if kind == "piecewise_linear":
        value = np.maximum(0, 1 - x)
    elif kind == "exponential":
        value = np.exp(-x)
    else:
        value = 1 / (1 + x) ** 2 if kind == "fast_sigmoid" else 1 / (1 + x**2)
    lead = net.model.refractory.surrogate_lead if net.model.refractory is not None else 0
    return np.where(wait > lead, 0.0, height * value)


def antiderivative(net: Network, u: Array) -> Array:
    """Antiderivative of the surrogate, 0 at u = 0."""
    height, width = _surrogate(net)
    x, kind = np.abs(u) / width, net.model.surrogate.kind
    if kind == "piecewise_linear":
        value = np.where(x < 1, x - x**2 / 2, 0.5)
    elif kind == "exponential":
        value = 1 - np.exp(-x)
    else:
        value = x / (1 + x) if kind == "fast_sigmoid" else np.arctan(x)
    return np.asarray(height * width * np.sign(u) * value)


def _surrogate(net: Network) -> tuple[Any, Any]:
    values = _plain(net.values)
    return evaluate(net.model.surrogate.height, values), evaluate(net.model.surrogate.width, values)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values without derivatives."""
    return {name: value_of(value) for name, value in values.items()}


def jacobians(net: Network, run: Run, current: Array, trainable: tuple[str, ...] = ()) -> list[Array]:
    """Differentiate the states after each step and its spike, neuron by neuron.

    Returns
    -------
    list of (row, variable, neuron)
        For each step; rows are the states and z, variables the states before, the spike before, the ports and the named
        parameters.

    """
    names = [s.name for s in net.model.states]
    n_variables = len(names) + 1 + len(net.model.ports) + len(trainable)

    def seed(number: int, value: Any) -> Dual:
        dot = np.zeros((n_variables, net.n))
        dot[number] = 1.0
        return Dual(np.broadcast_to(value_of(value), net.n), dot)

    n_ports = len(net.model.ports)
    first = len(names) + 1 + n_ports
    known = {name: seed(first + k, net.values[name]) for k, name in enumerate(trainable)}
    seeded = replace(net, parameters={**net.parameters, **known})
    found = []
    for t, made in enumerate(run.steps):
        start = run.before[t]
        states = {name: seed(k, start.states[name]) for k, name in enumerate(names)}
        before = replace(start, states=states, last=seed(len(names), start.last))
        ports = [seed(len(names) + 1 + p, run.ports[t][p]) for p in range(n_ports)]
        after = step(seeded, before, ports, current[t], value_of(made.spike) > 0)
        rows = [*(after.after.states[name] for name in names), after.spike]
        found.append(np.array([np.broadcast_to(dot_of(row), (n_variables, net.n)) for row in rows]))
    return found
