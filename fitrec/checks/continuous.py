"""Checks of continuous fits: segments, and the units that drive the network."""

from collections.abc import Iterator

from fitrec.checks.context import Context
from fitrec.checks.registry import register
from fitrec.errors import NetworkError

# A segment's beginning follows from what came before; after so many time constants it is forgotten.
TIME_CONSTANTS = 5
FEW_TRAINING, FEW_TEST = 10, 3
# More segments than this in every update make updates slow, and no better.
MANY = 100
# A Poisson input of a lower rate is mostly noise within a single stretch of time.
LEAST_INPUT_HZ = 20.0


@register("CRITICAL")
def recorded_inputs_alone(context: Context) -> Iterator[str]:
    """The network of a continuous fit is driven by recorded units and nothing else."""
    from fitrec.stages.build import require_inputs

    if context.targets is None:
        return
    try:
        require_inputs(context.run.network, context.targets)
    except NetworkError as error:
        yield str(error)


@register("BEST_PRACTICE_VIOLATION")
def segments_against_time_constants(context: Context) -> Iterator[str]:
    """Segments are long against synapses and smoothing."""
    run = context.run
    if run.targets.continuous is None:
        return
    slowest = max(
        (run.network.plastic.tau_syn_ms * 1e-3, "network.plastic.tau_syn_ms"),
        (run.targets.smoothing.width_s, "targets.smoothing"),
    )
    segment_s = run.targets.continuous.segment_s
    if segment_s < TIME_CONSTANTS * slowest[0]:
        yield (
            f"targets.continuous.segment_s = {segment_s:g} s is shorter than {TIME_CONSTANTS} times the slowest time constant "
            f"({slowest[1]}: {slowest[0]:g} s), so that most of a segment depends on what came before; lengthen it"
        )


@register("BEST_PRACTICE_VIOLATION")
def enough_segments(context: Context) -> Iterator[str]:
    """There is enough time to learn from, and to test on."""
    targets = context.targets
    if targets is None or not targets.is_continuous or targets.trial_is_test is None:
        return
    n_test = int(targets.trial_is_test.sum())
    n_training = len(targets.trial_is_test) - n_test
    for side, n, few in (("training", n_training, FEW_TRAINING), ("test", n_test, FEW_TEST)):
        if n < few and not (side == "test" and context.run.targets.split.test_fraction == 0):
            yield (
                f"the recording gives {n} {side} segments of {targets.bin_edges_s[-1]:g} s; with fewer than {few} the figures "
                "depend on chance: shorten targets.continuous.segment_s"
            )


@register("SUGGESTION")
def segments_take_turns(context: Context) -> Iterator[str]:
    """An update runs some of the segments."""
    targets, gradient = context.targets, context.run.train.gradient
    if targets is None or not targets.is_continuous or targets.trial_is_test is None:
        return
    n = int((~targets.trial_is_test).sum())
    if n > MANY and (gradient.conditions_per_loop is None or gradient.conditions_per_loop > MANY):
        yield (
            f"each of {gradient.loops} updates runs {min(n, gradient.conditions_per_loop or n)} segments; with "
            "train.gradient.conditions_per_loop: 20 there could be more updates in less time"
        )


@register("SUGGESTION")
def inputs_say_enough(context: Context) -> Iterator[str]:
    """The Poisson inputs fire often enough to tell rates within a moment, and no more than once per step."""
    network, targets = context.run.network, context.targets
    rate_hz = network.feed_forward.rate_hz
    if targets is None or targets.input_hz is None or targets.trial_is_test is None:
        return
    if rate_hz < LEAST_INPUT_HZ:
        yield (
            f"network.feed_forward.rate_hz = {rate_hz:g} makes the inputs' Poisson noise large against what they carry; at "
            f"{LEAST_INPUT_HZ:g} or more an input stands for many neurons that fire alike"
        )
    peak_hz = rate_hz * (targets.input_hz.max(axis=(0, 1)) / targets.input_hz[~targets.trial_is_test].mean(axis=(0, 1)))
    cut = peak_hz > 1e3 / network.dt_ms
    if cut.any():
        yield (
            f"the rates of {int(cut.sum())} of {len(cut)} input units would pass one spike per time step of {network.dt_ms:g} ms "
            f"(up to {peak_hz.max():,.0f} Hz) and are cut there; lower network.feed_forward.rate_hz or network.dt_ms"
        )
