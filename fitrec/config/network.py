"""Configuration of the build stage: neurons, wiring, inputs, and which neuron stands for which unit."""

from typing import Literal

from pydantic import Field

from fitrec.config.base import Section
from fitrec.config.neuron_model import NeuronModelConfig


class Neuron(Section):
    """Leaky integrate-and-fire neuron; voltage in units of the distance from reset (0) to threshold (1) by default."""

    tau_m_ms: float = Field(10.0, gt=0, description="Membrane time constant in ms.")
    threshold: float = Field(1.0, description="Spike threshold.")
    reset: float = Field(0.0, description="Voltage after a spike.")
    t_ref_ms: float = Field(
        0.1, ge=0, description="Refractory period in ms, rounded to steps; the neuron skips that many updates."
    )
    sigma: float = Field(
        0.0, ge=0, description="White noise on the voltage: sigma of the Siegert formula, in units of the threshold."
    )


class Balanced(Section):
    """Balanced random E/I wiring, weights scaled by 1/sqrt(K) (van Vreeswijk & Sompolinsky 1998; Kim et al. 2023)."""

    n_exc: int = Field(2500, ge=1, description="Number of excitatory neurons.")
    n_inh: int = Field(2500, ge=1, description="Number of inhibitory neurons.")
    k: int = Field(500, ge=0, description="Mean number of static connections per neuron to (and from) each population; 0: none.")
    degree: Literal["out", "in"] = Field(
        "out", description="Which degree is fixed: 2k targets per neuron, or k E + k I inputs per neuron."
    )
    connectivity: Literal["stored", "procedural"] = Field(
        "stored",
        description="'stored': a table of all static synapses; 'procedural': the targets of a neuron are drawn again whenever it "
        "spikes, always the same, so that static synapses take no memory, whatever their number (with degree: out).",
    )
    gain: float = Field(1.0, gt=0, description="g: scales all static weights.")
    j_ee: float = Field(0.15, ge=0, description="E to E weight in units of J = 2 g tau_m / sqrt(k) (charge, threshold x ms).")
    j_ie: float = Field(1.0, ge=0, description="E to I weight in units of J.")
    j_ei: float = Field(0.75, ge=0, description="I to E weight, magnitude, in units of J.")
    j_ii: float = Field(1.0, ge=0, description="I to I weight, magnitude, in units of J.")
    drive_exc: float = Field(0.12, description="Constant drive of E neurons in units of g sqrt(k) (threshold).")
    drive_inh: float = Field(0.08, description="Constant drive of I neurons in units of g sqrt(k) (threshold).")
    tau_syn_ms: float = Field(3.0, gt=0, description="Time constant of the static synapses in ms.")


class Plastic(Section):
    """Plastic projections onto the trained neurons."""

    n_exc: int = Field(132, ge=0, description="Plastic inputs from E neurons per trained neuron.")
    n_inh: int = Field(132, ge=0, description="Plastic inputs from I neurons per trained neuron.")
    exc_sources: Literal["trained", "all"] = Field("trained", description="E neurons that plastic inputs are drawn from.")
    weight_exc: float = Field(0.596, description="Initial weight of plastic E inputs (threshold x ms).")
    weight_inh: float = Field(-0.323, description="Initial weight of plastic I inputs (threshold x ms).")
    tau_syn_ms: float = Field(
        150.0, gt=0, description="Time constant of the plastic synapses and of the presynaptic traces in ms."
    )
    pool_size: int = Field(
        1,
        ge=1,
        description="Trained neurons, consecutive by their number, that share one set of plastic inputs (a neuron may then feed "
        "itself); RLS keeps one P per pool, ridge factors one matrix. 1: every neuron has inputs of its own.",
    )


class FeedForward(Section):
    """Poisson inputs with frozen random rates, separate rates and weights per condition (Kim et al. 2023)."""

    n_inputs: int = Field(0, ge=0, description="Number of Poisson inputs; 0: none.")
    rate_hz: float = Field(5.0, ge=0, description="Mean of the Ornstein-Uhlenbeck process that sets the rates, in Hz.")
    rate_sd_hz: float = Field(2.83, ge=0, description="Its stationary standard deviation in Hz.")
    tau_ms: float = Field(400.0, gt=0, description="Its correlation time in ms.")
    smooth_ms: float = Field(101.0, ge=0, description="Width of the moving average applied to the rates in ms.")
    lead_ms: float = Field(
        0.0,
        ge=0,
        description="How long before the window the inputs begin, in ms; with some plastic.tau_syn_ms of lead their currents are "
        "at work from the window's first bin on.",
    )


class Stimulus(Section):
    """Frozen Ornstein-Uhlenbeck drive per neuron and condition that triggers the trial; it ends where the window begins."""

    duration_ms: float = Field(200.0, ge=0, description="Duration in ms.")
    sd: float = Field(0.632, ge=0, description="Stationary standard deviation, in units of the threshold.")
    tau_ms: float = Field(20.0, gt=0, description="Correlation time in ms.")


class Assignment(Section):
    """Which model neuron stands for which recorded unit."""

    method: Literal["rate_matched", "one_to_one"] = Field(
        "rate_matched",
        description="'rate_matched': by mean rate, highest first, to the unused neuron with the nearest untrained rate; "
        "'one_to_one': unit i to neuron i of the population.",
    )
    population: Literal["exc", "all"] = Field("exc", description="Neurons that may stand for recorded units.")


class NetworkConfig(Section):
    """The build stage."""

    dt_ms: float = Field(0.1, gt=0, le=1, description="Time step in ms.")
    integration: Literal["euler", "exact"] = Field(
        "euler", description="'euler': forward Euler as in TrainSpikingNet; 'exact': exact for the linear subthreshold dynamics."
    )
    settle_ms: float = Field(800.0, ge=0, description="Free run from random voltages before the stimulus, in ms.")
    neuron: Neuron = Neuron()
    model: NeuronModelConfig | None = Field(None, description="Neurons given by equations, in place of 'neuron'.")
    neuron_inh: Neuron | None = Field(None, description="I neurons, where they differ from the E neurons (all keys of 'neuron').")
    balanced: Balanced = Balanced()
    plastic: Plastic = Plastic()
    feed_forward: FeedForward = FeedForward()
    stimulus: Stimulus = Stimulus()
    assignment: Assignment = Assignment()
