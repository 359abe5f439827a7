"""A network's synapses by source, as its compiled neurons take them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fitrec.networks.network import Network
from fitrec.simulate.synapses import Synapses, make_synapses


def static_synapses(network: Network, ports: Mapping[str, int]) -> Synapses:
    """Return the static synapses of a network that has stored them; `ports` from `port_numbers`."""
    source: NDArray[np.int64] = np.repeat(np.arange(network.n_neurons), np.diff(network.static_indptr))
    port = np.where(source < network.n_exc, ports["static_exc"], ports["static_inh"])
    return make_synapses(network.n_neurons, network.n_feed_forward, source, network.static_indices, network.static_weight, port)


def plastic_synapses(network: Network, ports: Mapping[str, int]) -> Synapses:
    """Return the plastic synapses, and behind them those of the feed-forward inputs, whose initial weights are 0."""
    n, n_ff = network.n_neurons, network.n_feed_forward
    n_trained, n_inputs = network.plastic_pre.shape
    source = np.concatenate((network.plastic_pre.reshape(-1).astype(np.int64), np.tile(n + np.arange(n_ff), n_trained)))
    neuron = np.concatenate((np.repeat(network.trained, n_inputs), np.repeat(network.trained, n_ff)))
    inhibitory = (source >= network.n_exc) & (source < n)
    port = np.where(inhibitory, ports["plastic_inh"], ports["plastic_exc"])
    weight = np.concatenate((network.plastic_weight.reshape(-1), np.zeros(n_trained * n_ff, np.float32)))
    return make_synapses(n, n_ff, source, neuron, weight, port)
