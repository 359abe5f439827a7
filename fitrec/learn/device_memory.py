"""The memory that a training needs on a GPU, part by part, from its sizes alone; `fitrec.learn.memory` counts the host's."""

from dataclasses import dataclass, replace

from fitrec.kernels.cuda import lif, ridge, rls
from fitrec.kernels.cuda.feed_forward_columns import columns_bytes
from fitrec.kernels.cuda.model import Shape
from fitrec.kernels.cuda.psth import psth_bytes
from fitrec.kernels.cuda.recurring import recurring_bytes
from fitrec.kernels.cuda.shared_gram import gram_bytes
from fitrec.learn.gradient.device_base import Kind, gradient_bytes
from fitrec.learn.memory import FitSizes, Parts
from fitrec.learn.rls_learner import chosen_rank
from fitrec.learn.statistics_form import is_shared, slots
from fitrec.simulate.device_trials import SHARE

# Arrays of (condition, time, trained) float64 that live at once while targets are refined: what is needed, wanted and corrected,
# static currents, their averages and PSTHs of either half, and temporaries.
_DRIVE_ARRAYS = 14


def shared_parts(s: FitSizes, *, traces: bool) -> Parts:
    """Count what every rule needs: wiring, weights, targets, and one trial with its records; more trials run where they fit."""
    index, cells = 2 if s.n_neurons <= 1 << 16 else 4, s.n_bins * s.n_trained
    return {
        "static synapses": s.n_static * (8 + index) + 16 * s.n_neurons,
        "plastic synapses": s.n_trained * (s.n_inputs * (20 + index) + 8 * s.n_ff) + 8 * s.n_neurons,
        "targets, and PSTHs to compare with them": psth_bytes(s.n_bins, s.n_trained, s.n_conditions) + 16 * cells * (1 + traces),
        "one trial": lif.state_bytes(s.n_neurons, s.n_ff)
        + lif.output_bytes(s.n_bins, s.n_neurons, s.n_ff, traces=traces, capacity=0),
    }


def ridge_parts(s: FitSizes, *, trials: tuple[int, ...], gram: str, memory_bytes: float, trace_bits: int) -> Parts:
    """Count what batch ridge needs besides: the Gram matrix or the traces, the drives aimed at, what is solved."""
    sizes, samples = s.ridge(trials, trace_bits), s.n_conditions * s.n_bins
    statistics = (
        {"Gram matrix of all inputs": gram_bytes(s.n_conditions, s.n_bins, s.n_pool, s.n_ff)}
        if is_shared(sizes, gram, memory_bytes)
        else {"traces": ridge.kept_bytes(s.n_conditions, s.n_bins, s.n_pool, slots(sizes, memory_bytes), trace_bits)}
    )
    return {
        **statistics,
        "drives": 8 * _DRIVE_ARRAYS * samples * s.n_trained + recurring_bytes(samples, s.n_trained),
        "regressions": 16 * s.n_trained * s.n_inputs + columns_bytes(s.n_conditions, s.n_pool, s.n_trained, s.n_ff),
    }


@dataclass(frozen=True, kw_only=True)
class GradientTrial:
    """Sizes of a trial of a gradient fit and of its derivatives.

    Attributes
    ----------
    kind : str
        Form of the rule on a device.
    shape : Shape
        Of the compiled model and its network.
    synapses : int
        Plastic ones, feed-forward ones included.
    steps : int
        Of the longest run without derivatives.
    window_steps, bin_steps : int
        Of a window of derivatives, and of a bin.
    dt_ms : float
    tapes : int
        Windows whose steps are kept at the same time.
    own_targets : bool
        Whether the targets are not those that validations compare with.
    workers : int
        Trials at a time on the CPU.

    """

    kind: Kind
    shape: Shape
    synapses: int
    steps: int
    window_steps: int
    bin_steps: int
    dt_ms: float
    tapes: int
    own_targets: bool
    workers: int

    def on_host(self) -> tuple[int, int]:
        """Bytes on the CPU: of the tapes of all trials at a time, and of their gradients with the traces behind them."""
        item = 4
        tape = self.tapes * self.shape.trial_bytes(item, self.window_steps, tape=True)
        gradient = gradient_bytes(self.kind, self.shape, self.synapses, item, self.window_steps)
        if self.kind in ("pp-prop", "d-rtrl"):  # learning signals of every step
            gradient += item * self.shape.width * self.window_steps
        return self.workers * tape, self.workers * gradient

    def parts(self) -> Parts:
        """Count what one trial needs; as many more as fit run at the same time."""
        item = 4
        parts = {
            "tape of one trial": self.tapes * self.shape.trial_bytes(item, self.window_steps, tape=True),
            "gradient of one trial": gradient_bytes(self.kind, self.shape, self.synapses, item, self.window_steps),
            "state and spikes of one trial": self.shape.trial_bytes(item, self.steps, tape=False),
        }
        total = sum(parts.values())
        return {**parts, "what the allocator loses of it": int(total / SHARE) - total}

    def longest_window(self, free: int) -> int:
        """Return the steps of the longest window, in whole bins, with which a trial takes no more than so many bytes."""
        fits, beyond = 0, self.window_steps // self.bin_steps + 1  # bins
        while beyond - fits > 1:
            middle = (fits + beyond) // 2
            trial = replace(self, window_steps=middle * self.bin_steps)
            fits, beyond = (middle, beyond) if sum(trial.parts().values()) <= free else (fits, middle)
        return fits * self.bin_steps


def gradient_parts(s: FitSizes, trial: GradientTrial | None) -> Parts:
    """Count what gradient rules need besides; nothing where they learn on the CPU."""
    if trial is None:
        return {}
    synapses = s.n_trained * (s.n_inputs + s.n_ff)
    learned = s.n_trained * (s.n_inputs + s.n_feed_forward_weights)
    cells = s.n_conditions * s.n_bins
    return {
        "compiled synapses": 8 * synapses + 12 * s.n_static + 16 * (s.n_neurons + s.n_ff),
        "sum of the trials' gradients": 4 * synapses,
        "rates of all neurons": cells * (8 * s.n_neurons + 8 * s.n_trained * trial.own_targets)
        + s.n_bins * (12 * s.n_neurons + 16 * s.n_trained),
        "weights, their gradients and Adam's means": 24 * learned + 16 * synapses,
        **_parameters(trial.shape.trainable, trial.shape.width, s.n_trained),
        **trial.parts(),
    }


def _parameters(number: int, width: int, n_trained: int) -> Parts:
    """Count values, gradients and Adam's means of neurons' parameters, and the sums of a condition and of all."""
    return {"parameters of neurons": number * (16 * n_trained + 16 * width)} if number else {}


def rls_parts(s: FitSizes, *, rank: int | str, storage: str) -> Parts:
    """Count what recursive least squares needs besides."""
    n_inputs = s.n_inputs + s.n_ff
    learners = rls.state_bytes(-(-s.n_trained // s.pool_size), s.n_trained, n_inputs, chosen_rank(rank, n_inputs), storage)
    return {"P, held-back updates and weights": learners, "wanted drives": 8 * s.n_conditions * s.n_bins * s.n_trained}
