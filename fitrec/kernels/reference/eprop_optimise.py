"""Gradient descent and Adam with the catch-up of e-prop+ (eprop.md 1.6), and feedback that follows the readout."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.eprop import Array, Feedback, FeedbackRule, Moments
from fitrec.kernels.optimise import Optimization, Optimizer
from fitrec.kernels.reference.optimise import adam


def optimise(
    optimization: Optimization, moments: Moments, weights: Array, gradient: Array, active: NDArray[np.bool_], due: int
) -> None:
    """Change the weights of active presynaptic neurons, so that they have had `due` iterations.

    After a gap the gradient goes into the first of the iterations due, and the others get none (eprop.md 1.6).
    """
    o = optimization
    if o.optimizer == Optimizer.SGD:
        weights[active] = np.clip(weights[active] - o.learning_rate * gradient[active], o.w_min, o.w_max)
        return
    for gap in np.unique(due - moments.done[active]):
        rows = active & (due - moments.done == gap)
        g = gradient[rows]
        for iteration in range(due - gap + 1, due + 1):
            moments.mean[rows], moments.square[rows], change = adam(o, iteration, g, moments.mean[rows], moments.square[rows])
            weights[rows] = np.clip(weights[rows] - change, o.w_min, o.w_max)
            g = np.zeros_like(g)
    moments.done[active] = due


def follow_readout(rule: FeedbackRule, w_out: Array, feedback: Array, before: Array, learning_rate: float) -> None:
    """Let feedback follow the readout's weights, which were `before`."""
    if rule.kind == Feedback.SYMMETRIC:
        feedback[:] = rule.gain * w_out.T
    elif rule.kind == Feedback.ADAPTIVE:
        shrink = 1 - rule.decay * learning_rate
        feedback[:] = shrink * (feedback + rule.gain * (w_out - before).T)
        w_out[:] = shrink * w_out
