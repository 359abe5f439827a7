"""From settings and draws to the network that learns."""

from math import exp
from typing import Any

import numpy as np

from fitrec.kernels.cuda.device import Device
from fitrec.kernels.eprop import Feedback, FeedbackRule, Learned, Neurons, Reset, Rule, Surrogate
from fitrec.kernels.optimise import Optimization, Optimizer
from fitrec.learn.eprop.learners import IntervalLearner, Learner, Network, StepLearner
from fitrec.tasks.draws import Draws, Single, Weights
from fitrec.tasks.settings import Settings


def build(
    settings: Settings,
    drawn: Draws,
    *,
    rule: str,
    adaptive: list[bool],
    optimizer: str,
    surrogate: str,
    feedback: str,
    precision: str,
    device: Device | None,
) -> Learner:
    """Return the learner of a task; names as in `fitrec.tasks.names`, `adaptive` for each neuron, device None: the processor."""
    weights = drawn.weights
    dtype = np.dtype(precision)
    original = rule == "e-prop"
    learned = _weights(settings, weights, dtype)
    gain = settings.scale ** (settings.scale_feedback - settings.scale_readout)
    follow = FeedbackRule(kind=int(Feedback[feedback.upper()]), gain=gain, decay=settings.feedback_decay)
    if follow.kind == Feedback.SYMMETRIC:
        learned.feedback[:] = gain * learned.w_out.T
    network = Network(
        neurons=_neurons(settings, drawn, adaptive, surrogate, dtype, original=original),
        rule=_rule(settings, original=original),
        learned=learned,
        optimization=Optimization(
            optimizer=int(Optimizer[optimizer.upper()]),
            learning_rate=settings.learning_rate,
            beta_1=settings.adam_beta_1,
            beta_2=settings.adam_beta_2,
            epsilon=settings.adam_epsilon,
            w_min=-settings.weight_limit,
            w_max=settings.weight_limit,
        ),
        feedback=follow,
    )
    if not original:
        return StepLearner(network, window=settings.window, device=device)
    softmax = settings.loss == "cross_entropy"
    return IntervalLearner(
        network, window=settings.window, softmax=softmax, average_gradient=settings.average_gradient, device=device
    )


def _neurons(
    settings: Settings, drawn: Draws, adaptive: list[bool], surrogate: str, dtype: np.dtype[Any], *, original: bool
) -> Neurons:
    every = np.ones(len(adaptive))
    deviates = 0 * every if drawn.deviates is None else drawn.deviates
    decay = np.array([exp(-1 / tau_m_ms) for tau_m_ms in settings.tau_m_ms + settings.tau_m_sd_ms * deviates])
    reset = Reset.NEXT_STEP if original else Reset.SUBTRACT if settings.reset_mv is None else Reset.HARD
    return Neurons(
        decay=decay.astype(dtype),
        gain=(every if settings.regular_spike_arrival else 1 - decay).astype(dtype),
        threshold=(settings.threshold_mv * every).astype(dtype),
        adapt_beta=(settings.adapt_beta * np.array(adaptive)).astype(dtype),
        adapt_decay=(exp(-1 / settings.adapt_tau_ms) * every).astype(dtype),
        v_min=-np.inf,
        v_reset=settings.reset_mv or 0.0,
        refractory_steps=settings.refractory_steps,
        reset=int(reset),
        surrogate=int(Surrogate[surrogate.upper()]),
        height=settings.surrogate_height,
        width=settings.surrogate_width_mv,
    )


def _rule(settings: Settings, *, original: bool) -> Rule:
    decay = exp(-1 / settings.tau_readout_ms)
    return Rule(
        kappa=decay if settings.kappa is None else settings.kappa,
        kappa_reg=settings.kappa_reg,
        readout_decay=decay,
        readout_gain=1.0 if settings.regular_spike_arrival_readout else 1 - decay,
        c_reg=settings.c_reg,
        target_rate=settings.target_rate_hz / 1000,
        cutoff_steps=settings.cutoff_steps,
    )


def _weights(settings: Settings, weights: Weights, dtype: np.dtype[Any]) -> Learned:
    def scaled(drawn: Single, power: int) -> Single:
        factor = np.float32(settings.scale)
        return np.asarray(drawn * factor if power > 0 else drawn / factor if power < 0 else drawn)

    n = weights.w_rec.shape[0]
    w = np.concatenate([weights.w_in, weights.w_rec])
    plastic = np.concatenate([np.ones(weights.w_in.shape, dtype=np.bool_), ~np.eye(n, dtype=np.bool_)])
    return Learned(
        w=scaled(w, settings.scale_recurrent).astype(dtype),
        w_plastic=plastic,
        w_out=scaled(weights.w_out, settings.scale_readout).astype(dtype),
        feedback=np.ascontiguousarray(scaled(weights.feedback, settings.scale_feedback).astype(dtype)),
    )
