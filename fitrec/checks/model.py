"""Checks of network and training against the targets."""

from collections.abc import Iterator

import psutil

from fitrec.checks.context import Context
from fitrec.checks.registry import register

# Fewer learning times than this say next to nothing about a time course.
FEW_BINS = 5
_GIB = 2**30


@register("CRITICAL")
def static_degree(context: Context) -> Iterator[str]:
    """The static wiring has enough different partners."""
    wiring = context.run.network.balanced
    if wiring.k == 0:
        return
    limit = wiring.n_exc + wiring.n_inh - 1 if wiring.degree == "out" else min(wiring.n_exc, wiring.n_inh) - 1
    wanted = 2 * wiring.k if wiring.degree == "out" else wiring.k
    if wanted > limit:
        yield (
            f"network.balanced.k = {wiring.k} asks for {wanted} different partners per neuron, but only {limit} exist; "
            "lower k or enlarge the network"
        )


@register("CRITICAL")
def steps_divide_bins(context: Context) -> Iterator[str]:
    """Bins and the parts of a trial are whole numbers of time steps."""
    network, bin_size_s = context.run.network, context.run.targets.bin_size_s
    durations = {
        "network.settle_ms": network.settle_ms,
        "network.stimulus.duration_ms": network.stimulus.duration_ms,
        "targets.bin_size_s": (bin_size_s or 0.0) * 1e3,
    }
    for key, duration_ms in durations.items():
        steps = duration_ms / network.dt_ms
        if abs(steps - round(steps)) > 1e-6 * max(steps, 1):
            yield f"{key} is {duration_ms:g} ms, which is not a whole number of steps of network.dt_ms = {network.dt_ms:g} ms"


@register("CRITICAL")
def units_fit_neurons(context: Context) -> Iterator[str]:
    """There is a model neuron for every unit."""
    wiring, population = context.run.network.balanced, context.run.network.assignment.population
    neurons = wiring.n_exc + (wiring.n_inh if population == "all" else 0)
    trained = _n_trained(context)
    if trained > neurons:
        yield (
            f"{trained} units are to be fitted, but only {neurons} model neurons may stand for them; enlarge network.balanced "
            "or keep fewer units (ingest.units.max_units)"
        )


@register("CRITICAL")
def plastic_degree(context: Context) -> Iterator[str]:
    """The pools that plastic inputs are drawn from are large enough."""
    wiring, plastic, trained = context.run.network.balanced, context.run.network.plastic, _n_trained(context)
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
    """The largest arrays fit into memory."""
    needed, total = memory_bytes(context), psutil.virtual_memory().total
    if needed > total:
        yield (
            f"the fit needs about {needed / _GIB:.1f} GiB of memory, but this machine has {total / _GIB:.1f}; "
            "use fewer plastic inputs, units or neurons"
        )


@register("BEST_PRACTICE_VIOLATION")
def window_against_time_constants(context: Context) -> Iterator[str]:
    """The window is long against the plastic synapses."""
    if context.targets is None:
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


def _n_trained(context: Context) -> int:
    return 0 if context.targets is None else int((~context.targets.units["held_out"].to_numpy(bool)).sum())


def memory_bytes(context: Context) -> float:
    """Estimate the largest arrays of training: static synapses, and the statistics of the rule."""
    network, train = context.run.network, context.run.train
    wiring, plastic = network.balanced, network.plastic
    neurons = wiring.n_exc + wiring.n_inh
    static = neurons * 2 * wiring.k * (4 + 4)  # int32 target and float32 weight of each synapse
    inputs = plastic.n_exc + plastic.n_inh + network.feed_forward.n_inputs
    if train.rule == "rls":
        rule = _n_trained(context) * inputs**2 * 4.0  # P, float32
    else:
        sources = neurons + network.feed_forward.n_inputs
        rule = sources**2 * 8.0  # the shared Gram matrix, float64
    return static + rule
