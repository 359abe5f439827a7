"""Batch least squares with annealed teacher forcing (DESIGN section 5).

RLS solves, neuron by neuron, the regression of the wanted drive on the presynaptic traces, online, while the traces drift with
the weights. This rule does the regression itself: run trials with frozen weights and the trained neurons partly driven by their
targets, collect the traces, solve all regressions at once, lower the forcing, repeat.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.learn.drive_targets import DriveTargets, measure_static_current
from fitrec.learn.least_squares import Penalties, solve
from fitrec.learn.memory import FitSizes
from fitrec.learn.psth_fit import halves_correlation, smoothed_halves
from fitrec.learn.rule import Arrays, LoopResult, Problem, not_finite, require_finite_targets
from fitrec.learn.statistics_form import make_statistics
from fitrec.learn.trial_sums import DeviceTrialSums, TrialSums
from fitrec.networks.weights import Weights

SLACK = 0.02  # of a correlation: closer ones leave the later solution, which rests on more trials
STATIC_TRIALS = 4  # trials that measure the static current before the first loop


class Ridge:
    """The rule; see the module's text. One loop is: simulate, accumulate, correct, solve."""

    name = "ridge"

    def __init__(
        self,
        problem: Problem,
        *,
        forcing: list[float],
        trials: int,
        closed_loop_trials: int,
        penalties: Penalties,
        discount: float,
        correction_gain: float,
        correction_from: int,
        average_closed_loops: bool,
        gram: str,
        memory_gb: float,
        trace_bits: int,
    ) -> None:
        network = problem.simulator.network
        self._problem, self._forcing, self._penalties = problem, forcing, penalties
        self._trials = [trials if alpha > 0 else closed_loop_trials for alpha in forcing]
        self._discount, self._gain, self._correction_from = discount, correction_gain, correction_from
        self._average = average_closed_loops
        self.n_loops = len(forcing)
        n_conditions, n_bins, n_trained = problem.rate_hz.shape
        self._pool, positions = np.unique(network.plastic_pre, return_inverse=True)
        self._inputs = positions.reshape(network.plastic_pre.shape).astype(np.int32)
        self.weights = Weights(
            plastic=network.plastic_weight.copy(),
            feed_forward=np.zeros((n_conditions, n_trained, network.n_feed_forward), np.float32),
        )
        sizes = FitSizes.of(network, n_bins, len(self._pool)).ridge(tuple(self._trials), trace_bits)
        self._statistics = make_statistics(sizes, gram, memory_gb * 1e9, problem.simulator.device, self._pool)
        device = problem.simulator.device if self._statistics.on_device else None
        self._drives, self._xp = DriveTargets(problem, device), np if device is None else device.xp

    def loop(self, index: int) -> LoopResult:
        """Run loop `index`: simulate with forcing, update the statistics and the targets, solve."""
        problem, drives = self._problem, self._drives
        if index == 0:
            drives.set_static_halves(measure_static_current(problem, self.weights, STATIC_TRIALS, sum(self._trials))[None])
        forcing, before = self._forcing[index], self.weights
        wanted = drives.plastic_drive()
        self._statistics.discount(self._discount)
        halves_hz, currents = (self._xp.empty((2, *problem.rate_hz.shape)) for _ in range(2))
        rates = []
        for condition in range(len(wanted)):
            sums = self._run_trials(condition, index, forcing, wanted[condition])
            halves_hz[:, condition], currents[:, condition] = smoothed_halves(problem, sums), sums.static_currents()
            rates.append(sums.mean_rates_hz(problem.simulator.network.n_exc, problem.bin_s))
            one = slice(condition, condition + 1)
            problem.progress(condition, rates[-1], partial(self._correlation, halves_hz[:, one], one), frozen=forcing == 0)
        drives.observe_static_current(currents, self._averaging(index))
        del wanted, currents  # on a device every array counts
        if index + 1 >= self._correction_from:
            drives.observe_rates(halves_hz, self._gain)
        network = problem.simulator.network
        refined = drives.plastic_drive()
        if not drives.arrays.all_finite(refined):
            require_finite_targets(drives.arrays.to_host(refined), problem, index)
        plastic, feed_forward = solve(
            self._statistics,
            refined,
            self._inputs,
            network.plastic_weight,
            network.n_plastic_exc,
            self._penalties,
            problem.threads,
        )
        self.weights = self._averaged(Weights(plastic=plastic, feed_forward=feed_forward), index)
        exc, inh = np.mean(rates, axis=0)
        return LoopResult(
            forcing=forcing,
            rate_exc_hz=float(exc),
            rate_inh_hz=float(inh),
            correlation=self._correlation(halves_hz),
            frozen=forcing == 0,
            tested=before if forcing == 0 else None,
        )

    def _correlation(self, halves_hz: Any, conditions: slice = slice(None)) -> float:
        """Mean correlation of smoothed PSTHs (half, condition, time, trained) with the targets of these conditions."""
        return halves_correlation(self._problem, halves_hz, conditions, self._statistics.on_device)

    def validates(self, index: int) -> bool:
        """Return True for the last loop: what other loops arrive at, the next one's own trials test, if it is closed."""
        return index + 1 == self.n_loops

    def not_finite(self) -> tuple[int, int] | None:
        """See `fitrec.learn.rule.not_finite`."""
        return not_finite(self.weights)

    def _averaged(self, solved: Weights, index: int) -> Weights:
        """Average of the closed loops' solutions and of the one they began with, if asked for; else the newest."""
        closed = sum(alpha == 0 for alpha in self._forcing[: index + 1])
        if not self._average or closed < 1:
            return solved
        share, now = np.float32(1 / (closed + 1)), self.weights
        return Weights(
            plastic=now.plastic + share * (solved.plastic - now.plastic),
            feed_forward=now.feed_forward + share * (solved.feed_forward - now.feed_forward),
        )

    def _averaging(self, index: int) -> float:
        """Weight of this loop's static current in the average: closed loops count by trials, forced ones are soon forgotten."""
        if self._forcing[index] > 0:
            return 1.0 if index == 0 else 0.5
        closed = sum(n for n, alpha in zip(self._trials[: index + 1], self._forcing, strict=False) if alpha == 0)
        return self._trials[index] / (self._trials[0] + closed)

    def _run_trials(self, condition: int, index: int, forcing: float, wanted: Any) -> TrialSums | DeviceTrialSums:
        """Simulate the loop's trials of a condition with forcing; add their traces to the statistics."""
        problem, statistics = self._problem, self._statistics

        def keep(traces: Any, ff_traces: NDArray[np.float32]) -> None:
            of_pool = traces if statistics.on_device else np.stack([trace[:, self._pool] for trace in traces])
            statistics.add(condition, of_pool, ff_traces, problem.threads)

        return problem.sum_trials(
            self.weights,
            condition,
            range(sum(self._trials[:index]), sum(self._trials[: index + 1])),
            keep=keep,
            on_device=statistics.on_device,
            own=1.0 - forcing,
            forced=self._drives.arrays.forced(wanted, forcing),
        )

    def state(self) -> Arrays:
        """Return weights, statistics and refined targets."""
        return {
            "plastic": self.weights.plastic,
            "feed_forward": self.weights.feed_forward,
            **self._drives.state(),
            **{f"statistics.{name}": values for name, values in self._statistics.state().items()},
        }

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""
        self.weights = Weights(plastic=state["plastic"], feed_forward=state["feed_forward"])
        self._drives.restore(state)
        prefix = "statistics."
        self._statistics.restore({k.removeprefix(prefix): values for k, values in state.items() if k.startswith(prefix)})
