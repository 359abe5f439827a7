"""Configuration of the train stage: the rule and its settings."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fitrec.config.base import Section


class Ridge(Section):
    """Batch least squares with annealed teacher forcing. Penalties are relative to the mean square of the presynaptic traces."""

    forcing: list[float] = Field(
        [1.0, 0.5, 0.3, 0.0, 0.0, 0.0, 0.0],
        min_length=1,
        description="Teacher forcing of each loop, from 1 (targets only) to 0 (closed loop).",
    )
    trials: int = Field(8, ge=2, description="Trials per condition in each loop with forcing.")
    closed_loop_trials: int = Field(
        24,
        ge=2,
        description="Trials per condition in each closed loop; more trials, less overfitting. They also tell how good the "
        "weights are that they ran with; after the last loop as many run again.",
    )
    penalty: float = Field(0.05, gt=0, description="lambda: L2 penalty around the initial weights.")
    penalty_row_sum: float = Field(0.0, ge=0, description="mu: penalty on the change of the summed E and summed I weights.")
    penalty_feed_forward: float = Field(0.05, gt=0, description="lambda_FF: L2 penalty of the feed-forward weights.")
    penalty_fluctuations: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Of the variance of a neuron's plastic drive over trials, relative to the squared miss of its mean. 1: least "
        "squares over single trials; less: the mean, which is all that a PSTH sees, comes nearer to its target.",
    )
    discount: float = Field(0.95, ge=0, le=1, description="Weight of the statistics of earlier loops.")
    correction_gain: float = Field(
        0.7,
        ge=0,
        description="Share of a rate's miss that a loop corrects through the f-I curve, as far as it recurs in both halves of "
        "the loop's trials. 0: none.",
    )
    correction_from: int = Field(4, ge=1, description="First loop (from 1) whose measured rates correct the targets.")
    average_closed_loops: bool = Field(
        False,
        description="Run each closed loop with the average of the closed loops' solutions so far and the one before them: "
        "steadier in networks without feed-forward input, whose solutions overshoot.",
    )
    gram: Literal["auto", "shared", "gathered"] = Field(
        "auto",
        description="Where a neuron's Gram matrix comes from: 'shared', a block of one matrix of all presynaptic neurons (small "
        "networks); 'gathered', formed anew from kept traces (large ones); 'auto', the cheaper one within memory_gb.",
    )
    memory_gb: float = Field(
        8.0, gt=0, description="Memory for the statistics of the traces; 'gathered' keeps the newest trials that fit into it."
    )
    trace_bits: Literal[16, 32] = Field(
        16,
        description="Precision of gathered traces: 16 halves the memory and moves the weights by about 1e-5 of the largest with "
        "128 inputs, 2e-4 with 1,000.",
    )


class Rls(Section):
    """Recursive least squares, online."""

    loops: int = Field(100, ge=1, description="Passes over all conditions.")
    scaling: Literal["published", "relative"] = Field(
        "relative",
        description="'relative': penalties times the squared trace of an input summed over one trial of all conditions; "
        "'published': absolute units (traces in 1/ms), for which 0.04, 8 and 1 (Kim et al. 2023) or 0.8, 0.01 and 1 "
        "(TrainSpikingNet) are usual.",
    )
    penalty: float = Field(0.3, gt=0, description="lambda: L2 penalty around the initial weights.")
    penalty_row_sum: float = Field(0.0, ge=0, description="mu: penalty on the change of the summed E and summed I weights.")
    penalty_feed_forward: float = Field(0.3, gt=0, description="lambda_FF: L2 penalty of the feed-forward weights.")
    static_current: Literal["instantaneous", "average"] = Field(
        "average",
        description="Static current in the error: that of the moment (as published) or its average in the untrained network.",
    )
    rank: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto",
        description="Updates of P held back and applied together; changes the speed, not the rule. 'auto': about the root of the "
        "number of inputs.",
    )
    p_storage: Literal["full", "packed", "int16"] = Field(
        "full",
        description="How P is kept. 'full': float32. 'packed': one triangle, the same bits in half the memory, 1 to 3 times "
        "slower. 'int16': 16 bits per element, half the memory at about the same speed, weights within about 1 % after 10,000 "
        "updates.",
    )
    flush: Literal["auto", "whole", "half"] = Field(
        "auto",
        description="How the updates held back are applied to a full P: to all of it, or to the half above the diagonal, which "
        "is written a second time below it. The same bits; 'half' is faster with many inputs, and 'auto' takes it from 512 on.",
    )
    dale: bool = Field(
        False,
        description="Keep the weights of E inputs at or above zero and those of I inputs at or below, after each update. P does "
        "not know of it, so the rule has to be slower: a relative penalty of 10 or more.",
    )
    evaluate_every: int = Field(20, ge=1, description="Loops between validations with frozen weights.")

    @model_validator(mode="after")
    def _halves_what_is_full(self) -> "Rls":
        if self.flush == "half" and self.p_storage != "full":
            raise ValueError(
                f"flush is half, but p_storage is {self.p_storage}; only a full P has two equal halves: set flush: auto"
            )
        return self


class SurrogateConfig(Section):
    """Pseudo-derivative of a spike by the threshold variable, in place of the neuron model's own."""

    kind: Literal["piecewise_linear", "exponential", "fast_sigmoid", "arctan"] = Field("piecewise_linear", description="Shape.")
    height: float = Field(0.3, gt=0, description="Value at the threshold, per unit of the threshold variable.")
    width: float = Field(1.0, gt=0, description="Width in units of the threshold variable.")


class TrainableConfig(Section):
    """A parameter of the trained neurons that is learned with the weights; a value for each neuron."""

    learning_rate: float = Field(0.01, gt=0, description="Relative to the value it begins with.")
    min: float | None = Field(None, description="Lower bound, in base units (ms, mV, ...); null: a tenth of a positive value.")
    max: float | None = Field(None, description="Upper bound; null: ten times a positive value.")
    shared: bool = Field(False, description="One value for all trained neurons.")


class GradientConfig(Section):
    """Rules that follow a gradient through the trials: everything but 'ridge' and 'rls'."""

    loops: int = Field(120, ge=1, description="Updates; each runs trials of all conditions.")
    trials: int = Field(1, ge=1, description="Trials per condition and update.")
    conditions_per_loop: int | None = Field(
        None,
        ge=1,
        description="Conditions, or segments of a continuous fit, of an update, which take turns in random order; null: all.",
    )
    averaging: float = Field(
        0.7,
        ge=0,
        lt=1,
        description="Share of earlier loops in the mean rates that are compared with the targets: more, less noise of single "
        "trials; less, a quicker answer to what changed. 0: the last loop alone. (Not for e-prop-plus, nor with "
        "conditions_per_loop.)",
    )
    loss: Literal["mse", "poisson", "calcium"] = Field(
        "mse",
        description="Of the smoothed mean rate of an update's trials against the targets: 'mse': mean squared difference (Hz^2); "
        "'poisson': negative log likelihood of the targets as counts; 'calcium': mean squared difference of what a calcium "
        "indicator would show of either.",
    )
    calcium_ms: float = Field(400.0, gt=0, description="loss: calcium: time constant of the indicator's decay.")
    calcium_rise_ms: float = Field(0.0, ge=0, description="loss: calcium: time constant of its rise, below calcium_ms. 0: none.")
    loss_of: Literal["units", "areas"] = Field(
        "units",
        description="What the loss compares: 'units', every trained neuron's rate with its unit's; 'areas', mean rates of the "
        "fitted units of each brain area (column 'area' of the units; those without one are left alone). Validations, which "
        "choose the best weights, judge the same.",
    )
    optimizer: Literal["adam", "sgd"] = Field("adam", description="How gradients change the weights.")
    learning_rate: float = Field(
        0.1,
        gt=0,
        description="Of the weights, in units of the mean magnitude of the initial plastic weights; feed-forward weights, which "
        "begin at 0, in units that move a neuron's mean input as much. e-prop-plus changes them after every bin: begin with "
        "0.01.",
    )
    beta_1: float = Field(0.0, ge=0, lt=1, description="adam: decay of the mean gradient, per update; averaging steadies too.")
    beta_2: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="adam: decay of the mean squared gradient per loop, which with e-prop-plus has an update after every bin; at "
        "0.999 the first, large gradients slow all others.",
    )
    common_mode: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Share that is kept of the part of a neuron's gradient which only moves its mean input, along which the loss "
        "is much steeper than in any other direction. 1: the gradient as it is.",
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="Of the learning rate over the loops; 'cosine' ends at 0."
    )
    clip_norm: float | None = Field(None, gt=0, description="A longer gradient is shortened to this norm; null: none is.")
    dale: Literal["none", "clip", "exponential", "softplus"] = Field(
        "none", description="How plastic weights keep the sign they begin with: not at all, clipped at 0, or by construction."
    )
    w_min: float | None = Field(None, description="Lower bound of plastic weights.")
    w_max: float | None = Field(None, description="Upper bound of plastic weights.")
    frozen: list[Literal["exc", "inh", "feed_forward"]] = Field([], description="Plastic projections that are not learned.")
    trainable: dict[str, TrainableConfig] = Field(
        {},
        description="Parameters of the trained neurons to learn as well, by name, such as 'tau_m: {learning_rate: 0.01}'; for "
        "local-adjoint, e-prop and bptt.",
    )
    rate_penalty: float = Field(
        0.0, ge=0, description="Strength (per Hz^2) of a pull of every neuron's mean rate to rate_target_hz. 0: none."
    )
    rate_target_hz: float = Field(5.0, ge=0, description="Where that pull leads.")
    surrogate: SurrogateConfig | None = Field(None, description="Pseudo-derivative in place of the neuron model's own.")
    window_ms: float = Field(
        0.0,
        ge=0,
        description="Length of the stretches through which derivatives go back, whole bins; shorter ones need less memory and "
        "forget what a spike does later. 0: the whole trial if it fits into memory_gb, else the longest that does.",
    )
    overlap: bool = Field(
        True,
        description="Windows of rules that go back (local-adjoint, e-prop, bptt) look one window further, so that every step "
        "sees the losses of at least a window's length. Where trials are cut, it takes more time and twice the memory.",
    )
    memory_gb: float = Field(4.0, gt=0, description="Memory for what the derivatives need of each step.")
    trace_ms: float = Field(
        0.0,
        ge=0,
        description="pp-prop: time constant of its traces. 0: twice the longest time constant of neuron and synapse.",
    )
    readout_ms: float = Field(
        20.0,
        gt=0,
        description="e-prop, e-prop-plus: time constant of the causal filter that stands for the smoothing (with loss: calcium "
        "the indicator does).",
    )
    cutoff_ms: float = Field(
        100.0, gt=0, description="e-prop-plus: a synapse whose source has been silent for longer is left alone."
    )
    evaluate_every: int = Field(20, ge=1, description="Loops between validations with frozen weights.")

    @model_validator(mode="after")
    def _rises_before_it_decays(self) -> "GradientConfig":
        if self.calcium_rise_ms >= self.calcium_ms:
            raise ValueError(
                f"calcium_rise_ms is {self.calcium_rise_ms:g}, but calcium_ms is {self.calcium_ms:g}; the rise has to be shorter"
            )
        return self


LEAST_SQUARES = ("ridge", "rls")  # the other rules follow gradients
RuleName = Literal["ridge", "rls", "local-adjoint", "pp-prop", "d-rtrl", "e-prop", "e-prop-plus", "bptt"]


class TrainConfig(Section):
    """The train stage."""

    rule: RuleName = Field(
        "ridge",
        description="Learning rule. Least squares: 'ridge', 'rls'. Gradients, settings under 'gradient': 'local-adjoint' (exact "
        "but for paths through other neurons), 'd-rtrl' (the same by a trace per synapse), 'pp-prop' (by two factors), 'e-prop' "
        "and 'e-prop-plus' (as published), 'bptt' (all paths; small networks).",
    )
    rate_floor_hz: float = Field(0.1, gt=0, description="Target rates below it are raised to it before they become drives.")
    sharpening: int = Field(
        0,
        ge=0,
        description="Iterations that sharpen the target rates before they become drives, because the network's PSTH is "
        "smoothed again before it is compared; helps networks that can follow (feed-forward input), hurts others. 0: none.",
    )
    static_smoothing_ms: float = Field(
        50.0,
        gt=0,
        description="Width of the boxcar that smooths the averages over trials of the static current, which the plastic inputs "
        "have to make up for: a short one follows fast responses, a long one needs fewer trials. (Not for gradient rules.)",
    )
    validation_trials: int = Field(
        10,
        ge=2,
        description="Frozen-weight trials per condition of a validation (on the training targets) that picks the best weights. "
        "(Not for ridge, which tests weights by the trials of its next closed loop.)",
    )
    checkpoint_every_s: float = Field(60.0, ge=0, description="Least time between checkpoints in seconds.")
    ridge: Ridge = Ridge()
    rls: Rls = Rls()
    gradient: GradientConfig = GradientConfig()
