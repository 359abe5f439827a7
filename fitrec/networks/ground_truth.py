"""A network that stands for the brain: what it does is known, so that a fit to its spikes can be held against the truth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.networks.balanced import balanced_drive, balanced_projection
from fitrec.networks.feed_forward import feed_forward_rates
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights

# Area -> how strongly its E neurons are driven by the stimulus; each area holds as many of them.
AREAS = {"sensory": 1.0, "association": 0.5}

# Another neuron, another wiring and faster input synapses than a fitted network has by default: a fit cannot copy this network,
# it has to find its own way to the same rates.
_DT_MS, _TAU_M_MS, _SIGMA = 0.2, 15.0, 0.2
_STATIC: dict[str, Any] = {"gain": 1.0, "j_ee": 0.25, "j_ie": 1.0, "j_ei": 0.9, "j_ii": 1.0}
_DRIVE = {"drive_exc": 0.12, "drive_inh": 0.07}
_TAU_STATIC_MS, _TAU_INPUT_MS = 4.0, 30.0
_INPUTS = {"rate_hz": 20.0, "rate_sd_hz": 14.0, "tau_ms": 150.0, "smooth_ms": 61.0}
_INPUT_SD = 0.3  # modulation of a strongly driven neuron's input over time, in units of the threshold
_ONSET_MS = 40.0
_SETTLE_MS = 100.0


def ground_truth_network(
    *, n_exc: int, n_inh: int, k: int, n_inputs: int, stimuli: list[str], quiet_ms: int, stimulus_ms: int, seed: int
) -> tuple[Network, Weights]:
    """Build a balanced network whose E neurons receive Poisson inputs with smooth rates, different for each stimulus.

    The inputs fire at a constant rate for `quiet_ms`; then the stimulus makes them fluctuate, each in its own way, the same way
    in every trial. Their weights onto the E neurons are random and the same for all stimuli.

    Parameters
    ----------
    n_exc, n_inh, k
        Neurons, and connections per neuron from each population.
    n_inputs : int
        Number of Poisson inputs.
    stimuli : list of str
        Names of the stimuli, the network's conditions.
    quiet_ms, stimulus_ms : int
        Parts of the window before and after the stimulus begins.
    seed : int
        Seed of wiring, inputs and noise.

    Raises
    ------
    NetworkError
        If `k` exceeds what the populations allow.

    """
    projection = balanced_projection(n_exc=n_exc, n_inh=n_inh, k=k, degree="in", tau_m_ms=_TAU_M_MS, seed=seed, **_STATIC)
    duration_ms = quiet_ms + stimulus_ms
    rate_hz = feed_forward_rates(n_conditions=len(stimuli), n_inputs=n_inputs, duration_ms=duration_ms, seed=seed, **_INPUTS)
    after_ms = np.arange(duration_ms) - quiet_ms
    gate = np.where(after_ms > 0, 1 - np.exp(-np.maximum(after_ms, 0) / _ONSET_MS), 0)[:, None]
    rate_hz = (_INPUTS["rate_hz"] + gate * (rate_hz - _INPUTS["rate_hz"])).astype(np.float32)
    network = Network(
        seed=seed,
        n_exc=n_exc,
        n_inh=n_inh,
        dt_ms=_DT_MS,
        integration="exact",
        tau_m_ms=_TAU_M_MS,
        threshold=1.0,
        reset=0.0,
        refractory_steps=round(2.0 / _DT_MS),
        sigma=_SIGMA,
        tau_static_ms=_TAU_STATIC_MS,
        tau_plastic_ms=_TAU_INPUT_MS,
        n_plastic_exc=0,
        stimulus_start_step=round(_SETTLE_MS / _DT_MS),
        window_start_step=round(_SETTLE_MS / _DT_MS),
        window_steps=round(duration_ms / _DT_MS),
        stimulus_sd=0.0,
        stimulus_tau_ms=1.0,
        condition_names=stimuli,
        drive=balanced_drive(n_exc=n_exc, n_inh=n_inh, k=k, gain=1.0, **_DRIVE),
        **projection.network_fields(),
        trained=np.arange(n_exc, dtype=np.int32),
        trained_unit=np.arange(n_exc, dtype=np.int32),
        plastic_pre=np.zeros((n_exc, 0), np.int32),
        plastic_weight=np.zeros((n_exc, 0), np.float32),
        ff_rate_hz=rate_hz,
        untrained_rate_hz=np.zeros(n_exc + n_inh, np.float32),
        fi_drive=np.zeros(0),
        fi_rate_hz=np.zeros(0),
    )
    # The mean rates of the inputs add a constant that differs from neuron to neuron: rates spread as they do in the brain.
    sd = _INPUT_SD / (np.sqrt(n_inputs) * _INPUTS["rate_sd_hz"] * 1e-3)
    scale = np.array([AREAS[area] for area in areas(n_exc)])
    one = np.random.default_rng(seed).normal(0.0, sd, (n_exc, n_inputs)) * scale[:, None]
    one -= 0.5 * one.mean(axis=1, keepdims=True)
    feed_forward = np.broadcast_to(one.astype(np.float32), (len(stimuli), n_exc, n_inputs))
    return network, Weights(plastic=network.plastic_weight, feed_forward=feed_forward)


def areas(n_exc: int) -> NDArray[np.object_]:
    """Area (neuron,) of each E neuron."""
    return np.array(list(AREAS), object)[np.arange(n_exc) * len(AREAS) // n_exc]
