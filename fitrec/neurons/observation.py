"""What is measured of a neuron, as states of its own block: then no learning rule loses the memory of the measurement.

A filter outside the neuron costs most of the gradient of rules that cut the paths through other neurons (pp_prop.md 5.3).
"""

from dataclasses import dataclass, replace
from math import exp

from fitrec.errors import ModelError
from fitrec.neurons.check import check, dimensions
from fitrec.neurons.evaluate import evaluate
from fitrec.neurons.expression import Place, parse_statements
from fitrec.neurons.model import Model, Parameter, State

RATE = "rate"
CALCIUM = "calcium"
COUNT = "count"
_NOWHERE = Place(0, 0)
_AT_PEAK = "log(tau_calcium_rise / tau_calcium) / (tau_calcium - tau_calcium_rise)"  # -1 / tau_rise / tau_decay times its time
_PEAK = f"(exp({_AT_PEAK} * tau_calcium_rise) - exp({_AT_PEAK} * tau_calcium))"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A causal filter through which rates are seen: a readout, or a calcium indicator.

    Attributes
    ----------
    decay_ms, rise_ms : float
        Time constants of the difference of two exponentials; without a rise of one.
    smoothed : bool
        Whether rates are smoothed first, as targets are (not by a neuron that observes them itself).

    """

    decay_ms: float
    rise_ms: float = 0.0
    smoothed: bool = False

    @property
    def row(self) -> str:
        """The state of a neuron that observes its own spikes so."""
        return CALCIUM if self.rise_ms else RATE

    def observed_by(self, model: Model) -> Model:
        """Add that state.

        Raises
        ------
        ModelError
            As `observe_rate` and `observe_calcium`.

        """
        return observe_calcium(model, self.decay_ms, self.rise_ms) if self.rise_ms else observe_rate(model, self.decay_ms)

    def hz(self, dt_ms: float) -> float:
        """Return what that state is multiplied by, with so long a step, to have the rate in Hz as its mean."""
        if not self.rise_ms:
            return 1e3
        values = {"tau_calcium": self.decay_ms, "tau_calcium_rise": self.rise_ms}
        peak = float(evaluate(parse_statements(f"peak = {_PEAK}", _NOWHERE)[0].expression, values))
        fall, rise = exp(-dt_ms / self.decay_ms), exp(-dt_ms / self.rise_ms)
        return 1e3 / dt_ms * peak / (fall / (1 - fall) - rise / (1 - rise))


def observe_rate(model: Model, tau_ms: float) -> Model:
    """Add the state ``rate`` (1/ms): the spikes filtered by an exponential of time constant ``tau_ms``, whose mean is the rate.

    Raises
    ------
    ModelError
        If the time constant is not above 0, or the model uses one of the names.

    """
    return _added(
        model,
        {RATE: "1/ms"},
        {"tau_rate": _positive("tau_ms", tau_ms)},
        "rate = exp(-dt / tau_rate) * rate + (1 - exp(-dt / tau_rate)) / dt * z",
    )


def observe_calcium(model: Model, tau_decay_ms: float, tau_rise_ms: float | None = None) -> Model:
    """Add the state ``calcium``: the spikes filtered by an exponential, or with a rise by a difference of two, of peak 1.

    n steps after a single spike it is ``exp(-n dt / tau_decay)``, or ``(exp(-(n + 1) dt / tau_decay) - exp(-(n + 1) dt /
    tau_rise)) / peak`` with peak the maximum of that difference over continuous time; the second filter's own state is
    ``calcium_rise``.

    Raises
    ------
    ModelError
        If the time constants are not ``0 < tau_rise_ms < tau_decay_ms``, or the model uses one of the names.

    """
    taus = {"tau_calcium": _positive("tau_decay_ms", tau_decay_ms)}
    if tau_rise_ms is None:
        return _added(model, {CALCIUM: ""}, taus, "calcium = exp(-dt / tau_calcium) * calcium + z")
    if tau_rise_ms >= tau_decay_ms:
        raise ModelError(f"tau_rise_ms must be below tau_decay_ms, but is {tau_rise_ms:g} against {tau_decay_ms:g}")
    taus["tau_calcium_rise"] = _positive("tau_rise_ms", tau_rise_ms)
    return _added(
        model,
        {CALCIUM: "", "calcium_rise": ""},
        taus,
        "calcium_rise = exp(-dt / tau_calcium_rise) * calcium_rise + z\n"
        "calcium = exp(-dt / tau_calcium) * calcium "
        f"+ (exp(-dt / tau_calcium) - exp(-dt / tau_calcium_rise)) / {_PEAK} * calcium_rise",
    )


def observe_count(model: Model) -> Model:
    """Add the state ``count``: the spikes since the beginning of the trial, or since it was last set to 0.

    Raises
    ------
    ModelError
        If the model uses the name.

    """
    return _added(model, {COUNT: ""}, {}, "count = count + z")


def observe(model: Model, name: str, unit: str, expression: str) -> Model:
    """Add a state that is an expression of the model's variables, as they are before a spike resets them.

    Raises
    ------
    ModelError
        If the model uses the name, or the expression cannot be used.

    """
    return _added(model, {name: unit}, {}, f"{name} = {expression}")


def _added(model: Model, states: dict[str, str], parameters: dict[str, float], statements: str) -> Model:
    taken = set(dimensions(model)) | {s.target for s in (*model.update, *model.observe, *model.reset)}
    for name in (*states, *parameters):
        if name in taken:
            raise ModelError(f"the model has something called {name!r} already: rename it", source=model.name)
    observed = replace(
        model,
        parameters=(*model.parameters, *(Parameter(name=n, value=v, unit="ms", place=_NOWHERE) for n, v in parameters.items())),
        states=(*model.states, *(State(name=n, initial=0.0, unit=unit, place=_NOWHERE) for n, unit in states.items())),
        observe=(*model.observe, *parse_statements(statements, _NOWHERE)),
    )
    check(observed)
    return observed


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise ModelError(f"{name} must be above 0, but is {value:g}")
    return value
