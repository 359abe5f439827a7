"""What the rules share: the problem they are given, and the interface training drives them through."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import TrainingError
from fitrec.kernels.cuda.psth import Smoother
from fitrec.learn.regions import Regions
from fitrec.learn.trial_sums import DeviceTrialSums, TrialSums, trials_together
from fitrec.networks.weights import Weights
from fitrec.simulate.record import TrialRecord
from fitrec.simulate.simulator import Simulator
from fitrec.targets.smoothing import smooth_with, within

Arrays = dict[str, NDArray[Any]]
# Is given the traces of some trials, each (time, neuron) float32, and those of their feed-forward inputs, each (time, ff).
Keep = Callable[[Any, NDArray[np.float32]], None]


class Progress(Protocol):
    """Is told the figures of each condition as soon as they are there, so that they can be shown."""

    def __call__(
        self,
        condition: int,
        rates_hz: tuple[float, float],
        correlation: Callable[[], float] | None = None,
        frozen: bool = False,
    ) -> None:
        """Take the mean E and I rates, what works out the mean correlation if it can be, and whether weights were frozen."""


def unobserved(
    condition: int,
    rates_hz: tuple[float, float],
    correlation: Callable[[], float] | None = None,
    frozen: bool = False,
) -> None:
    """Show nothing."""


# Trial numbers are the counters of initial states and noise; each purpose has its own range, so that none sees another's trials.
FIRST_VALIDATION_TRIAL = 500_000
VALIDATED_SEGMENTS = 24  # of a continuous fit


class DeviceGoal(NamedTuple):
    """What PSTHs on a device are compared with.

    Attributes
    ----------
    smoother : Smoother
    rate_hz : (condition, time, trained) float64, on the device

    """

    smoother: Smoother
    rate_hz: Any


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a rule has to solve.

    Attributes
    ----------
    simulator : Simulator
        The network, ready to run.
    rate_hz : (condition, time, trained) float64
        Target rates of the trained neurons, in their order.
    bin_steps : int
        Steps of the simulation per time bin; there is one learning time at the end of each bin.
    smoothing : (odd,) float64
        Weights that the targets were smoothed with along time; see `fitrec.targets.smoothing.kernel_weights`.
    rate_floor_hz : float
        Target rates below it are raised to it before they become drives.
    sharpening : int
        Iterations that sharpen the target rates before they become drives; 0: none.
    static_smoothing_s : float
        Width of the boxcar that averages of the static current over trials are smoothed with (least squares).
    threads : int or None
        Threads; results do not depend on them.
    progress : callable
        Is told the figures of each condition as they come.
    continuous : bool
        Whether conditions are segments of time; `rate_hz` is NaN where they are held out, or a unit was not recorded.
    regions : Regions or None
        Of the trained neurons, where mean rates of regions are fitted, not rates of neurons.

    """

    simulator: Simulator
    rate_hz: NDArray[np.float64]
    bin_steps: int
    smoothing: NDArray[np.float64]
    rate_floor_hz: float
    sharpening: int
    static_smoothing_s: float
    threads: int | None
    progress: Progress = unobserved
    continuous: bool = False
    regions: Regions | None = None

    @cached_property
    def fitted(self) -> NDArray[np.int64]:
        """The conditions that have targets; the other segments of a continuous fit are held out."""
        everywhere, known = np.arange(len(self.rate_hz)), np.isfinite(self.rate_hz)
        if self.regions is not None:
            known = self.regions.means(self.rate_hz, known)[1] > 0
        return everywhere[known.any(axis=(1, 2))] if self.continuous else everywhere

    @cached_property
    def validated(self) -> NDArray[np.int64]:
        """The conditions that a validation runs: all that are fitted, of the segments of a continuous fit some, evenly spread."""
        few = min(len(self.fitted), VALIDATED_SEGMENTS) if self.continuous else len(self.fitted)
        return self.fitted[np.linspace(0, len(self.fitted) - 1, few).round().astype(np.int64)]

    @property
    def bin_s(self) -> float:
        """Bin width in seconds."""
        return self.bin_steps * self.simulator.network.dt_ms * 1e-3

    @cached_property
    def device_goal(self) -> DeviceGoal:
        """The targets on the simulator's device, copied there when first asked for."""
        device = self.simulator.device
        assert device is not None
        return DeviceGoal(Smoother(device, *within(self.smoothing, self.rate_hz.shape[1])), device.asarray(self.rate_hz))

    def smooth(self, rate_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Smooth (condition or half, time, trained) along time as the targets were smoothed."""
        return smooth_with(rate_hz, self.smoothing, 1, self.threads)

    def run_trials(self, weights: Weights, condition: int, trials: Iterable[int], **options: Any) -> list[TrialRecord]:
        """Run trials with frozen weights, recorded per bin; options as those of `Simulator.run_trial`."""
        return self.simulator.map_trials(
            lambda record: record, weights, condition, trials, chunk_steps=self.bin_steps, threads=self.threads, **options
        )

    def sum_trials(
        self,
        weights: Weights,
        condition: int,
        trials: range,
        *,
        keep: Keep | None = None,
        on_device: bool = True,
        **options: Any,
    ) -> TrialSums | DeviceTrialSums:
        """Run trials with frozen weights and sum what they record.

        Parameters
        ----------
        keep : callable, optional
            Is given the traces as they come.
        on_device : bool
            Sum on the device where there is one, and give `keep` traces that lie there.
        options
            As those of `Simulator.run_trial`.

        """
        simulator, network, n_bins = self.simulator, self.simulator.network, self.rate_hz.shape[1]
        recorded = {"traces": keep is not None, **options}
        if simulator.sums_on_device(weights) and on_device:
            assert simulator.device is not None
            device_sums = DeviceTrialSums(simulator.device, n_bins, network.n_neurons, network.trained)
            for output in simulator.device_batches(weights, condition, trials, chunk_steps=self.bin_steps, **recorded):
                if keep is not None:
                    keep(output.traces, simulator.device.to_host(output.ff_traces))
                device_sums.add(output)
            return device_sums
        sums = TrialSums(n_bins, network.n_neurons, network.trained)
        together = trials_together(n_bins, network.n_neurons)
        for start in range(trials.start, trials.stop, together):
            some = range(start, min(start + together, trials.stop))
            records = self.run_trials(weights, condition, some, **recorded)
            if keep is not None:
                keep([record.traces for record in records], np.stack([record.ff_traces for record in records]))
            sums.add(records)
        return sums


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """Figures of one loop, for the learning curve.

    Attributes
    ----------
    forcing : float
        Teacher forcing of the loop's trials, 0 for closed loop.
    rate_exc_hz, rate_inh_hz : float
        Mean rates of the loop's trials.
    correlation : float
        Mean over trained neurons and conditions of the correlation within each condition between the smoothed PSTH and the
        target; NaN when it was not measured in this loop.
    frozen : bool
        Whether `correlation` was measured in closed loop with weights that did not change meanwhile.
    tested : Weights or None
        The weights that the loop's own trials ran with, where these are such a measurement.

    """

    forcing: float
    rate_exc_hz: float
    rate_inh_hz: float
    correlation: float
    frozen: bool
    tested: Weights | None = None


class Rule(Protocol):
    """A learning rule: everything that changes is in `state`, so that a restored rule continues bit for bit."""

    name: str
    n_loops: int

    @property
    def weights(self) -> Weights:
        """The weights so far."""

    def loop(self, index: int) -> LoopResult:
        """Run loop `index` (from 0) and update the weights."""

    def not_finite(self) -> tuple[int, int] | None:
        """See `not_finite`."""

    def validates(self, index: int) -> bool:
        """Whether the weights after loop `index` are worth a validation with frozen weights."""

    def state(self) -> Arrays:
        """Return everything needed to continue after this loop."""

    def restore(self, state: Arrays) -> None:
        """Continue from a state."""


def require_finite_targets(drive: NDArray[np.float64], problem: Problem, loop: int) -> None:
    """Raise TrainingError naming the first neuron and bin whose target drive, (condition, time, trained), is not finite."""
    good = np.isfinite(drive)
    if not good.all():
        condition, k, column = (int(axis[0]) for axis in np.nonzero(~good))
        network = problem.simulator.network
        raise TrainingError(
            f"the target drive of neuron {network.trained[column]} became {drive[condition, k, column]} in loop {loop + 1}, "
            f"condition {network.condition_names[condition]!r}, bin {k + 1} ({int((~good).sum())} bins in all); check the target "
            "rates, or lower train.ridge.correction_gain"
        )


def not_finite(weights: Weights) -> tuple[int, int] | None:
    """First trained neuron (its place among them) with weights that are infinite or NaN, and how many; None if there is none."""
    good = np.isfinite(weights.plastic).all(axis=1) & np.isfinite(weights.feed_forward).all(axis=(0, 2))
    return None if good.all() else (int(np.argmin(good)), int((~good).sum()))


def require_finite(rule: Rule, network_neurons: NDArray[np.int32], loop: int) -> None:
    """Raise TrainingError naming the first neuron whose weights are not finite."""
    if (found := rule.not_finite()) is not None:
        first, count = found
        raise TrainingError(
            f"the weights of neuron {network_neurons[first]} ({count} neurons in all) became infinite or NaN in loop "
            f"{loop + 1}; begin again with a larger penalty (ridge, rls) or a smaller learning rate (gradient rules)"
        )
