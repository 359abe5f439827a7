"""A neuron model: what its text says, checked and with values in the base units."""

from dataclasses import dataclass

from fitrec.neurons.expression import Expression, Place, Statement

SURROGATES = ("piecewise_linear", "exponential", "fast_sigmoid", "arctan")
DT = "dt"  # the step in ms, known in every expression
SPIKE = "z"  # in `update` the spike of the step before, in `observe` and `reset` that of this step


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A number of the neuron.

    Attributes
    ----------
    value : float
        In the base units of `fitrec.neurons.units`; a network may give each neuron a value of its own.
    unit : str
        As written; an empty string for none.

    """

    name: str
    value: float
    unit: str
    place: Place


@dataclass(frozen=True, kw_only=True)
class State:
    """A variable that changes from step to step; `initial` is its value at the beginning of a trial."""

    name: str
    initial: float
    unit: str
    place: Place


@dataclass(frozen=True, kw_only=True)
class Port:
    """Where synapses end: in a step it holds the weights of the spikes that arrive, summed.

    Attributes
    ----------
    tau : str
        Name of the parameter with the time constant of an ``align_pre`` port, whose value is filtered before the update sees it,
        ``y <- exp(-dt / tau) y + sum``; the filter is one trace per presynaptic neuron. An empty string for ``align_post``: the
        update sees the sum itself, and filters it if it wants to.

    """

    name: str
    unit: str
    tau: str
    place: Place


@dataclass(frozen=True, kw_only=True)
class Current:
    """A number given from outside for every neuron and step (stimulus, drive)."""

    name: str
    unit: str
    place: Place


@dataclass(frozen=True, kw_only=True)
class Refractory:
    """What a neuron does after a spike: for `steps` updates it neither spikes nor changes the states in `hold`.

    Attributes
    ----------
    steps : Expression
        Of parameters and dt; rounded to the nearest whole number, at least 0.
    hold : tuple of str
        States that keep their value meanwhile, so that input to them is lost.
    surrogate_lead : int
        Steps by which the surrogate derivative, 0 while the neuron is refractory, returns before the neuron does.

    """

    steps: Expression
    hold: tuple[str, ...]
    surrogate_lead: int


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """Pseudo-derivative of a spike by the threshold variable u (eprop.md 1.2).

    ``piecewise_linear``: height max(0, 1 - |u|/width); ``exponential``: height exp(-|u|/width); ``fast_sigmoid``: height /
    (1 + |u|/width)^2; ``arctan``: height / (1 + (u/width)^2). Height and width are expressions of parameters.
    """

    kind: str
    height: Expression
    width: Expression


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Normal noise added to a state before the update; the amplitude, per step, is an expression of parameters and dt."""

    state: str
    amplitude: Expression


@dataclass(frozen=True, kw_only=True)
class Model:
    """A neuron model with element-wise dynamics.

    A step: noise; ports receive the spikes that arrive; `update` runs, each line seeing what the lines before it assigned, names
    of states meaning their values of the step before until they are assigned; the neuron spikes (z = 1) where `threshold` is at
    least 0 (above 0 if `strict`) and it is not refractory; `observe` runs for all neurons; `reset` runs for those that spiked.
    Derivatives treat z as a function of `threshold` with the surrogate as its derivative, except in `reset`, where it is a
    constant.

    Attributes
    ----------
    source : str
        The text itself, for `fitrec model show` and for records.

    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    states: tuple[State, ...]
    ports: tuple[Port, ...]
    currents: tuple[Current, ...]
    update: tuple[Statement, ...]
    threshold: Expression
    strict: bool
    observe: tuple[Statement, ...]
    reset: tuple[Statement, ...]
    refractory: Refractory | None
    surrogate: Surrogate
    noise: Noise | None
    source: str
