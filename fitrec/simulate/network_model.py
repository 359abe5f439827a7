"""The neuron model of a network, with what differs between its neurons."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.networks.network import Network
from fitrec.networks.neuron_model import described_model
from fitrec.neurons.load import library_model, with_parameters
from fitrec.neurons.model import Model, Surrogate
from fitrec.neurons.observation import Filter

_PARAMETERS = ("tau_m", "v_th", "v_reset", "sigma", "t_ref")  # of the library's lif, in the order of `LifNeuron`


def trials_model(
    network: Network, surrogate: Surrogate | None, observed: Filter | None
) -> tuple[Model, dict[str, NDArray[np.float64]]]:
    """Return `network_model`, with another surrogate or a state that observes the rate, as `ModelTrials` is asked for."""
    model, changed = network_model(network)
    return observed_model(model, surrogate, observed), changed


def observed_model(model: Model, surrogate: Surrogate | None, observed: Filter | None) -> Model:
    """Return a model with another surrogate, or a state that observes the rate, if there are any."""
    if surrogate is not None:
        model = replace(model, surrogate=surrogate)
    return model if observed is None else observed.observed_by(model)


def network_model(network: Network) -> tuple[Model, dict[str, NDArray[np.float64]]]:
    """Return the model of a network's neurons, and the parameters that differ between them with their values, (neuron,)."""
    if network.model is not None:
        return described_model(network.model, "the network's neuron model"), {}
    exc, inh = (_lif_values(neuron, network.dt_ms) for neuron in (network.exc_neuron, network.inh_neuron))
    model = library_model("lif" if network.integration == "euler" else "lif_exact")
    shared = {"tau_static": network.tau_static_ms, "tau_plastic": network.tau_plastic_ms}
    counts = (network.n_exc, network.n_inh)
    changed = {k: np.repeat([exc[k], inh[k]], counts) for k in _PARAMETERS if exc[k] != inh[k]}
    return with_parameters(model, exc | shared), changed


def _lif_values(neuron: Any, dt_ms: float) -> dict[str, float]:
    values = neuron._asdict()
    return {
        "tau_m": values["tau_m_ms"],
        "v_th": values["threshold"],
        "v_reset": values["reset"],
        "sigma": values["sigma"],
        "t_ref": values["refractory_steps"] * dt_ms,
    }


def port_numbers(network: Network, model: Model) -> dict[str, int]:
    """Return the number of the model's port at which each kind of synapse ends."""
    names = [p.name for p in model.ports]
    if network.model is None:
        kinds = {"static_exc": "static", "static_inh": "static", "plastic_exc": "plastic", "plastic_inh": "plastic"}
    else:
        kinds = network.model["ports"]
    return {kind: names.index(port) for kind, port in kinds.items()}
