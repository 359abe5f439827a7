"""Ridge regressions of many neurons on their presynaptic traces.

Neuron u has plastic inputs S_u out of a common pool with traces R (samples x pool), and all neurons share the feed-forward traces
X_c of each condition c, with weights of their own per condition. Its problem is

    min over w, v_c of  sum_c |R_c[:, S_u] w + X_c v_c - y_c|^2 + lambda |w - w0|^2 + lambda_FF sum_c |v_c|^2
                        + mu (1_E'(w - w0))^2 + mu (1_I'(w - w0))^2

The target is the same in every trial, so the sum over trials is the squared miss of the mean drive plus the drive's variance
over trials, both times the number of trials. The variance may have less weight: the traces' deviations from their means then
count `fluctuations` times, their means as before.

The v_c are eliminated once for all neurons (`fitrec.learn.feed_forward_columns`), and each neuron solves an L x L system by
Cholesky. What differs between small and large networks is where the L x L matrices come from: `SharedGram` or `GatheredTraces`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.ridge import Regressions
from fitrec.learn.rule import Arrays


class System(Protocol):
    """Normal equations of all neurons per trial, the feed-forward columns eliminated.

    Attributes
    ----------
    scale : float
        Summed square of a trace in one trial of all conditions, mean over the pool.

    """

    scale: float

    def solve(self, problems: Regressions, threads: int | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Plastic (neuron, input) and feed-forward (condition, neuron, ff) weights, on the host; NaN without finite solution."""


class Statistics(Protocol):
    """What the regressions need to know about the traces of the trials so far.

    Attributes
    ----------
    on_device : bool
        Whether `add` takes the traces of all neurons as they lie on a device, instead of those of the pool on the host; targets
        are there then too.

    """

    on_device: bool

    def discount(self, factor: float) -> None:
        """Give the trials so far less weight."""

    def add(self, condition: int, traces: Any, ff_traces: NDArray[np.float32], threads: int | None) -> None:
        """Add trials of one condition, (trial, time, pool or ff)."""

    def system(self, penalty_feed_forward: float, fluctuations: float, threads: int | None) -> System:
        """Set up the normal equations of all neurons; arguments as in `Penalties`."""

    def state(self) -> Arrays:
        """Return everything needed to continue."""

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """Penalties relative to the mean square of the traces.

    A relative penalty of 1 weighs a weight as much as the data of one trial of all conditions do on average; rls.md's absolute
    lambda means very different things for different rates, trial lengths and numbers of trials.

    Attributes
    ----------
    plastic : float
        lambda.
    row_sum : float
        mu, on the change of the summed E and of the summed I weights.
    feed_forward : float
        lambda_FF.
    fluctuations : float
        Of the variance of the drive over trials, relative to the squared miss of its mean: at most 1, least squares over single
        trials.

    """

    plastic: float
    row_sum: float
    feed_forward: float
    fluctuations: float = 1.0


def solve(
    statistics: Statistics,
    target: Any,
    inputs: NDArray[np.int32],
    initial: NDArray[np.float32],
    n_exc_inputs: int,
    penalties: Penalties,
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Solve every neuron's ridge problem.

    Parameters
    ----------
    statistics : Statistics
    target : (condition, time, neuron) float64
        Plastic drive wanted; on the device if the statistics are.
    inputs : (neuron, input) int32
        Columns of the pool each neuron listens to, its E inputs first.
    initial : (neuron, input) float32
        Weights around which the penalties are centred.
    n_exc_inputs : int

    Returns
    -------
    plastic : (neuron, input) float32
    feed_forward : (condition, neuron, ff) float32
        NaN, as the plastic ones, for a neuron whose problem has no finite solution.

    """
    system = statistics.system(penalties.feed_forward, penalties.fluctuations, threads)
    scale = np.float32(system.scale or 1.0)  # when all are silent, any penalty keeps the initial weights
    problems = Regressions(
        target=target,
        inputs=inputs,
        initial=initial,
        n_exc=np.int32(n_exc_inputs),
        diagonal=scale * np.float32(penalties.plastic + penalties.row_sum),
        same_kind=scale * np.float32(penalties.row_sum),
    )
    return system.solve(problems, threads)
