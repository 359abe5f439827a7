"""The factors of the time loop's linear update, computed once on the host."""

import numpy as np

from fitrec.kernels.cpu import lif
from fitrec.networks.network import LifNeuron, Network

F = np.float32


def lif_constants(
    *,
    dt_ms: float,
    integration: str,
    tau_m_ms: float,
    tau_static_ms: float,
    tau_plastic_ms: float,
    threshold: float,
    reset: float,
    sigma: float,
    refractory_steps: int,
    seed: int,
) -> lif.Constants:
    """Factors of the linear update, computed once in float64, the same for all neurons.

    ``euler``: forward Euler in the order of TrainSpikingNet (rls.md 1.1). ``exact``: the propagator of the linear system with the
    inputs of a step arriving at its beginning (Rotter & Diesmann 1999).
    """
    if integration == "euler":
        decay_v, gain_x = 1.0 - dt_ms / tau_m_ms, dt_ms / tau_m_ms
        gain_s = gain_p = gain_x
        decay_s, decay_p = 1.0 - dt_ms / tau_static_ms, 1.0 - dt_ms / tau_plastic_ms
    else:
        decay_v, decay_s, decay_p = (float(np.exp(-dt_ms / tau)) for tau in (tau_m_ms, tau_static_ms, tau_plastic_ms))
        gain_x = 1.0 - decay_v
        gain_s, gain_p = (_current_gain(dt_ms, tau_m_ms, tau) for tau in (tau_static_ms, tau_plastic_ms))
    membrane = lif.Membrane(
        decay_v=F(decay_v),
        gain_x=F(gain_x),
        gain_s=F(gain_s),
        gain_p=F(gain_p),
        threshold=F(threshold),
        reset=F(reset),
        noise=F(sigma * np.sqrt(dt_ms / tau_m_ms)),
        refractory_steps=np.int32(refractory_steps),
    )
    return lif.Constants(
        exc=membrane,
        inh=membrane,
        n_exc=np.int64(0),
        decay_s=F(decay_s),
        charge_s=F(1.0 / tau_static_ms),
        decay_p=F(decay_p),
        charge_p=F(1.0 / tau_plastic_ms),
        seed=np.int64(seed),
    )


def network_constants(network: Network) -> lif.Constants:
    """Factors of the update of a network's E and I neurons."""

    def constants(neuron: LifNeuron) -> lif.Constants:
        return lif_constants(
            dt_ms=network.dt_ms,
            integration=network.integration,
            tau_static_ms=network.tau_static_ms,
            tau_plastic_ms=network.tau_plastic_ms,
            seed=network.seed,
            **neuron._asdict(),
        )

    return constants(network.exc_neuron)._replace(inh=constants(network.inh_neuron).inh, n_exc=np.int64(network.n_exc))


def _current_gain(dt_ms: float, tau_m_ms: float, tau_s_ms: float) -> float:
    """Change of the voltage within a step by a unit current that decays with tau_s from the step's beginning."""
    if abs(tau_m_ms - tau_s_ms) < 1e-9 * tau_m_ms:
        return float(dt_ms / tau_m_ms * np.exp(-dt_ms / tau_m_ms))
    return float(tau_s_ms / (tau_m_ms - tau_s_ms) * (np.exp(-dt_ms / tau_m_ms) - np.exp(-dt_ms / tau_s_ms)))
