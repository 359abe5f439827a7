"""Configuration of `fitrec simulate`: the ground-truth network, and the recording made from it."""

from pydantic import Field

from fitrec.config.base import Section


class SimulateConfig(Section):
    """A ground-truth network and the recording made from it."""

    units: int = Field(72, ge=1, description="Neurons that are recorded well; some bad units come on top.")
    min_rate_hz: float = Field(1.0, ge=0, description="Only neurons that fire at least this much are recorded well, in Hz.")
    bad_units: bool = Field(
        True, description="Add units no experimenter would keep: silent, nearly silent, lost, two neurons in one, noise."
    )
    stimuli: int = Field(3, ge=1, le=26, description="Number of stimuli, the conditions of the trials.")
    trials_per_stimulus: int = Field(60, ge=1, description="Recorded trials of each stimulus, in random order.")
    truth_trials: int = Field(200, ge=1, description="Further trials of each stimulus, whose mean is the truth.")
    before_s: float = Field(0.3, ge=0, description="Recorded time before each stimulus in seconds.")
    after_s: float = Field(1.1, gt=0, description="Recorded time from the beginning of each stimulus in seconds.")
    gap_s: float = Field(0.5, ge=0, description="Time between trials in which nothing is recorded, in seconds.")
    n_exc: int = Field(480, ge=2, description="Number of excitatory neurons of the network.")
    n_inh: int = Field(120, ge=1, description="Number of inhibitory neurons of the network.")
    k: int = Field(60, ge=1, description="Connections per neuron from each population.")
    n_inputs: int = Field(60, ge=1, description="Number of Poisson inputs that carry the stimulus.")
