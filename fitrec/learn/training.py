"""Drives a rule loop by loop: learning curve, validation with frozen weights, best weights so far."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fitrec.learn.psth_fit import validate
from fitrec.learn.rule import FIRST_VALIDATION_TRIAL, LoopResult, Problem, Rule, require_finite
from fitrec.networks.weights import Weights

Row = dict[str, float | int | bool]


@dataclass(kw_only=True)
class Training:
    """A training under way.

    Attributes
    ----------
    best : Weights
        Weights with the highest correlation in a validation (closed loop, frozen weights, training targets), up to `slack`.
    best_correlation : float
        The highest so far.
    slack : float
        Newer weights are taken as long as they fall behind the highest correlation by less: for rules whose later solutions rest
        on more trials, which a difference that a validation cannot tell from noise should not undo.
    curve : list of rows
        One per loop: loop, seconds, forcing, rate_exc_hz, rate_inh_hz, correlation, frozen. Correlation is that of a validation
        after the loop, or else of the loop's own trials.
    seconds : float
        Time spent so far, over all resumptions.

    """

    problem: Problem
    rule: Rule
    validation_trials: int
    best: Weights
    best_correlation: float = float("-inf")
    slack: float = 0.0
    curve: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    def run(self, after_loop: Callable[["Training", Row], Any]) -> Weights:
        """Run the loops that are left and return the best weights; `after_loop` is called with each new row of the curve.

        Raises
        ------
        TrainingError
            If weights become infinite or NaN.

        """
        for index in range(len(self.curve), self.rule.n_loops):
            started = time.perf_counter()
            result = self.rule.loop(index)
            require_finite(self.rule, self.problem.simulator.network.trained, index)
            if result.tested is not None:
                self._consider(result.tested, result.correlation)
            if self.rule.validates(index):
                result = self._validate(result)
            self.seconds += time.perf_counter() - started
            figures = {name: value for name, value in vars(result).items() if name != "tested"}
            row: Row = {"loop": index + 1, "seconds": round(self.seconds, 3), **figures}
            self.curve.append(row)
            after_loop(self, row)
        return self.best

    def _validate(self, result: LoopResult) -> LoopResult:
        weights = self.rule.weights
        correlation, (exc, inh) = validate(self.problem, weights, self.validation_trials, FIRST_VALIDATION_TRIAL)
        self._consider(weights, correlation)
        return LoopResult(forcing=result.forcing, rate_exc_hz=exc, rate_inh_hz=inh, correlation=correlation, frozen=True)

    def _consider(self, weights: Weights, correlation: float) -> None:
        # As long as no correlation was defined (silent network), the newest weights count as the best.
        if correlation > self.best_correlation - self.slack or self.best_correlation == float("-inf"):
            self.best = weights
        self.best_correlation = max(self.best_correlation, correlation)  # NaN as the second argument is passed over
