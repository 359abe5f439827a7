"""Checks of network and training against the targets."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from fitrec.checks.context import Context
from fitrec.checks.registry import register
from fitrec.errors import ModelError, NetworkError, TrainingError
from fitrec.networks.limits import require_lead, require_out_degree, require_partners, whole_steps
from fitrec.targets.targets import Targets

if TYPE_CHECKING:
    from fitrec.learn.memory import FitSizes

# Fewer learning times than this say next to nothing about a time course.
FEW_BINS = 5


@register("CRITICAL")
def static_degree(context: Context) -> Iterator[str]:
    """The static wiring has enough different partners."""
    wiring = context.run.network.balanced
    yield from _refusal(require_partners, n_exc=wiring.n_exc, n_inh=wiring.n_inh, k=wiring.k, degree=wiring.degree)
    if wiring.k > 0 and wiring.connectivity == "procedural":
        yield from _refusal(require_out_degree, wiring.degree)


@register("CRITICAL")
def steps_divide_bins(context: Context) -> Iterator[str]:
    """Bins and the parts of a trial are whole numbers of time steps."""
    network, bin_size_s = context.run.network, context.run.targets.bin_size_s
    durations = {
        "network.settle_ms": network.settle_ms,
        "network.stimulus.duration_ms": network.stimulus.duration_ms,
        "network.feed_forward.lead_ms": network.feed_forward.lead_ms,
        "targets.bin_size_s in ms": (bin_size_s or 0.0) * 1e3,
    }
    for key, duration_ms in durations.items():
        yield from _refusal(whole_steps, key, duration_ms, network.dt_ms)


@register("CRITICAL")
def lead_fits_trial(context: Context) -> Iterator[str]:
    """The feed-forward inputs begin within the trial."""
    network = context.run.network
    yield from _refusal(require_lead, network.feed_forward.lead_ms, network.settle_ms + network.stimulus.duration_ms)


@register("CRITICAL")
def units_fit_neurons(context: Context) -> Iterator[str]:
    """There is a model neuron for every unit."""
    trained, neurons = context.n_trained, context.n_candidates
    if trained > neurons:
        yield (
            f"{trained} units are to be fitted, but only {neurons} model neurons may stand for them; enlarge network.balanced "
            "or keep fewer units (ingest.units.max_units)"
        )


@register("CRITICAL")
def plastic_degree(context: Context) -> Iterator[str]:
    """The pools that plastic inputs are drawn from are large enough."""
    wiring, plastic, trained = context.run.network.balanced, context.run.network.plastic, context.n_trained
    if trained == 0:
        return
    if plastic.exc_sources == "trained" and context.run.network.assignment.population == "exc":
        exc_pool, advice = trained, "lower it or set network.plastic.exc_sources to all"
    else:
        exc_pool, advice = wiring.n_exc, "lower it"
    if plastic.n_exc >= max(exc_pool, 1):
        yield f"network.plastic.n_exc is {plastic.n_exc}, but only {exc_pool} neurons (itself included) to draw from; {advice}"
    if plastic.n_inh >= wiring.n_inh:
        yield f"network.plastic.n_inh is {plastic.n_inh}, but only {wiring.n_inh} neurons to draw from; lower it"


@register("CRITICAL")
def memory(context: Context) -> Iterator[str]:
    """The training fits into memory."""
    from fitrec.stages.gradient_memory import trial_of
    from fitrec.stages.train_memory import require_memory
    from fitrec.threads import available_threads

    targets, model = context.targets, context.equations
    if targets is None or model is None:
        return
    sizes, threads, network = fit_sizes(context, targets), available_threads(), context.run.network
    bin_steps = round(targets.bin_size_s * 1e3 / network.dt_ms)
    trial = partial(
        trial_of,
        model,
        n=sizes.n_neurons,
        n_ff=sizes.n_ff,
        synapses=sizes.n_trained * (sizes.n_inputs + sizes.n_ff),
        dt_ms=network.dt_ms,
        before_steps=round((network.settle_ms + network.stimulus.duration_ms) / network.dt_ms),
        window_steps=bin_steps * targets.n_bins,
        bin_steps=bin_steps,
        threads=threads,
    )
    try:
        require_memory(sizes, context.run.train, threads, trial)
    except ModelError:
        return  # not about memory: told elsewhere
    except TrainingError as error:
        yield str(error)


@register("BEST_PRACTICE_VIOLATION")
def window_against_time_constants(context: Context) -> Iterator[str]:
    """The window is long against the plastic synapses."""
    if context.targets is None or context.run.network.model is not None or context.targets.is_continuous:
        return
    window_ms = context.targets.n_bins * context.targets.bin_size_s * 1e3
    tau_ms = context.run.network.plastic.tau_syn_ms
    if window_ms < 2 * tau_ms:
        yield (
            f"the window of {window_ms:g} ms is shorter than two time constants of the plastic synapses "
            f"(network.plastic.tau_syn_ms = {tau_ms:g}): the trained inputs can hardly follow; lengthen one or shorten the other"
        )


@register("BEST_PRACTICE_VIOLATION")
def learning_times(context: Context) -> Iterator[str]:
    """There are enough learning times, one per bin, within the window."""
    if context.targets is not None and context.targets.n_bins < FEW_BINS:
        yield f"the window holds {context.targets.n_bins} bins, hence as many learning times; choose narrower bins"


@register("SUGGESTION")
def closed_loop(context: Context) -> Iterator[str]:
    """The annealed forcing ends with the network on its own."""
    forcing = context.run.train.ridge.forcing
    if context.run.train.rule == "ridge" and forcing[-1] > 0:
        yield f"train.ridge.forcing ends with {forcing[-1]:g}; with 0 the last iteration learns from the network's own activity"


@register("SUGGESTION")
def evaluation_trials(context: Context) -> Iterator[str]:
    """Enough simulated trials for a PSTH."""
    if context.run.evaluate.trials < 20:
        yield f"evaluate.trials = {context.run.evaluate.trials} leaves much spike noise in the model's PSTHs; 100 is usual"


def _refusal(require: Callable[..., object], *arguments: Any, **named: Any) -> Iterator[str]:
    """Yield the sentence with which the build stage would refuse, if it would."""
    try:
        require(*arguments, **named)
    except NetworkError as error:
        yield str(error)


def fit_sizes(context: Context, targets: Targets) -> "FitSizes":
    """Sizes of the fit, as far as the configuration tells; the pool of presynaptic neurons is its upper bound."""
    from fitrec.learn.memory import FitSizes

    network, trained = context.run.network, context.n_trained
    wiring, plastic, stimulus = network.balanced, network.plastic, network.stimulus
    neurons = wiring.n_exc + wiring.n_inh
    exc_pool = min(trained, wiring.n_exc) if plastic.exc_sources == "trained" else wiring.n_exc
    return FitSizes(
        n_neurons=neurons,
        n_static=neurons * 2 * wiring.k if wiring.connectivity == "stored" else 0,
        n_pool=exc_pool + wiring.n_inh,
        n_trained=trained,
        n_inputs=plastic.n_exc + plastic.n_inh,
        n_ff=len(targets.inputs) if targets.is_continuous else network.feed_forward.n_inputs,
        n_conditions=len(targets.condition_names),
        n_bins=targets.n_bins,
        stimulus_steps=round(stimulus.duration_ms / network.dt_ms) if stimulus.sd > 0 and not targets.is_continuous else 0,
        pool_size=plastic.pool_size,
        shared_feed_forward=targets.is_continuous,
    )
