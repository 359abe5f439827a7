"""What a training tells while it runs: a line per condition on a terminal, lines in the log."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fitrec.learn.training import Row, Training

logger = logging.getLogger(__name__)

# Without a terminal, loops that take long are told about condition by condition, but no more often than this.
_LEAST_BETWEEN_LINES_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a training is, after one condition of one loop.

    Attributes
    ----------
    done : float
        Share of the whole training, 0 to 1; a validation adds nothing.
    text : str
        Loop, condition, seconds, rates, correlation.

    """

    done: float
    text: str


class Reporter:
    """Tells about a training: `show` gets every condition; without it the log does, where loops take long."""

    def __init__(self, show: Callable[[Status], None] | None) -> None:
        self._show = show
        self._training: Training | None = None
        self._started = self._last_line = time.monotonic()

    def watch(self, training: Training) -> None:
        """Begin to count: from now on the conditions of this training are told about."""
        self._training = training
        self._started = self._last_line = time.monotonic()
        self._before_s = training.seconds

    def condition(
        self,
        condition: int,
        rates_hz: tuple[float, float],
        correlation: Callable[[], float] | None = None,
        frozen: bool = False,
    ) -> None:
        """Tell about a condition (`fitrec.learn.rule.Progress`)."""
        now = time.monotonic()
        if self._training is None or (self._show is None and now - self._last_line < _LEAST_BETWEEN_LINES_S):
            return
        training = self._training
        names = training.problem.simulator.network.condition_names
        r = float("nan") if correlation is None else correlation()
        loop, n_loops = len(training.curve) + 1, training.rule.n_loops
        share = 1.0 if frozen else (condition + 1) / len(names)
        text = (
            f"loop {loop}/{n_loops}  condition {names[condition]} ({condition + 1}/{len(names)})  "
            f"{self._before_s + now - self._started:.1f} s  {_figures(rates_hz, r, frozen)}"
        )
        if self._show is not None:
            self._show(Status(done=(loop - 1 + share) / n_loops, text=text))
        else:
            logger.info("%s", text)
            self._last_line = now

    def loop(self, training: Training, row: Row) -> None:
        """Log a finished loop."""
        rates_hz = (float(row["rate_exc_hz"]), float(row["rate_inh_hz"]))
        logger.info(
            "loop %d/%d  %.1f s  forcing %.2f  %s",
            row["loop"],
            training.rule.n_loops,
            row["seconds"],
            row["forcing"],
            _figures(rates_hz, float(row["correlation"]), bool(row["frozen"])),
        )
        self._last_line = time.monotonic()


def _figures(rates_hz: tuple[float, float], correlation: float, frozen: bool) -> str:
    exc, inh = rates_hz
    r = f"{correlation:.4f}" if np.isfinite(correlation) else "-"
    return f"E {exc:.2f} Hz  I {inh:.2f} Hz  r {r}" + " (frozen)" * frozen
