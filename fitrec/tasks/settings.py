"""The parameters of the published set-ups, by task, model and optimiser (eprop.md 2.1, 3.2)."""

from dataclasses import dataclass, replace
from math import exp

from fitrec.tasks.draws import EVIDENCE_STEPS, RECALL_STEPS
from fitrec.tasks.names import is_adaptive, rule_of


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a task needs beside its draws; time step 1 ms, capacitance 1 pF, voltages in mV relative to rest."""

    steps: int
    window: int  # steps at the end of a sequence in which the error counts
    loss: str  # mean_squared_error or cross_entropy
    tau_m_ms: float
    tau_m_sd_ms: float = 0.0  # over neurons
    tau_readout_ms: float
    threshold_mv: float
    reset_mv: float | None  # None: the threshold is subtracted
    refractory_steps: int
    adapt_beta: float  # of the adaptive neurons
    adapt_tau_ms: float
    surrogate_height: float
    surrogate_width_mv: float
    c_reg: float
    target_rate_hz: float = 10.0
    learning_rate: float
    adam_epsilon: float = 1e-7
    adam_beta_1: float = 0.9
    adam_beta_2: float = 0.999
    weight_limit: float = 100.0
    # The original rule only.
    regular_spike_arrival: bool = True  # otherwise a spike adds 1 - exp(-dt / tau) per unit weight
    regular_spike_arrival_readout: bool = True
    average_gradient: bool = False
    # e-prop+ only.
    kappa: float | None = None  # None: that of the readout, as the original rule has it
    kappa_reg: float = 0.97
    cutoff_steps: int = 100
    # Drawn weights are multiplied by this to the power given, in float32.
    scale: float = 1.0
    scale_recurrent: int = 0  # input and recurrent weights
    scale_readout: int = 0
    scale_feedback: int = 0
    feedback_decay: float = 0.01  # of adaptive feedback; not published with these tasks


def regression(model: str, optimizer: str, steps: int | None) -> Settings:
    """Sine waves. e-prop: 1000 steps; e-prop+: the 100 steps of the published tests, or 1000 as in the published example."""
    if rule_of(model) == "e-prop":
        return _original_regression(optimizer, steps or 1000)
    steps = steps or 100
    scale = 1 - 0.97
    plus = Settings(
        steps=steps,
        window=steps,
        loss="mean_squared_error",
        tau_m_ms=30.0,
        tau_readout_ms=30.0,
        threshold_mv=0.03,
        reset_mv=None,
        refractory_steps=0,
        adapt_beta=0.0174,
        adapt_tau_ms=2000.0,
        surrogate_height=10.0,
        surrogate_width_mv=0.03 if steps == 100 else 1 / 33.3,
        c_reg=300 / steps,
        learning_rate=1e-4 * scale**2,
        kappa=0.97,
        scale=scale,
        scale_recurrent=1,
        scale_readout=1,
        scale_feedback=1,
    )
    if "psc_delta" not in model:
        return plus
    return replace(
        plus,
        threshold_mv=0.5,
        reset_mv=-0.5,
        adapt_beta=1.0,
        adapt_tau_ms=10.0,
        c_reg=2 / steps / scale**2,
        scale_recurrent=0,
        scale_feedback=-1,
    )


def _original_regression(optimizer: str, steps: int) -> Settings:
    # Adaptation and Adam are those of the published handwriting and lemniscate tasks.
    return Settings(
        steps=steps,
        window=steps,
        loss="mean_squared_error",
        tau_m_ms=30.0,
        tau_readout_ms=30.0,
        threshold_mv=0.03,
        reset_mv=None,
        refractory_steps=0,
        adapt_beta=_adaptation(30.0),
        adapt_tau_ms=2000.0,
        surrogate_height=0.3 / 0.03,
        surrogate_width_mv=0.03,
        c_reg=300.0,
        learning_rate=5e-3 if optimizer == "adam" else 1e-4,
        adam_epsilon=1e-8,
        regular_spike_arrival=False,
        regular_spike_arrival_readout=False,
    )


def pattern(steps: int) -> Settings:
    """Lemniscate and handwriting; the membrane time constants differ between neurons."""
    return replace(
        _original_regression("adam", steps),
        tau_m_sd_ms=2.0,
        tau_readout_ms=50.0,
        c_reg=150.0,
        target_rate_hz=20.0,
    )


def classification(model: str) -> Settings:
    """Evidence accumulation; the same parameters for both optimisers."""
    original = Settings(
        steps=EVIDENCE_STEPS,
        window=RECALL_STEPS,
        loss="cross_entropy",
        tau_m_ms=20.0,
        tau_readout_ms=20.0,
        threshold_mv=0.6,
        reset_mv=None,
        refractory_steps=5,
        adapt_beta=_adaptation(20.0),
        adapt_tau_ms=2000.0,
        surrogate_height=0.3 / 0.6,
        surrogate_width_mv=0.6,
        c_reg=300.0,
        learning_rate=5e-3,
        adam_epsilon=1e-8,
        regular_spike_arrival_readout=False,
        average_gradient=True,
    )
    if rule_of(model) == "e-prop":
        return original
    scale = 0.05
    return replace(
        original,
        loss="mean_squared_error",
        surrogate_height=0.5,
        surrogate_width_mv=1 / 1.7,
        c_reg=300 / EVIDENCE_STEPS * RECALL_STEPS / scale**2,
        learning_rate=5e-3 / RECALL_STEPS * scale**2,
        regular_spike_arrival_readout=True,
        average_gradient=False,
        kappa=0.95,
        kappa_reg=0.95,
        scale=scale,
        scale_readout=1,
        scale_feedback=-1,
        # Not published for these models: the reset that corresponds to subtracting the threshold.
        reset_mv=0.0 if "psc_delta" in model else None,
    )


def adaptive_neurons(task: str, model: str, n: int) -> list[bool]:
    """Which neurons adapt: all or none in regression, the second half in classification, whichever of the family is named."""
    if task == "classification":
        return [j >= n // 2 for j in range(n)]
    return [is_adaptive(model)] * n


def _adaptation(tau_m_ms: float) -> float:
    return 1.7 * (1 - exp(-1 / 2000)) / (1 - exp(-1 / tau_m_ms))
