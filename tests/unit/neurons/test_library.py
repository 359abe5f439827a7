"""The library's models do what their names promise: compared with independent implementations and closed forms."""

import numpy as np
import pytest

from fitrec.kernels import eprop
from fitrec.kernels.reference.eprop_neurons import step
from fitrec.neurons.blocks import Code, make_blocks
from fitrec.neurons.expression import as_text
from fitrec.neurons.load import library_model, with_parameters
from tests.unit.neurons.interpret import Array, interpret

RESET = {
    "eprop_iaf": eprop.Reset.SUBTRACT,
    "eprop_iaf_adapt": eprop.Reset.SUBTRACT,
    "eprop_iaf_psc_delta": eprop.Reset.HARD,
    "eprop_iaf_psc_delta_adapt": eprop.Reset.HARD,
    "eprop_iaf_bsshslm_2020": eprop.Reset.NEXT_STEP,
    "eprop_iaf_adapt_bsshslm_2020": eprop.Reset.NEXT_STEP,
}
N, STEPS = 20, 400


def input_spikes(scale: float) -> Array:
    return np.random.default_rng(3).normal(0.15 * scale, scale, (STEPS, N))


@pytest.mark.parametrize("name", RESET)
@pytest.mark.parametrize("t_ref", [0, 1, 4])
def test_eprop_neurons_step_as_published(name: str, t_ref: int) -> None:
    adaptive, hard, late = "adapt" in name, "delta" in name, "2020" in name
    values = {"V_th": 0.5, "t_ref": t_ref, "width": 0.4}
    values |= {"adapt_beta": 0.2, "adapt_tau": 30} if adaptive else {}
    values |= {"V_reset": -0.1} if hard else {}
    values |= {"regular_spike_arrival": 0} if late else {}
    model = with_parameters(library_model(name), values)
    weights = input_spikes(2.0 if late else 0.2)
    found = interpret(model, 1.0, {"I": weights})
    decay = np.full(N, np.exp(-1 / 10))
    neurons = eprop.Neurons(
        decay=decay,
        gain=1 - decay if late else np.ones(N),
        threshold=np.full(N, 0.5),
        adapt_beta=np.full(N, 0.2 * adaptive),
        adapt_decay=np.full(N, np.exp(-1 / 30)),
        v_min=-np.inf,
        v_reset=-0.1,
        refractory_steps=t_ref,
        reset=RESET[name],
        surrogate=eprop.Surrogate.PIECEWISE_LINEAR,
        height=0.3,
        width=0.4,
    )
    state = eprop.rest(neurons)
    for t in range(STEPS):
        step(neurons, state, weights[t])
        np.testing.assert_array_equal(found["z"][t], state.spikes, err_msg=f"step {t}")
        np.testing.assert_allclose(found["v"][t], state.v, rtol=1e-9, atol=1e-12, err_msg=f"step {t}")
        np.testing.assert_allclose(found["psi"][t], state.psi, rtol=1e-9, atol=1e-12, err_msg=f"step {t}")
    assert found["z"].sum() > 100
    assert (found["psi"] > 0).mean() > 0.1


def formula(code: Code, register: str) -> str:
    """What a register holds, as nested operations."""
    for instruction in code.instructions:
        if instruction.result == register:
            return f"{instruction.operation}({', '.join(formula(code, o) for o in instruction.operands)})"
    return register


def test_lif_has_the_order_of_operations_of_the_lif_kernels() -> None:
    blocks = make_blocks(library_model("lif"))
    outputs, constants = dict(blocks.step.outputs), {as_text(e): f"k{i}" for i, e in enumerate(blocks.constants)}
    us = f"fma({constants['1 - dt / tau_static']}, h1, mul(p0, {constants['1 / tau_static']}))"
    up = f"fma({constants['1 - dt / tau_plastic']}, h2, mul(p1, {constants['1 / tau_plastic']}))"
    gain = constants["dt / tau_m"]
    v = f"fma({constants['1 - dt / tau_m']}, h0, fma({gain}, x0, fma({gain}, {us}, mul({gain}, {up}))))"
    assert formula(blocks.step, outputs["h1"]) == us
    assert formula(blocks.step, outputs["h2"]) == up
    assert v in formula(blocks.step, outputs["h0"])


def test_lif_skips_as_many_updates_as_it_is_refractory_steps() -> None:
    model = with_parameters(library_model("lif"), {"t_ref": 0.3, "v_reset": 0})
    found = interpret(model, 0.1, {"drive": np.full((60, 1), 40.0)})
    gaps = np.diff(np.flatnonzero(found["z"][:, 0]))
    free = int(np.ceil(np.log(1 - 1 / 40) / np.log(1 - 0.1 / 10)))
    assert set(gaps) == {free + 3}


@pytest.mark.parametrize("preset", [None, "shiu"])
def test_exponential_currents_are_integrated_exactly(preset: str | None) -> None:
    dt, weight = 0.3, 0.5
    spikes = np.zeros((200, 1))
    spikes[0] = weight
    v = interpret(library_model("lif_psc_exp", preset), dt, {"I": spikes})["v"][:, 0]
    t = dt * np.arange(1, 201)
    np.testing.assert_allclose(v, weight * 5 / 15 * (np.exp(-t / 20) - np.exp(-t / 5)), rtol=1e-10)


def test_whole_fly_step_as_published() -> None:
    model = library_model("lif_psc_exp", "fly")
    weights, dt = np.abs(input_spikes(0.8)), 0.2
    found = interpret(model, dt, {"I": weights})
    v, g, last, z = np.zeros(N), np.zeros(N), np.full(N, -1000), 0
    for t in range(STEPS):
        new_g = g * np.exp(-dt / 5) + weights[t]
        new_v = v * np.exp(-dt / 20) + new_g * (1 - np.exp(-dt / 20))
        resting = t - last <= 25  # t_ref 5 ms
        v, g = np.where(resting, v, new_v), np.where(resting, g, new_g)
        s = v >= 1
        z, last = z + s.sum(), np.where(s, t, last)
        v, g = v * ~s, g * ~s
        np.testing.assert_array_equal(found["z"][t], s)
        np.testing.assert_allclose(found["v"][t], v, rtol=1e-10, atol=1e-12)
    assert z > 50


def test_gif_with_conductances_as_published() -> None:
    """The spike is looked for at the beginning of a step there, at the end of the step before here."""
    model = library_model("gif_coba")
    rng = np.random.default_rng(5)
    exc = 8 * rng.random((STEPS, N)) * (rng.random((STEPS, N)) < 0.5)
    inh = 0.2 * rng.random((STEPS, N)) * (rng.random((STEPS, N)) < 0.3)
    found = interpret(model, 1.0, {"exc": exc, "inh": inh})
    v, theta, i_1, i_2, g_exc, g_inh = np.zeros((6, N))
    theta += 1
    total = 0
    for t in range(STEPS):
        s = v >= theta
        total += s.sum()
        v, theta, i_2, i_1 = v - theta * s, theta + s, i_2 - s, i_1 + 0.01 * s
        g_exc, g_inh = g_exc * np.exp(-0.1) + exc[t], g_inh * np.exp(-0.1) + inh[t]
        i_2, i_1 = i_2 * np.exp(-1 / 2000), i_1 * np.exp(-1 / 50)
        theta = theta - (theta - 1) / 100
        slope = -(1 + g_exc + g_inh) / 200
        drift = (-v + i_1 + i_2 + g_exc * (5 - v) + g_inh * (-10 - v)) / 200
        v = v + np.expm1(slope) / slope * drift
        before_reset = np.where(found["z"][t] > 0, v - theta, v)
        np.testing.assert_allclose(found["v"][t], before_reset, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(found["z"][t], v >= theta)
    assert total > 100


def test_conductances_pull_towards_their_reversal_potentials() -> None:
    model = with_parameters(library_model("coba"), {"v_th": "1000 mV", "tau_exc": "1e6 s", "tau_inh": "1e6 s"})
    pulse = np.zeros((4000, 1))
    pulse[0] = 1.0
    v = interpret(model, 0.5, {"exc": 6 * pulse, "inh": 4 * pulse})["v"][:, 0]
    conductance, target = 10 + 6 + 4, (10 * -60 + 6 * 0 + 4 * -80) / 20
    t = 0.5 * np.arange(1, 4001)
    np.testing.assert_allclose(v, target + (-60 - target) * np.exp(-t * conductance / 200), rtol=1e-6)
