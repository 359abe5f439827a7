"""Whether the derivatives of a model are those of its equations, and whether its step is stable."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ModelError
from fitrec.neurons.algebra import is_zero, name
from fitrec.neurons.derive import CASES, PSI, Case, Derivatives, derive
from fitrec.neurons.evaluate import evaluate
from fitrec.neurons.model import DT, SPIKE, Model
from fitrec.neurons.program import PRESENT_SPIKE, THRESHOLD
from fitrec.neurons.stand_in import StandIn, Values, away_from_kinks
from fitrec.neurons.surrogate import surrogate_expression

SAMPLES = 32
TOLERANCE = 1e-6  # relative; finite differences of fourth order reach about 1e-9
_STEP = 1e-4  # of a finite difference, relative to the variable
_EPSILON = float(np.finfo(np.float64).eps)
_CLOSE = 1e-9  # an eigenvalue of a counter is 1

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """One thing that was verified, and the sentence about it."""

    ok: bool
    text: str


def verify(model: Model, dt_ms: float, seed: int = 0) -> list[Finding]:
    """Compare all derivatives with finite differences in float64, and look at the eigenvalues of a step.

    States are random, half of them within reach of the threshold, away from the kinks of the surrogate.

    Raises
    ------
    ModelError
        If the model cannot be differentiated at all, or its step has no finite value.

    """
    trainable = differentiable_parameters(model)
    derivatives = derive(model, trainable)
    samples = _samples(model, dt_ms, np.random.default_rng(seed))
    groups = {"states": derivatives.rows, "ports": derivatives.ports, "parameters": trainable}
    findings = []
    for what, variables in groups.items():
        if not variables:
            continue
        worst, where = 0.0, ""
        for case in derivatives.jacobian:
            deviation = _deviation(model, derivatives, case, what, variables, samples)
            row, column = np.unravel_index(np.argmax(deviation), deviation.shape)
            if not deviation.max() <= worst:
                worst, where = deviation.max(), f"d{derivatives.rows[row]}/d{variables[column]}, {case}"
        ok = bool(worst <= TOLERANCE)
        text = f"derivatives by {what} ({', '.join(variables)}): within {worst:.1e} of finite differences"
        text += "" if ok else f", but {TOLERANCE:g} is wanted; worst {where}"
        dead = untrainable_ports(derivatives) if what == "ports" else ()
        text += f"; all are 0 by {', '.join(dead)}: synapses that end there cannot be trained" if dead else ""
        findings.append(Finding(ok, text))
    return [*findings, stability(model, dt_ms)]


def stability(model: Model, dt_ms: float) -> Finding:
    """Say whether a step is stable: no eigenvalue of D beyond 1 at the initial state.

    Raises
    ------
    ModelError
        If D is not finite there.

    """
    largest = largest_eigenvalue(model, dt_ms)
    text = f"largest |eigenvalue| of D at the initial state, dt = {dt_ms:g} ms: {largest:.9g}"
    if largest <= 1 + _CLOSE:
        return Finding(True, text)
    return Finding(False, f"{text}; above 1 the step is unstable: take a smaller dt, or exp(-dt / tau) instead of 1 - dt / tau")


def largest_eigenvalue(model: Model, dt_ms: float) -> float:
    """Largest modulus of the eigenvalues of D, over one step from the initial state without input or spike.

    Raises
    ------
    ModelError
        If D is not finite there.

    """
    derivatives = derive(model)
    values = _given(model, dt_ms) | {s.name: s.initial for s in model.states}
    matrix = jacobian(model, derivatives, "silent", values)["states"][:, :, 0]
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        rows = derivatives.rows
        raise ModelError(f"d{rows[row]}/d{rows[column]} is not finite at the initial state, dt = {dt_ms:g} ms", source=model.name)
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def jacobian(model: Model, derivatives: Derivatives, case: Case, values: Values) -> dict[str, Array]:
    """Values of the derivatives by ``states``, ``ports`` and ``parameters``, each (state + 1, variable, sample); z is last.

    Parameters
    ----------
    values : mapping
        Parameters, dt, states, ports, currents, and z of the step before; numbers or arrays (sample,).

    """
    program, refractory = derivatives.program, case == "refractory"
    env: dict[str, Any] = dict(values)
    for d in program.before:
        env[d.name] = env[d.held] if d.held and refractory else evaluate(d.expression, env)
    env[PSI] = evaluate(surrogate_expression(model.surrogate, name(THRESHOLD)), env)
    env[PRESENT_SPIKE] = 1.0 if case == "spiking" else 0.0
    for d in (*program.observed, *program.reset, *derivatives.definitions):
        env[d.name] = evaluate(d.expression, env)
    count = max(np.size(v) for v in values.values())
    entries = derivatives.jacobian[case]
    parts = {"states": entries.state, "ports": entries.port, "parameters": entries.parameter}
    return {
        part: np.array([[np.broadcast_to(evaluate(cell, env), count) for cell in row] for row in rows]).reshape(
            len(rows), -1, count
        )
        for part, rows in parts.items()
    }


def differentiable_parameters(model: Model) -> tuple[str, ...]:
    """Parameters that the step can be differentiated by: it depends on them, and nowhere through a function with a kink."""
    found = []
    for parameter in model.parameters:
        try:
            entries = derive(model, (parameter.name,)).jacobian.values()
        except ModelError:
            continue
        if any(not is_zero(cell) for j in entries for row in j.parameter for cell in row):
            found.append(parameter.name)
    return tuple(found)


def untrainable_ports(derivatives: Derivatives) -> tuple[str, ...]:
    """Ports whose input reaches no state and no spike by a path with a derivative."""
    cells = {port: [row[k] for j in derivatives.jacobian.values() for row in j.port] for k, port in enumerate(derivatives.ports)}
    return tuple(port for port, column in cells.items() if all(is_zero(cell) for cell in column))


def _given(model: Model, dt_ms: float) -> dict[str, Any]:
    """Parameters, dt, and nothing coming in."""
    inputs = [p.name for p in model.ports] + [c.name for c in model.currents] + [SPIKE]
    return {p.name: p.value for p in model.parameters} | {DT: dt_ms} | dict.fromkeys(inputs, 0.0)


def _samples(model: Model, dt_ms: float, rng: np.random.Generator) -> dict[str, Any]:
    """Random states and inputs at which derivatives are compared."""
    count = 8 * SAMPLES
    values = _given(model, dt_ms)
    values |= {s.name: s.initial + rng.random(count) for s in model.states}
    values |= {x.name: rng.random(count) for x in model.ports} | {x.name: rng.random(count) for x in model.currents}
    values[SPIKE] = rng.integers(0, 2, count).astype(float)
    with np.errstate(all="ignore"):
        width = StandIn(model, values, "silent").width
        target = rng.uniform(-0.9, 0.9, count) * width
        _approach(model, values, target, np.arange(count) < count // 2)
        good = np.ones(count, np.bool_)
        for case in CASES:
            step = StandIn(model, values, case)
            good &= np.isfinite(step(values)).all(axis=0) & away_from_kinks(
                model.surrogate, np.broadcast_to(step.u, count), width
            )
    chosen = np.flatnonzero(good)[np.linspace(0, good.sum() - 1, SAMPLES).astype(int)] if good.any() else []
    if not len(chosen):
        raise ModelError("no state was found at which a step has a finite value", source=model.name)
    return {k: v[chosen] if np.ndim(v) else v for k, v in values.items()}


def _approach(model: Model, values: dict[str, Any], target: Array, where: NDArray[np.bool_]) -> None:
    """Change one state, so that the threshold variable comes close to `target`."""
    derivatives = derive(model)
    row = derivatives.jacobian["silent"].state[-1]
    state = next((s.name for s, cell in zip(model.states, row, strict=False) if not is_zero(cell)), None)
    if state is None:
        return
    for _ in range(6):
        here = StandIn(model, values, "silent").u
        slope = (StandIn(model, values | {state: values[state] + _STEP}, "silent").u - here) / _STEP
        change = (target - here) / slope
        values[state] = np.where(where & np.isfinite(change), values[state] + change, values[state])


def _deviation(
    model: Model, derivatives: Derivatives, case: Case, what: str, variables: tuple[str, ...], samples: dict[str, Any]
) -> Array:
    """Largest relative deviation of each derivative from its finite difference, (state + 1, variable)."""
    exact = jacobian(model, derivatives, case, samples)[what]
    step = StandIn(model, samples, case)
    deviation = np.zeros(exact.shape[:2])
    for k, variable in enumerate(variables):
        x = samples[variable]
        h = _STEP * (np.maximum(np.abs(x), 1) if what != "parameters" else abs(x) or 1)
        at = {m: step(samples | {variable: x + m * h}) for m in (-2, -1, 1, 2)}
        difference = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
        noise = 64 * _EPSILON * np.abs(at[1]).max() / np.min(h)
        scale = np.maximum(np.maximum(np.abs(exact[:, k]), np.abs(difference)), noise / TOLERANCE)
        relative = np.abs(exact[:, k] - difference) / scale
        deviation[:, k] = np.where(np.isfinite(relative), relative, np.inf).max(axis=1)
    return deviation
