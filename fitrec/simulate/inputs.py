"""Time-dependent inputs of a network: stimulus before the window, feed-forward spikes in it."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif, philox
from fitrec.networks.network import Network

F = np.float32


def condition_inputs(network: Network, condition: int) -> lif.Inputs:
    """Make the inputs of a condition for the kernel of the CPU, with the whole stimulus drawn."""
    stimulus = np.zeros((stimulus_steps(network), network.n_neurons), F)
    if len(stimulus):
        decay, noise = stimulus_constants(network)
        start = np.zeros(network.n_neurons, F)  # the published process starts at its mean, 0
        philox.ornstein_uhlenbeck(stimulus, start, decay, noise, F(0), condition, 0, network.seed, philox.STIMULUS)
    return lif.Inputs(
        stimulus=stimulus,
        stimulus_start=network.stimulus_start_step,
        ff_probability=ff_probability(network, condition),
        ff_start=ff_start(network),
        steps_per_ms=steps_per_ms(network),
    )


def stimulus_steps(network: Network) -> int:
    """Length of the stimulus, which ends where the window begins."""
    return network.window_start_step - network.stimulus_start_step if network.stimulus_sd > 0 else 0


def stimulus_constants(network: Network) -> tuple[np.float32, np.float32]:
    """Decay and noise per step of the Ornstein-Uhlenbeck stimulus."""
    decay = np.exp(-network.dt_ms / network.stimulus_tau_ms)
    return F(decay), F(network.stimulus_sd * np.sqrt(1.0 - decay**2))


def ff_probability(network: Network, condition: int) -> NDArray[np.float32]:
    """(ms, ff): probability of a feed-forward spike per step."""
    return np.asarray(network.ff_rate_hz[condition] * F(network.dt_ms * 1e-3), F)


def ff_start(network: Network) -> int:
    """First step with feed-forward spikes."""
    return network.window_start_step - network.ff_lead_steps


def steps_per_ms(network: Network) -> int:
    """Return the number of steps that share one row of `ff_probability`."""
    return round(1.0 / network.dt_ms)
