"""Runs a model as its text says, with NumPy in float64 and nothing of the compiler's."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.neurons.evaluate import constant, evaluate
from fitrec.neurons.model import SPIKE, Model
from fitrec.neurons.surrogate import surrogate_expression

Array = NDArray[np.float64]


def interpret(model: Model, dt_ms: float, given: dict[str, Array]) -> dict[str, Array]:
    """Run a model for unconnected neurons.

    Parameters
    ----------
    given : dict
        Ports (as the update sees them) and currents, (step, neuron); at least one, the others are 0.

    Returns
    -------
    dict
        States at the end of each step, ``z`` and ``psi``; (step, neuron) each.

    """
    shape = next(iter(given.values())).shape
    env: dict[str, Any] = {p.name: p.value for p in model.parameters} | {"dt": dt_ms}
    refractory = model.refractory
    steps = 0 if refractory is None else max(0, round(constant(refractory.steps, env)))
    lead = 0 if refractory is None else refractory.surrogate_lead
    env |= {s.name: np.full(shape[1], s.initial) for s in model.states} | {SPIKE: np.zeros(shape[1])}
    wait = np.zeros(shape[1], int)
    names = [s.name for s in model.states]
    found = {name: np.zeros(shape) for name in (*names, SPIKE, "psi")}
    for t in range(shape[0]):
        env |= {x.name: given[x.name][t] if x.name in given else np.zeros(shape[1]) for x in (*model.ports, *model.currents)}
        before = dict(env)
        for s in model.update:
            env[s.target] = evaluate(s.expression, env)
        for name in refractory.hold if refractory is not None else ():
            env[name] = np.where(wait > 0, before[name], env[name])
        u = evaluate(model.threshold, env)
        fired = ((u > 0) if model.strict else (u >= 0)) & (wait == 0)
        psi = evaluate(surrogate_expression(model.surrogate, model.threshold), env)
        env[SPIKE] = fired.astype(float)
        for s in model.observe:
            env[s.target] = evaluate(s.expression, env)
        after = dict(env)
        for s in model.reset:
            after[s.target] = evaluate(s.expression, after)
        env |= {name: np.where(fired, after[name], env[name]) for name in names}
        for name in (*names, SPIKE):
            found[name][t] = env[name]
        found["psi"][t] = np.where(wait > lead, 0, psi)
        wait = np.where(fired, steps, np.maximum(wait - 1, 0))
    return found
