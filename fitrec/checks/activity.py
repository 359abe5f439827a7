"""Checks of the recording itself and of the targets made of it."""

from collections.abc import Iterator

import numpy as np

from fitrec.checks.context import Context
from fitrec.checks.registry import register
from fitrec.config.train import LEAST_SQUARES
from fitrec.errors import TrainingError

# Fewer trials than this leave a PSTH, or the ceiling measured on it, mostly noise.
FEW_TRIALS = 5


@register("CRITICAL")
def recording_readable(context: Context) -> Iterator[str]:
    """The recording can be read, obeys the rules and keeps units."""
    if context.recording is None and context.recording_error:
        yield context.recording_error


@register("CRITICAL")
def bins_divide_window(context: Context) -> Iterator[str]:
    """The window is a whole number of bins."""
    targets = context.run.targets
    if targets.window_s is None or targets.bin_size_s is None:
        return
    bins = (targets.window_s[1] - targets.window_s[0]) / targets.bin_size_s
    if round(bins) < 1 or abs(bins - round(bins)) > 1e-6 * bins:
        yield (
            f"targets.bin_size_s = {targets.bin_size_s:g} does not divide the window {list(targets.window_s)} ({bins:.4g} bins); "
            "choose a bin width that does"
        )


@register("CRITICAL")
def targets_buildable(context: Context) -> Iterator[str]:
    """Trial column, conditions, window and split can be applied."""
    if context.targets is None and context.targets_error:
        yield context.targets_error


@register("BEST_PRACTICE_VIOLATION")
def enough_trials(context: Context) -> Iterator[str]:
    """Each condition has enough trials on both sides of the split."""
    targets = context.targets
    if targets is None or targets.trial_condition is None or targets.trial_is_test is None or targets.is_continuous:
        return
    test = targets.trial_is_test
    for index, name in enumerate(targets.condition_names):
        here = targets.trial_condition == index
        for side, count in (("training", int((here & ~test).sum())), ("test", int((here & test).sum()))):
            if count < FEW_TRIALS and not (side == "test" and context.run.targets.split.test_fraction == 0):
                yield f"condition '{name}' has {count} {side} trials; with fewer than {FEW_TRIALS} its PSTH is mostly noise"


@register("BEST_PRACTICE_VIOLATION")
def held_out_test(context: Context) -> Iterator[str]:
    """Something is held out for an honest evaluation."""
    if context.recording is None:
        return
    if context.recording.kind == "rates":
        yield "the recording holds trial averages only, so the fit cannot be tested on held-out trials"
    elif context.run.targets.split.test_fraction == 0:
        what, usual = ("time is", "0.25") if context.run.targets.continuous else ("trials are", "0.5")
        yield f"targets.split.test_fraction is 0: no {what} held out, so the fit is not tested; set it to {usual}"


@register("CRITICAL")
def areas_known(context: Context) -> Iterator[str]:
    """Units have areas where mean rates of areas are to be fitted."""
    from fitrec.stages.fitted_areas import areas_to_fit

    if context.targets is None:
        return
    units = context.targets.units
    try:
        areas_to_fit(units, context.run.train, np.flatnonzero(~units["held_out"].to_numpy(bool)))
    except TrainingError as error:
        yield str(error)


@register("SUGGESTION")
def every_unit_has_an_area(context: Context) -> Iterator[str]:
    """No unit is left alone where mean rates of areas are to be fitted."""
    from fitrec.stages.fitted_areas import areas_of

    train, targets = context.run.train, context.targets
    if targets is None or train.rule in LEAST_SQUARES or train.gradient.loss_of == "units":
        return
    without = np.count_nonzero((areas_of(targets.units) == "") & ~targets.units["held_out"].to_numpy(bool))
    if 0 < without < context.n_trained:
        yield f"train.gradient.loss_of is areas, but {without} of {context.n_trained} units have no area: they do not learn"


@register("SUGGESTION")
def many_units_excluded(context: Context) -> Iterator[str]:
    """The unit filters leave most units in."""
    recording = context.recording
    if recording is None or len(recording.excluded) <= recording.n_units:
        return
    reasons = recording.excluded["reason"].value_counts()
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    yield f"{len(recording.excluded)} of {len(recording.excluded) + recording.n_units} units are left out ({listed})"


@register("SUGGESTION")
def hardly_active_units(context: Context) -> Iterator[str]:
    """Units are active enough for a PSTH."""
    targets = context.targets
    if targets is None:
        return
    low = np.nanmean(targets.rate_hz, axis=(0, 1)) < context.run.train.rate_floor_hz
    if low.any():
        ids = targets.units["unit_id"].to_numpy()[low]
        shown = ", ".join(map(str, ids[:5])) + (", ..." if len(ids) > 5 else "")
        yield (
            f"{int(np.sum(low))} units fire less than {context.run.train.rate_floor_hz:g} Hz in the window ({shown}); "
            "ingest.units.min_rate_hz leaves them out"
        )
