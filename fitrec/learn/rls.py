"""Recursive least squares, online, in the trials (Sussillo & Abbott 2009; Kim & Chow 2018; Kim et al. 2023; rls.md 2.1)."""

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.kernels.reference.rls import initial_p
from fitrec.learn.drive_targets import DriveTargets, measure_static_current
from fitrec.learn.rls_learner import STATIC_TRIALS, LearnerOptions, chosen_rank, flushes_half
from fitrec.learn.rls_trial import make_trials
from fitrec.learn.rule import Arrays, LoopResult, Problem, require_finite_targets
from fitrec.networks.weights import Weights

FIRST_STATIC_TRIAL = 600_000


class Rls:
    """One loop is one trial of each condition, with an update of every trained neuron at the end of each bin."""

    name = "rls"

    def __init__(
        self,
        problem: Problem,
        *,
        loops: int,
        scaling: str,
        penalty: float,
        penalty_row_sum: float,
        penalty_feed_forward: float,
        static_current: str,
        evaluate_every: int,
        rank: int | str,
        p_storage: str,
        flush: str,
        dale: bool,
    ) -> None:
        network = problem.simulator.network
        self._problem, self._instantaneous = problem, static_current == "instantaneous"
        self.n_loops, self._evaluate_every = loops, evaluate_every
        n_trained, n_inputs = network.plastic_pre.shape
        n_ff = network.n_feed_forward
        weights = Weights(
            plastic=network.plastic_weight.copy(),
            feed_forward=np.zeros((network.n_conditions, n_trained, n_ff), np.float32),
        )
        self._drives = DriveTargets(problem)
        unit = self._mean_square_trace(weights) if scaling == "relative" else 1.0
        p0 = initial_p(
            n_ff,
            network.n_plastic_exc,
            n_inputs - network.n_plastic_exc,
            penalty=penalty * unit,
            penalty_row_sum=penalty_row_sum * unit,
            penalty_feed_forward=penalty_feed_forward * unit,
        )
        options = LearnerOptions(
            rank=chosen_rank(rank, n_ff + n_inputs),
            storage=p_storage,
            pool_size=network.plastic_pool_size,
            dale=dale,
            half_flush=flushes_half(flush, p_storage, n_ff + n_inputs),
        )
        self._trials, self._has_aim = make_trials(problem, p0, weights, options, instantaneous=self._instantaneous), False

    @property
    def weights(self) -> Weights:
        """The weights so far."""
        return self._trials.weights

    def _mean_square_trace(self, weights: Weights) -> float:
        """Sum over one trial of all conditions of the squared trace, averaged over the plastic inputs (untrained network)."""
        network = self._problem.simulator.network
        total = 0.0
        for condition in range(network.n_conditions):
            (trial,) = self._problem.run_trials(weights, condition, [FIRST_STATIC_TRIAL], traces=True)
            total += float((trial.traces[:, np.unique(network.plastic_pre)].astype(np.float64) ** 2).sum(axis=0).mean())
        return total

    def loop(self, index: int) -> LoopResult:
        """Run loop `index`: one trial per condition, learning on the way."""
        if index == 0 and not self._instantaneous:
            current = measure_static_current(self._problem, self.weights, STATIC_TRIALS, FIRST_STATIC_TRIAL)
            self._drives.set_static_halves(current[None])
        if not self._has_aim:  # it does not change any more
            wanted = self._drives.plastic_drive()
            require_finite_targets(wanted, self._problem, index)
            self._trials.aim_at(wanted)
            self._has_aim = True
        network = self._problem.simulator.network
        rates = []
        for condition in range(network.n_conditions):
            rate = self._trial(condition, index) / (network.window_steps * network.dt_ms * 1e-3)
            rates.append((float(rate[: network.n_exc].mean()), float(rate[network.n_exc :].mean())))
            self._problem.progress(condition, rates[-1])
        exc, inh = np.mean(rates, axis=0)
        return LoopResult(
            forcing=0.0,
            rate_exc_hz=float(exc),
            rate_inh_hz=float(inh),
            correlation=float("nan"),
            frozen=False,
        )

    def _trial(self, condition: int, index: int) -> NDArray[np.float64]:
        """Run one trial with learning; returns the spikes of every neuron in the window."""
        network = self._problem.simulator.network
        counts, bad = self._trials.run(condition, index)
        if bad is not None:
            raise TrainingError(
                f"RLS became unstable at neuron {network.trained[bad[1]]} in loop {index + 1}, "
                f"condition {network.condition_names[condition]!r}, bin {bad[0] + 1}: "
                "r'Pr is negative or not finite, or the error is not; raise train.rls.penalty"
            )
        return counts.astype(np.float64)

    def not_finite(self) -> tuple[int, int] | None:
        """See `fitrec.learn.rule.not_finite`."""
        return self._trials.not_finite()

    def validates(self, index: int) -> bool:
        """Return True every so many loops and after the last one."""
        return (index + 1) % self._evaluate_every == 0 or index + 1 == self.n_loops

    def state(self) -> Arrays:
        """Return weights, P and the refined targets; the rest starts anew in each trial."""
        weights = self.weights
        return {
            "plastic": weights.plastic,
            "feed_forward": weights.feed_forward,
            **self._trials.learner.arrays(),
            "static_halves": self._drives.state()["static_halves"],
        }

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self._trials.weights = Weights(plastic=state["plastic"], feed_forward=state["feed_forward"])
        self._trials.learner.restore(state)
        self._drives.set_static_halves(state["static_halves"])
        self._has_aim = False
