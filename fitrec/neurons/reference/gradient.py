"""Gradients of a network's synapses and parameters, each rule as its definition says, with dense arrays.

A loss is given by its derivatives ``signal`` (step, row, neuron) by the states after each step and by the spike of the step, the
last row. Weights and their gradients are (port, source, neuron).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.neurons.reference.dual import Dual, dot_of, value_of
from fitrec.neurons.reference.network import Given, Network, Run, jacobians, simulate

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Tape:
    """A trial with the derivatives of its steps.

    Attributes
    ----------
    arrivals : (step, source)
        Spikes as they arrive.
    jacobian : (step, row, variable, neuron)
        `fitrec.neurons.reference.network.jacobians`.
    decay : (port,)
        Decay of the filter of each align_pre port; 0 for others, which have none.

    """

    net: Network
    run: Run
    arrivals: Array
    jacobian: Array
    decay: Array

    @property
    def n_rows(self) -> int:
        """States and spike."""
        return int(self.jacobian.shape[1])

    @property
    def own(self) -> Array:
        """D with the spike as a row and a column, (step, row, row, neuron)."""
        return self.jacobian[:, :, : self.n_rows]

    @property
    def driven(self) -> Array:
        """By the ports, (step, row, port, neuron)."""
        return self.jacobian[:, :, self.n_rows : self.n_rows + len(self.decay)]

    @property
    def parameters(self) -> Array:
        """By the parameters, (step, row, parameter, neuron)."""
        return self.jacobian[:, :, self.n_rows + len(self.decay) :]


def record(
    net: Network,
    inputs: Array,
    current: Array | None = None,
    trainable: tuple[str, ...] = (),
    *,
    given: Given | None = None,
    trial: int = 0,
    condition: int = 0,
) -> Tape:
    """Run a trial and differentiate its steps."""
    if current is None:
        current = np.zeros((len(inputs), len(net.model.currents), net.n))
    run = simulate(net, inputs, current, given=given, trial=trial, condition=condition)
    late = np.concatenate((np.zeros((net.delay, net.n)), run.spikes))[: len(inputs)]
    taus = [value_of(net.values[p.tau]) if p.tau else 0.0 for p in net.model.ports]
    return Tape(
        net=net,
        run=run,
        arrivals=np.hstack((late, inputs)),
        jacobian=np.array(jacobians(net, run, current, trainable)),
        decay=np.array([np.exp(-net.dt_ms / tau) if tau else 0.0 for tau in taus]),
    )


def automatic(
    net: Network,
    inputs: Array,
    signal: Array,
    current: Array | None = None,
    trainable: tuple[str, ...] = (),
    *,
    cut: bool = True,
    given: Given | None = None,
) -> tuple[Array, Array]:
    """Differentiate the whole trial forward by every weight that is not 0 and by each neuron's parameters.

    Parameters
    ----------
    cut : bool
        Whether the paths through other neurons are cut: their spikes arrive as numbers.

    Returns
    -------
    (port, source, neuron), (parameter, neuron)

    """
    port, source, neuron = np.nonzero(net.weight)
    n_synapses = len(port)
    n_variables = n_synapses + len(trainable) * net.n

    def own(k: int) -> Dual:
        dot = np.zeros((n_variables, net.n))
        dot[n_synapses + k * net.n + np.arange(net.n), np.arange(net.n)] = 1.0
        return Dual(np.broadcast_to(value_of(net.values[trainable[k]]), net.n), dot)

    def deliver(spikes: Any, external: Array) -> list[Any]:
        arriving = np.concatenate((value_of(spikes), external))
        dot = np.zeros((len(net.weight), n_variables, net.n))
        dot[port, np.arange(n_synapses), neuron] = arriving[source]
        if not cut:
            dot += np.broadcast_to(dot_of(spikes), (n_variables, net.n)) @ net.weight[:, : net.n]
        return [Dual(total, d) for total, d in zip(arriving @ net.weight, dot, strict=True)]

    seeded = replace(net, parameters={**net.parameters, **{name: own(k) for k, name in enumerate(trainable)}})
    run = simulate(seeded, inputs, current, given=given, deliver=deliver)
    total = np.zeros(n_variables)
    for made, weights in zip(run.steps, signal, strict=True):
        rows = [*(made.after.states[s.name] for s in net.model.states), made.spike]
        total += sum((dot_of(row) * w).sum(axis=-1) for row, w in zip(rows, weights, strict=True))
    gradient = np.zeros(net.weight.shape)
    gradient[port, source, neuron] = total[:n_synapses]
    return gradient, total[n_synapses:].reshape(len(trainable), net.n)


def local_adjoint(tape: Tape, signal: Array) -> tuple[Array, Array]:
    """Go back over the trial neuron by neuron; a synapse gathers what its port is worth when its source's spikes arrive."""
    return _backward(tape, signal, recurrent=False)


def bptt(tape: Tape, signal: Array) -> tuple[Array, Array]:
    """Go back over the trial along all paths."""
    return _backward(tape, signal, recurrent=True)


def _backward(tape: Tape, signal: Array, recurrent: bool) -> tuple[Array, Array]:
    net, n_steps = tape.net, len(signal)
    gradient, by_parameters = np.zeros(net.weight.shape), np.zeros(tape.parameters.shape[2:])
    adjoint = np.zeros((tape.n_rows, net.n))
    arriving = np.zeros((n_steps + net.delay + 1, len(tape.decay), net.n))  # derivative of the loss by what arrives
    for t in reversed(range(n_steps)):
        adjoint = adjoint + signal[t]
        if recurrent:
            adjoint[-1] += np.einsum("pij,pj->i", net.weight[:, : net.n], arriving[t + net.delay])
        by_ports = np.einsum("rn,rpn->pn", adjoint, tape.driven[t])
        arriving[t] = tape.decay[:, None] * arriving[t + 1] + by_ports
        by_parameters += np.einsum("rn,rqn->qn", adjoint, tape.parameters[t])
        adjoint = np.einsum("rn,rsn->sn", adjoint, tape.own[t])
        gradient += tape.arrivals[t][None, :, None] * arriving[t][:, None, :]
    return np.where(net.weight != 0, gradient, 0.0), by_parameters


def d_rtrl(tape: Tape, signal: Array) -> tuple[Array, Array]:
    """Carry an eligibility trace of every synapse forward (pp_prop.md 1.3)."""
    net = tape.net
    n_sources = net.weight.shape[1]
    gradient, by_parameters = np.zeros(net.weight.shape), np.zeros(tape.parameters.shape[2:])
    trace = np.zeros((tape.n_rows, len(tape.decay), n_sources, net.n))
    parameter_trace = np.zeros((tape.n_rows, *by_parameters.shape))
    presynaptic = np.zeros((len(tape.decay), n_sources))
    for t in range(len(signal)):
        presynaptic = tape.decay[:, None] * presynaptic + tape.arrivals[t]
        trace = np.einsum("rsn,spin->rpin", tape.own[t], trace) + np.einsum("rpn,pi->rpin", tape.driven[t], presynaptic)
        parameter_trace = np.einsum("rsn,sqn->rqn", tape.own[t], parameter_trace) + tape.parameters[t]
        gradient += np.einsum("rn,rpin->pin", signal[t], trace)
        by_parameters += np.einsum("rn,rqn->qn", signal[t], parameter_trace)
    return np.where(net.weight != 0, gradient, 0.0), by_parameters


def pp_prop(tape: Tape, signal: Array, decay_pre: float, decay_post: float) -> Array:
    """Carry a trace of every source and one of every neuron forward (pp_prop.md 1.4), the correction counted in steps."""
    net = tape.net
    gradient = np.zeros(net.weight.shape)
    before, filtered = (np.zeros((len(tape.decay), net.weight.shape[1])) for _ in range(2))
    after = np.zeros((tape.n_rows, len(tape.decay), net.n))
    for t in range(len(signal)):
        filtered = tape.decay[:, None] * filtered + tape.arrivals[t]
        before = decay_pre * before + filtered
        after = decay_post * np.einsum("rsn,spn->rpn", tape.own[t], after) + (1 - decay_post) * tape.driven[t]
        correction = max(1e-8, 1 - decay_post ** (t + 1))
        gradient += np.einsum("pi,pn->pin", before, np.einsum("rn,rpn->pn", signal[t], after)) / correction
    return np.where(net.weight != 0, gradient, 0.0)
