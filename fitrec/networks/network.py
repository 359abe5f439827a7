"""The Network: everything the simulator needs besides the trained weights."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.fields import array


class LifNeuron(NamedTuple):
    """Membrane parameters of one population."""

    tau_m_ms: float
    threshold: float
    reset: float
    sigma: float
    refractory_steps: int


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network of leaky integrate-and-fire neurons, E neurons first, with static and plastic projections.

    Voltages are in units of threshold - reset as configured, weights are charges (threshold x ms), times in ms. A trial is:
    settle freely from random voltages, receive the condition's frozen stimulus, then the recorded window begins at
    `window_start_step`.

    Attributes
    ----------
    tau_m_ms, threshold, reset, sigma, refractory_steps
        Of all neurons, or of the E neurons where `inh` gives others for the I neurons.
    inh : list or None
        The same five values, in this order, of the I neurons; None when they are those of the E neurons.
    static_indptr, static_indices, static_weight : CSR by presynaptic neuron
        Row i lists the targets of neuron i.
    static_out_degree : int
        Targets per neuron of procedural static wiring, which are drawn when a neuron spikes (``kernels.cpu.procedural``)
        instead of being stored; 0: the static synapses are stored.
    static_pair_weight : list or None
        Weights of procedural static synapses, E to E, E to I, I to E, I to I (threshold x ms); None when they are stored.
    plastic_pre : (trained, input) int32
        Presynaptic neuron of each plastic input, the first `n_plastic_exc` of them excitatory.
    plastic_weight : (trained, input) float32
        Initial plastic weights.
    plastic_pool_size : int
        Consecutive trained neurons that share their plastic inputs.
    trained : (trained,) int32
        The neurons with plastic inputs; neuron ``trained[u]`` stands for unit ``trained_unit[u]`` of the targets.
    model : dict or None
        The neurons' equations where they are not those of leaky integrate-and-fire neurons, with ``text`` (YAML), ``preset``,
        ``parameters`` (values other than the text's), ``ports`` (names of the ports for ``static_exc``, ``static_inh``,
        ``plastic_exc``, ``plastic_inh``; feed-forward inputs end where plastic E inputs do), ``drive`` (name of the current that
        takes drive and stimulus, or empty), ``scattered`` and ``scatter`` (state that trials begin with at random, normal around
        its initial value, and the standard deviation). Weights and drive are then in the model's units, and the membrane
        parameters above do not count.
    ff_rate_hz : (condition, time_ms, ff) float32
        Rates of the feed-forward Poisson inputs from `ff_lead_steps` before the window on, one value per ms; an empty last axis
        when there are none.
    shared_feed_forward : bool
        Whether their weights are the same in all conditions, as where they carry recorded activity.
    untrained_rate_hz : (neuron,) float32
        Mean rate of each neuron with static synapses only.
    fi_drive, fi_rate_hz : (point,) float64
        f-I curve of the neuron model under the untrained network's own current fluctuations (`fitrec.targets.drive`).

    """

    seed: int
    n_exc: int
    n_inh: int
    dt_ms: float
    integration: str
    tau_m_ms: float
    threshold: float
    reset: float
    refractory_steps: int
    sigma: float
    tau_static_ms: float
    tau_plastic_ms: float
    n_plastic_exc: int
    stimulus_start_step: int
    window_start_step: int
    window_steps: int
    stimulus_sd: float
    stimulus_tau_ms: float
    condition_names: list[str]
    inh: list[float] | None = None
    ff_lead_steps: int = 0
    shared_feed_forward: bool = False
    plastic_pool_size: int = 1
    static_out_degree: int = 0
    static_pair_weight: list[float] | None = None
    model: dict[str, Any] | None = None
    drive: NDArray[np.float32] = array("neuron", units="threshold")
    static_indptr: NDArray[np.int64] = array("neuron_edge")
    static_indices: NDArray[np.int32] = array("synapse")
    static_weight: NDArray[np.float32] = array("synapse", units="threshold ms")
    trained: NDArray[np.int32] = array("trained")
    trained_unit: NDArray[np.int32] = array("trained")
    plastic_pre: NDArray[np.int32] = array("trained", "input")
    plastic_weight: NDArray[np.float32] = array("trained", "input", units="threshold ms")
    ff_rate_hz: NDArray[np.float32] = array("condition", "time_ms", "ff", units="Hz")
    untrained_rate_hz: NDArray[np.float32] = array("neuron", units="Hz")
    fi_drive: NDArray[np.float64] = array("point", units="threshold")
    fi_rate_hz: NDArray[np.float64] = array("point", units="Hz")

    @property
    def exc_neuron(self) -> LifNeuron:
        """Parameters of the E neurons."""
        return LifNeuron(self.tau_m_ms, self.threshold, self.reset, self.sigma, self.refractory_steps)

    @property
    def inh_neuron(self) -> LifNeuron:
        """Parameters of the I neurons."""
        if self.inh is None:
            return self.exc_neuron
        tau_m_ms, threshold, reset, sigma, refractory_steps = self.inh
        return LifNeuron(tau_m_ms, threshold, reset, sigma, int(refractory_steps))

    @property
    def untrained_mean_hz(self) -> tuple[float, float]:
        """Mean untrained rates of the E and of the I neurons."""
        return float(self.untrained_rate_hz[: self.n_exc].mean()), float(self.untrained_rate_hz[self.n_exc :].mean())

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.n_exc + self.n_inh

    @property
    def n_static(self) -> int:
        """Number of static synapses, stored or procedural."""
        return self.n_neurons * self.static_out_degree if self.static_out_degree else len(self.static_indices)

    @property
    def n_conditions(self) -> int:
        """Number of conditions."""
        return len(self.condition_names)

    @property
    def n_feed_forward(self) -> int:
        """Number of feed-forward Poisson inputs."""
        return int(self.ff_rate_hz.shape[2])

    @property
    def feed_forward_shape(self) -> tuple[int, int, int]:
        """Shape of the feed-forward weights: (condition, trained, ff), or (1, trained, ff) where conditions share them."""
        return (1 if self.shared_feed_forward else self.n_conditions, len(self.trained), self.n_feed_forward)
